// failover_command: what to do about a node that pgpool detached. Rules F01 to F08.
#pragma once

#include <set>
#include <vector>

#include "common/core/config.h"
#include "common/core/plan.h"
#include "common/core/server_facts.h"
#include "failover_command/request.h"

namespace hooks::failover {

struct Policy {
    CandidateChoice candidate = CandidateChoice::most_advanced;
    UnfencedPrimary unfenced_primary = UnfencedPrimary::promote;
    FailedStandbySlot failed_standby_slot = FailedStandbySlot::keep_if_bounded;
};

// What was learned on the way: candidates whose promotion failed for certain, each with what came
// back. They are not asked again.
struct Failed {
    int node = 0;
    std::string why;
};

// `servers`: one entry for every backend of pgpool.conf. `slots_bounded`: whether the primary has
// max_slot_wal_keep_size set (F02 only).
Decision decide(const Request& request, const std::vector<ServerSeen>& servers,
                const Policy& policy, const std::vector<Failed>& failed = {},
                bool slots_bounded = false);

// The standbys that could be promoted, best first: by (timeline, end of WAL), delayed ones last,
// then %m, then the lowest id. With candidate = 'pgpool', %m comes first.
std::vector<const ServerSeen*> rank_candidates(const Request& request,
                                               const std::vector<ServerSeen>& servers,
                                               const Policy& policy,
                                               const std::vector<Failed>& failed);

}  // namespace hooks::failover
