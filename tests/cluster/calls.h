// Calling hooks as pgpool would, and asking their history.
#pragma once

#include <gtest/gtest.h>

#include <string>

#include "tests/support/checks.h"
#include "tests/support/cluster.h"
#include "tests/support/writer.h"

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

// The run that worked on a node, or promoted it, has ended: its lock on the primary goes with its
// session, a moment after its verdict, and a worker reviews the slots after it attached the node.
inline void expect_no_locks(const Cluster& cluster, int primary) {
    cluster.wait_until(
        [&] {
            return cluster.sql_value(primary,
                                     "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' "
                                     "AND granted") == "0";
        },
        std::chrono::seconds(10), "the locks go");
}

// The calls of a switchover: the primary is shut down by them, and every node follows the new one.
inline void switch_over(const Cluster& cluster, int from, int to) {
    const Outcome outcome = call(cluster, "failover_command", from, to, from);
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    EXPECT_FALSE(cluster.postgres_runs(from));
    for (int node = 0; node < cluster.size(); ++node) {
        if (node != to) {
            const Outcome followed = call(cluster, "follow_primary_command", node, to, from);
            EXPECT_EQ(followed.exit_code, 0) << followed.err;
        }
    }
    for (int node = 0; node < cluster.size(); ++node) {
        if (node != to) {
            expect_streaming(cluster, node, std::chrono::seconds(60));
        }
    }
}

// A standby that receives nothing more: what the primary commits from now on, it does not have.
inline void cut_replication(const Cluster& cluster, int node) {
    cluster.sql(node, "ALTER SYSTEM SET primary_conninfo = ''");
    cluster.sql(node, "SELECT pg_reload_conf()");
    cluster.wait_until([&] { return cluster.view(node).receiver_status.empty(); },
                       std::chrono::seconds(10), "the walreceiver ends");
}

// A cluster by hand with rows that were acknowledged and that every standby has. Whatever a test
// does to it, in the end one node is writable and has them all.
class ByHandTest : public testing::Test {
  protected:
    explicit ByHandTest(ClusterOptions options = by_hand())
        : cluster(std::move(options)), writer(cluster) {}

    // Between the start of the cluster and its first rows.
    virtual void prepare() {}
    void SetUp() override {
        cluster.start();
        prepare();
        writer.start();
        writer.wait_for_commits(10);
        writer.stop();
        for (int node = 1; node < cluster.size(); ++node) {
            cluster.wait_until([&] { return cluster.streaming_problem(node).empty(); },
                               std::chrono::seconds(10), "the standbys have everything");
        }
    }
    void TearDown() override {
        expect_one_writable(cluster);
        expect_no_acknowledged_row_lost(cluster, writer);
    }

    // Rows that no standby gets: they are lost when node 0 is, and must not come back.
    void diverge() {
        cut_replication(cluster, 1);
        cut_replication(cluster, 2);
        cluster.sql(0, "CREATE TABLE public.diverged AS SELECT generate_series(1, 1000) AS row");
    }
    void expect_not_diverged(int node) {
        EXPECT_EQ(
            cluster.sql_value(node, "SELECT count(*) FROM pg_class WHERE relname = 'diverged'"),
            "0");
    }

    Cluster cluster;
    Writer writer;
};

}  // namespace hooks::harness
