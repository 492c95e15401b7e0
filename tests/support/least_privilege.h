// A role for the hooks that is no superuser and has what examples/roles.sql grants.
#pragma once

#include "tests/support/cluster.h"

namespace hooks::harness {

// The hooks connect as pgpool_hooks, which give_role() makes.
ClusterOptions with_role(ClusterOptions options = {});

// Runs examples/roles.sql as its head says, twice, on node 0; from now on no hook finds the
// superuser's password. Returns when every standby has the role.
void give_role(const Cluster& cluster);

// By anybody: for clusters of one role.
void expect_nothing_denied(const Cluster& cluster);

// What the hooks and their programs asked of any server so far, they asked as that role or as the
// one of the replication. Goes by the servers' logs, where a session tells who it was at its end.
void expect_no_superuser_session(const Cluster& cluster);

}  // namespace hooks::harness
