// follow_primary_command: what this call does itself, and what it hands to a worker.
//
// Pgpool waits for each call, so only what is quick is done here: a running standby of 13 or later
// is re-pointed by a reload. Everything that needs a look at the files of a node, a restart, a
// rewind or a base backup is handed to a detached worker, and pgpool goes on to the next node.
#pragma once

#include <optional>

#include "common/core/rejoin.h"
#include "common/core/server_facts.h"
#include "follow_primary_command/request.h"

namespace hooks::follow {

struct Policy {
    bool rejoin_old_primary = true;
    RejoinPolicy rejoin;
};

// `primary` and `target` are what a connection showed. `source_facts` and `target_facts` are there
// when both serve; the rules of common/core/rejoin then judge.
Decision decide(const Request& request, const ServerSeen& primary, const ServerSeen& target,
                const std::optional<SourceFacts>& source_facts,
                const std::optional<TargetFacts>& target_facts, const Policy& policy);

}  // namespace hooks::follow
