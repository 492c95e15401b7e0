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

// Pgpool calls with a primary of the past when a second failover came while its loop over the
// standbys of the first one went on: it does not look for a primary then (Pgpool-II 4.3,
// find_primary_node_repeatedly: "follow primary is ongoing. return current primary"). The node
// that is the primary instead: the only one, on the latest timeline of all that are seen. Nobody
// while it is not certain that the node of the call is none.
const ServerSeen* primary_instead(const Request& request, const std::vector<ServerSeen>& servers);

// `servers`: all of pgpool.conf when the node to follow is no primary, else only that and the
// target. `source_facts` and `target_facts` are there
// when both serve; the rules of common/core/rejoin then judge.
Decision decide(const Request& request, const std::vector<ServerSeen>& servers,
                const std::optional<SourceFacts>& source_facts,
                const std::optional<TargetFacts>& target_facts, const Policy& policy);

}  // namespace hooks::follow
