// An old primary that does not answer, and may be alive: how far it is fenced, and what that takes.
#include <gtest/gtest.h>

#include "tests/cluster/calls.h"

namespace hooks::harness {
namespace {

using std::chrono::seconds;

// Packets between pgpool's host and one node are lost, those between the nodes are not.
void cut_off_from_pgpool(Cluster& cluster, int node) {
    cluster.cut_one_way(node, kHub);
    cluster.cut_one_way(kHub, node);
}
void reconnect_with_pgpool(Cluster& cluster, int node) {
    cluster.heal_one_way(node, kHub);
    cluster.heal_one_way(kHub, node);
}

class UnreachablePrimary : public ByHandTest {
  protected:
    std::string tombstone() const {
        return cluster.run_shell("cat " + cluster.data_directory(0) + "/recovery.conf").out;
    }
    void expect_comes_back() {
        EXPECT_EQ(call(cluster, "follow_primary_command", 0, 1, 0).exit_code, 0);
        expect_streaming(cluster, 0);
        EXPECT_EQ(tombstone(), "");
    }
};

TEST_F(UnreachablePrimary, IsShutDownThroughAStandbyThatStillStreamsFromIt) {
    // Refusing is no reason to leave alone what can be fenced.
    ASSERT_TRUE(
        cluster.run_shell("echo \"unfenced_primary = 'refuse'\" >>" + cluster.hooks_conf_path())
            .ok());
    cut_off_from_pgpool(cluster, 0);
    const Outcome outcome = call(cluster, "failover_command", 0, 1, 0);
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    EXPECT_NE(outcome.err.find("rule=F06"), std::string::npos) << outcome.err;
    EXPECT_NE(outcome.err.find("fenced by ssh through node "), std::string::npos) << outcome.err;
    EXPECT_FALSE(cluster.postgres_runs(0));
    EXPECT_NE(tombstone().find("# Fenced by pgpool-hooks"), std::string::npos) << outcome.err;
    EXPECT_EQ(cluster.writable_nodes(), std::vector<int>{1});
    reconnect_with_pgpool(cluster, 0);
    expect_comes_back();
}

TEST_F(UnreachablePrimary, IsNotWaitedForWhenItsHostIsSilent) {
    cluster.cut_host(0);
    const auto start = Writer::Clock::now();
    const Outcome outcome = call(cluster, "failover_command", 0, 1, 0);
    const auto took =
        std::chrono::duration_cast<std::chrono::milliseconds>(Writer::Clock::now() - start);
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    EXPECT_NE(outcome.err.find("NOT fenced: "), std::string::npos) << outcome.err;
    EXPECT_LT(took, seconds(4)) << outcome.err;  // connect_timeout and fence_timeout are 2 s each
    EXPECT_EQ(cluster.writable_nodes(), std::vector<int>{1});
    // Its standbys do not answer it: a fast stop would wait for them.
    cluster.stop_postgres(0, StopMode::immediate);
    cluster.heal_host(0);
}

TEST_F(UnreachablePrimary, ThatHangsIsKilled) {
    cluster.freeze_postgres(0);
    const Outcome outcome = call(cluster, "failover_command", 0, 1, 0);
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    EXPECT_NE(outcome.err.find("fenced by ssh, stopped (not shut down cleanly"), std::string::npos)
        << outcome.err;
    EXPECT_FALSE(cluster.postgres_runs(0));
    EXPECT_EQ(cluster.writable_nodes(), std::vector<int>{1});
    expect_comes_back();
}

// Nobody stops the clients: what they were told is committed is there afterwards, although
// replication is asynchronous.
TEST(FalseAlarm, PgpoolCutOffFromAHealthyPrimaryUnderLoadLosesNothing) {
    Cluster cluster;
    cluster.start();
    Writer writer(cluster);
    writer.start();
    writer.wait_for_commits(20);
    cut_off_from_pgpool(cluster, 0);
    cluster.wait_until([&] { return cluster.primary() == 1; }, seconds(60), "node 1 takes over");
    EXPECT_FALSE(cluster.postgres_runs(0));
    writer.wait_for_commits(20);
    reconnect_with_pgpool(cluster, 0);
    expect_streaming(cluster, 0, seconds(60));
    expect_attached(cluster, 0);
    expect_history(cluster, "fenced by ssh through node ");
    EXPECT_FALSE(cluster.run_shell("test -e " + cluster.data_directory(0) + "/recovery.conf").ok());
    expect_one_writable(cluster);
    expect_no_acknowledged_row_lost(cluster, writer);
}

TEST(Switchover, PcpPromoteNodeUnderLoadLosesNothing) {
    Cluster cluster;
    cluster.start();
    Writer writer(cluster);
    writer.start();
    writer.wait_for_commits(20);
    const Outcome outcome = cluster.pcp("pcp_promote_node", {"--switchover", "2"});
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    cluster.wait_until([&] { return cluster.primary() == 2; }, seconds(30), "node 2 takes over");
    writer.wait_for_commits(20);
    for (const int node : {0, 1}) {
        expect_streaming(cluster, node);
        expect_attached(cluster, node);
    }
    EXPECT_FALSE(cluster.run_shell("test -e " + cluster.data_directory(0) + "/recovery.conf").ok());
    expect_one_writable(cluster);
    expect_no_acknowledged_row_lost(cluster, writer);
}

TEST(Switchover, ThatNobodyCouldTakeOverEndsWithTheSamePrimaryAttachedAgain) {
    ClusterOptions options;
    options.pgpool_settings["search_primary_node_timeout"] = "5";
    Cluster cluster(options);
    cluster.start();
    Writer writer(cluster);
    writer.start();
    for (const int node : {1, 2}) {
        cut_replication(cluster, node);
    }
    writer.wait_for_commits(20);
    cluster.pcp("pcp_detach_node", {"0"});
    expect_history(cluster, "was started again and is the primary");
    expect_attached(cluster, 0);
    writer.wait_for_commits(20);
    EXPECT_EQ(cluster.primary(), 0) << cluster.dump();
    expect_one_writable(cluster);
    expect_no_acknowledged_row_lost(cluster, writer);
}

}  // namespace
}  // namespace hooks::harness
