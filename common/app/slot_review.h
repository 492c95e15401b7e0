// What the slots on a primary keep back, and for whom: rules L01 to L08, carried out.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "common/app/env.h"
#include "common/app/servers.h"

namespace hooks {

struct SlotsToReview {
    Backend primary;
    std::set<int> expected;       // nodes that somebody else brings back
    std::optional<int> given_up;  // by this run
    // Nodes that were seen not to serve. nullopt: those with a slot that nobody uses are asked.
    std::optional<std::set<int>> down;
};

struct SlotReview {
    std::string text;  // "; slot pgpool_node_2 keeps back ..." for a verdict, or nothing
    std::string next;  // the command for a person, or nothing
};

// Of those that were looked at: nothing listens there, or no answer came.
std::set<int> down_of(const std::vector<ServerLook>& looks);

// One query, and a drop for each slot that nobody will use again; where nodes have to be asked,
// connect_timeout more. Whatever goes wrong is a warning: nobody's promotion fails for it. Does
// nothing in a dry run, and on a server that is no primary. Throws only Interrupted.
SlotReview review_slots(PgConnection& primary, const SlotsToReview& what, Env& env,
                        Deadline deadline);

}  // namespace hooks
