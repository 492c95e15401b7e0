// Calling hooks as pgpool would, and asking their history.
#pragma once

#include <gtest/gtest.h>

#include <string>

#include "tests/support/checks.h"
#include "tests/support/cluster.h"

namespace hooks::harness {

// Pgpool does not act by itself: a test calls the hooks, and can break things between two calls.
inline ClusterOptions by_hand() {
    ClusterOptions options;
    options.failover_command = "";
    options.follow_primary_command = "";
    return options;
}

inline Outcome call(const Cluster& cluster, const std::string& hook, int node, int main_node,
                    int old_primary, PgpoolStyle style = PgpoolStyle::v4_3,
                    const std::string& options = {}) {
    const std::string command = cluster.hook_path(hook) + " --config " + cluster.hooks_conf_path() +
                                options + " %d %h %p \"%D\" %m %H %M %P %r \"%R\" %N %S";
    return cluster.run_shell(
        expand_command(command, cluster.placeholders(node, main_node, old_primary), style));
}

// The verdict comes after everything else, so it may not be there yet.
inline void expect_history(const Cluster& cluster, const std::string& text) {
    try {
        cluster.wait_until([&] { return cluster.hook_log().find(text) != std::string::npos; },
                           std::chrono::seconds(30), "the history says " + text);
    } catch (const HarnessError& error) {
        ADD_FAILURE() << error.what();
    }
}

// A standby that receives nothing more: what the primary commits from now on, it does not have.
inline void cut_replication(const Cluster& cluster, int node) {
    cluster.sql(node, "ALTER SYSTEM SET primary_conninfo = ''");
    cluster.sql(node, "SELECT pg_reload_conf()");
    cluster.wait_until([&] { return cluster.view(node).receiver_status.empty(); },
                       std::chrono::seconds(10), "the walreceiver ends");
}

}  // namespace hooks::harness
