// failover_command: what to do about a node that pgpool detached. Rules F01 to F08.
#pragma once

#include <set>
#include <vector>

#include "common/core/plan.h"
#include "common/core/server_facts.h"
#include "failover_command/candidates.h"

namespace hooks::failover {

// `servers`: one entry for every backend of pgpool.conf. `slots_bounded`: whether the primary has
// max_slot_wal_keep_size set (F02 only).
Decision decide(const Request& request, const std::vector<ServerSeen>& servers,
                const Policy& policy, const std::vector<Failed>& failed = {},
                bool slots_bounded = false);

bool promotes(const Decision& decision);

}  // namespace hooks::failover
