// What happens to a cluster behind pgpool in more than one test, and what must come of it.
#pragma once

#include "tests/support/cluster.h"
#include "tests/support/writer.h"

namespace hooks::harness {

// Node 0, the primary of three, is killed under load: node 1 takes its place, the others follow.
void expect_primary_is_replaced(Cluster& cluster, Writer& writer);

// A standby that is lost with its data directory. Returns when pgpool has detached it.
void wipe_out(Cluster& cluster, int node);
// pcp_recovery_node, once pgpool is done with its failover: before, it takes none.
void expect_recovered(Cluster& cluster, int node);

}  // namespace hooks::harness
