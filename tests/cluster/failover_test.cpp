// The primary goes: what failover_command does, seen by a client, by pgpool and by the servers.
#include <gtest/gtest.h>

#include <iostream>
#include <thread>

#include "tests/cluster/calls.h"
#include "tests/support/writer.h"

namespace hooks::harness {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// A cluster whose acknowledged rows are all on a standby: none may be lost.
ClusterOptions synchronous() {
    ClusterOptions options;
    options.synchronous = true;
    return options;
}

TEST(Failover, PrimaryKilledWritesGoOnAndEveryNodeIsAStandbyAgainByItself) {
    Cluster cluster(synchronous());
    cluster.start();
    const std::string started = cluster.start_time(2);
    Writer writer(cluster);
    writer.start();
    writer.wait_for_commits(20);

    const auto killed = Writer::Clock::now();
    cluster.kill_postgres_at_once(0);  // in the middle of a commit, as it comes
    writer.wait_for_commits(20);
    std::cout << "outage " << writer.longest_outage(killed).length.count() << " ms\n";

    EXPECT_EQ(cluster.primary(), 1) << cluster.dump();
    expect_streaming(cluster, 2);
    expect_attached(cluster, 2);
    EXPECT_EQ(cluster.start_time(2), started) << "the standby was restarted";
    expect_streaming(cluster, 0);
    expect_attached(cluster, 0);
    expect_history(cluster, "rule=F05");
    expect_one_writable(cluster);
    expect_no_acknowledged_row_lost(cluster, writer);
}

TEST(Failover, ThreePrimariesInARowAreKilledAndNothingIsLost) {
    Cluster cluster(synchronous());
    cluster.start();
    Writer writer(cluster);
    writer.start();
    for (int round = 0; round < 3; ++round) {
        writer.wait_for_commits(10);
        const auto old_primary = cluster.primary();
        ASSERT_TRUE(old_primary) << cluster.dump();
        cluster.kill_postgres_at_once(*old_primary);
        writer.wait_for_commits(10);
        ASSERT_TRUE(cluster.primary()) << cluster.dump();
        for (int node = 0; node < cluster.size(); ++node) {
            if (node != cluster.primary()) {
                expect_streaming(cluster, node);
                expect_attached(cluster, node);
            }
        }
    }
    expect_one_writable(cluster);
    expect_no_acknowledged_row_lost(cluster, writer);
}

TEST(Failover, LossOfAStandbyPromotesNobodyAndItsSlotGoesWhenNothingBoundsIt) {
    ClusterOptions options;
    options.postgres_settings["max_slot_wal_keep_size"] = "-1";
    Cluster cluster(options);
    cluster.start();
    Writer writer(cluster);
    writer.start();
    cluster.kill_postgres(2);
    expect_history(cluster, "rule=F02");
    writer.wait_for_commits(10);
    EXPECT_EQ(cluster.primary(), 0);
    EXPECT_TRUE(
        cluster.sql(0, "SELECT 1 FROM pg_replication_slots WHERE slot_name = 'pgpool_node_2'")
            .empty());
    expect_streaming(cluster, 1);
    expect_one_writable(cluster);
    expect_no_acknowledged_row_lost(cluster, writer);
}

TEST(Failover, LossOfAStandbyKeepsItsSlotWhereItIsBoundedAndItComesBack) {
    ClusterOptions options;
    options.postgres_settings["max_slot_wal_keep_size"] = "1GB";
    Cluster cluster(options);
    cluster.start();
    Writer writer(cluster);
    writer.start();
    cluster.kill_postgres(2);
    expect_history(cluster, "rule=F02");
    EXPECT_FALSE(
        cluster.sql(0, "SELECT 1 FROM pg_replication_slots WHERE slot_name = 'pgpool_node_2'")
            .empty());
    cluster.start_postgres(2);
    expect_streaming(cluster, 2);
    writer.wait_for_commits(5);
    expect_one_writable(cluster);
    expect_no_acknowledged_row_lost(cluster, writer);
}

TEST(Failover, PrimaryAndTheNodeThatPgpoolProposesAreLostTogether) {
    Cluster cluster;
    cluster.start();
    Writer writer(cluster);
    writer.start();
    writer.wait_for_commits(10);
    writer.stop();  // asynchronous: what comes from here on might be lost for good reasons
    cluster.wait_until([&] { return cluster.streaming_problem(2).empty(); }, seconds(10), "node 2");

    const auto lost = Writer::Clock::now();
    cluster.kill_postgres(1);
    cluster.kill_postgres(0);
    Writer after(cluster);
    after.start();
    std::cout << "writes after "
              << std::chrono::duration_cast<milliseconds>(Writer::Clock::now() - lost).count()
              << " ms\n";
    EXPECT_EQ(cluster.primary(), 2) << cluster.dump();
    for (const int node : {0, 1}) {
        expect_streaming(cluster, node);
        expect_attached(cluster, node);
    }
    expect_one_writable(cluster);
    expect_no_acknowledged_row_lost(cluster, after);
    EXPECT_EQ(writer.missing_rows(), std::vector<std::int64_t>{});
}

TEST(Failover, HostsOfPrimaryAndProposedNodeAreCutOffAndTheThirdTakesOverInTime) {
    Cluster cluster;
    cluster.start();
    Writer writer(cluster);
    writer.start();
    writer.wait_for_commits(10);
    writer.stop();
    cluster.wait_until([&] { return cluster.streaming_problem(2).empty(); }, seconds(10), "node 2");
    cluster.cut_host(1);
    cluster.cut_host(0);
    // The hook's part: called, it promotes node 2 within failover_timeout.
    expect_history(cluster, "rule=F06");
    EXPECT_EQ(cluster.sql_value(2, "SELECT pg_is_in_recovery()"), "f");
    Writer after(cluster);
    after.start();
    EXPECT_EQ(cluster.primary(), 2) << cluster.dump();
    expect_no_acknowledged_row_lost(cluster, after);
    EXPECT_EQ(writer.missing_rows(), std::vector<std::int64_t>{});

    // Node 0 never died: behind its cut it is still a primary. The worker waits for the host, and
    // with the network comes the end of that.
    cluster.heal_host(0);
    cluster.heal_host(1);
    for (const int node : {0, 1}) {
        expect_streaming(cluster, node, seconds(60));
        expect_attached(cluster, node);
    }
    expect_one_writable(cluster);
}

TEST(Failover, TheProposedNodeIsBehindSoTheOtherIsPromotedAndPgpoolTakesIt) {
    Cluster cluster;
    cluster.start();
    Writer writer(cluster);
    writer.start();
    writer.wait_for_commits(5);
    cut_replication(cluster, 1);
    writer.wait_for_commits(20);
    writer.stop();
    cluster.wait_until([&] { return cluster.streaming_problem(2).empty(); }, seconds(10), "node 2");

    cluster.kill_postgres(0);
    Writer after(cluster);
    after.start();
    EXPECT_EQ(cluster.primary(), 2) << cluster.dump();
    expect_streaming(cluster, 1);
    expect_attached(cluster, 1);
    expect_streaming(cluster, 0);
    expect_one_writable(cluster);
    expect_no_acknowledged_row_lost(cluster, after);
    EXPECT_EQ(writer.missing_rows(), std::vector<std::int64_t>{});
}

TEST(Failover, AllNodesDownIsSaidLoudlyAndChangesNothing) {
    Cluster cluster;
    cluster.start();
    for (const int node : {2, 1, 0}) {
        cluster.kill_postgres(node);
    }
    const Outcome outcome = cluster.run_shell(expand_command(
        cluster.failover_command_line(), cluster.placeholders(0, -1, 0), PgpoolStyle::v4_3));
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    EXPECT_NE(outcome.err.find("rule=F01"), std::string::npos) << outcome.err;
    EXPECT_EQ(cluster.writable_nodes(), std::vector<int>{});
}

TEST(Failover, SecondRunFindsTheWorkDone) {
    Cluster cluster(synchronous());
    cluster.start();
    Writer writer(cluster);
    writer.start();
    cluster.kill_postgres(0);
    writer.wait_for_commits(10);
    for (const PgpoolStyle style : {PgpoolStyle::v4_3, PgpoolStyle::v4_4}) {
        const Outcome outcome = cluster.run_shell(
            expand_command(cluster.failover_command_line(), cluster.placeholders(0, 1, 0), style));
        EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
        EXPECT_NE(outcome.err.find("rule=F03"), std::string::npos) << outcome.err;
    }
    EXPECT_EQ(cluster.primary(), 1);
    expect_one_writable(cluster);
    expect_streaming(cluster, 0);
    expect_no_acknowledged_row_lost(cluster, writer);
}

TEST(Failover, TwoPgpoolsCallAtOnceAndOneNodeIsPromoted) {
    ClusterOptions options;
    options.with_pgpool = false;
    Cluster cluster(options);
    cluster.start();
    cluster.kill_postgres(0);
    const std::string line = expand_command(cluster.failover_command_line(),
                                            cluster.placeholders(0, 1, 0), PgpoolStyle::v4_4);
    const Outcome outcome =
        cluster.run_shell("(" + line + ") & first=$!; " + line + " && wait $first");
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    EXPECT_EQ(cluster.writable_nodes(), std::vector<int>{1}) << outcome.err;
    EXPECT_EQ(cluster.view(1).serving, true);
    EXPECT_EQ(cluster.sql_value(1, "SELECT pg_walfile_name(pg_current_wal_lsn()) ~ '^00000002'"),
              "t");
}

// Another pgpool looked a moment earlier, when node 1 was the best, and is about to promote it.
TEST(Failover, WhileAnotherRunHoldsOneStandbyNoOtherIsPromoted) {
    ClusterOptions options = by_hand();
    options.with_pgpool = false;
    Cluster cluster(options);
    cluster.start();
    cut_replication(cluster, 1);
    cluster.sql(0, "CREATE TABLE public.later AS SELECT 1 AS row");
    cluster.wait_until([&] { return cluster.streaming_problem(2).empty(); }, seconds(10), "node 2");
    cluster.kill_postgres(0);
    std::thread other_run([&] {
        cluster.sql(1, "SELECT pg_advisory_lock(1885825128, -1), pg_sleep(3)");  // "pghh"
    });
    std::this_thread::sleep_for(milliseconds(500));
    const auto start = Writer::Clock::now();
    const Outcome outcome = call(cluster, "failover_command", 0, 1, 0);
    EXPECT_GT(Writer::Clock::now() - start, seconds(2)) << outcome.err;
    other_run.join();
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    EXPECT_NE(outcome.err.find("another run promotes a node"), std::string::npos) << outcome.err;
    EXPECT_EQ(cluster.writable_nodes(), std::vector<int>{2});
}

TEST(Failover, AStandbyThatComesUpLaterIsWaitedForAndPromoted) {
    ClusterOptions options = by_hand();
    options.with_pgpool = false;
    Cluster cluster(options);
    cluster.start();
    for (const int node : {0, 1, 2}) {
        cluster.kill_postgres(node);
    }
    std::thread comes_back([&] {
        std::this_thread::sleep_for(seconds(2));
        cluster.start_postgres(2);
    });
    const Outcome outcome = call(cluster, "failover_command", 0, 1, 0);
    comes_back.join();
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    EXPECT_EQ(cluster.writable_nodes(), std::vector<int>{2}) << outcome.err;
}

TEST(Failover, PromotionNeedsNoSshAnywhere) {
    Cluster cluster(synchronous());
    cluster.start();
    Writer writer(cluster);
    writer.start();
    for (const int node : {0, 1, 2}) {
        cluster.kill_sshd(node);
    }
    const auto killed = Writer::Clock::now();
    cluster.kill_postgres(0);
    writer.wait_for_commits(10);
    EXPECT_LT(writer.longest_outage(killed).length, seconds(10));
    expect_streaming(cluster, 2);
    expect_attached(cluster, 2);
    // The old primary can only be repaired by ssh: the worker waits for it.
    cluster.start_sshd(0);
    expect_streaming(cluster, 0, seconds(60));
    expect_attached(cluster, 0);
    expect_one_writable(cluster);
    expect_no_acknowledged_row_lost(cluster, writer);
}

TEST(Failover, WhenTheBestCandidateRefusesToBePromotedTheNextIsTaken) {
    Cluster cluster;
    cluster.start();
    Writer writer(cluster);
    writer.start();
    writer.wait_for_commits(5);
    writer.stop();
    for (const int node : {1, 2}) {
        cluster.wait_until([&] { return cluster.streaming_problem(node).empty(); }, seconds(10),
                           "standbys");
    }
    const std::string directory = cluster.data_directory(1);
    // pg_promote() makes a file in the data directory.
    ASSERT_TRUE(cluster.run_shell("chmod 500 " + directory).ok());
    cluster.kill_postgres(0);
    Writer after(cluster);
    after.start();
    EXPECT_EQ(cluster.primary(), 2) << cluster.dump();
    expect_history(cluster, "create_slots:");

    // Nor can it be re-pointed, as pgpool's own call finds; once it can, the same call makes it a
    // standby.
    expect_history(cluster, "arguments=\"1 " + cluster.host(1));
    expect_no_locks(cluster, 2);
    ASSERT_TRUE(cluster.run_shell("chmod 700 " + directory).ok());
    const Outcome followed = cluster.run_shell(expand_command(
        cluster.follow_primary_command_line(), cluster.placeholders(1, 2, 0), PgpoolStyle::v4_3));
    EXPECT_EQ(followed.exit_code, 0) << followed.err;
    expect_streaming(cluster, 1);
    expect_attached(cluster, 1);
    expect_one_writable(cluster);
    expect_no_acknowledged_row_lost(cluster, after);
    EXPECT_EQ(writer.missing_rows(), std::vector<std::int64_t>{});
}

TEST(Failover, APrimaryThatIsStillThereIsShutDownFirst) {
    Cluster cluster;
    cluster.start();
    Writer writer(cluster);
    writer.start();
    writer.wait_for_commits(20);
    // Pgpool calls failover_command as if node 0 had died.
    cluster.pcp("pcp_detach_node", {"0"});
    cluster.wait_until([&] { return cluster.primary() == 1; }, seconds(30), "node 1 takes over");
    writer.wait_for_commits(20);
    expect_streaming(cluster, 0);
    expect_streaming(cluster, 2);
    expect_attached(cluster, 0);
    expect_history(cluster, "rule=F04");
    expect_one_writable(cluster);
    // Asynchronous replication, and yet: a shutdown sends all WAL before it ends.
    expect_no_acknowledged_row_lost(cluster, writer);
}

using FailoverByHand = ByHandTest;

TEST_F(FailoverByHand, TheHookKilledMidwayAndRunAgainConverges) {
    cluster.kill_postgres(0);
    // The best candidate accepts and says nothing: the hook gets stuck in the middle of its work.
    cluster.freeze_postgres(1);
    const std::string line = expand_command(cluster.hook_path("failover_command") + " --config " +
                                                cluster.hooks_conf_path() +
                                                " %d %h %p \"%D\" %m %H %M %P %r \"%R\" %N %S",
                                            cluster.placeholders(0, 1, 0), PgpoolStyle::v4_3);
    const Outcome killed = cluster.run_shell(line + " & sleep 0.3; kill -9 $!; wait $!");
    EXPECT_EQ(killed.exit_code, 137) << killed.err;
    cluster.thaw_postgres(1);
    EXPECT_EQ(cluster.writable_nodes(), std::vector<int>{});
    const Outcome again = call(cluster, "failover_command", 0, 1, 0);
    EXPECT_EQ(again.exit_code, 0) << again.err;
    EXPECT_EQ(cluster.writable_nodes(), std::vector<int>{1}) << again.err;
}

TEST_F(FailoverByHand, ACandidateThatHangsIsPassedOver) {
    cluster.kill_postgres(0);
    cluster.freeze_postgres(1);
    const Outcome outcome = call(cluster, "failover_command", 0, 1, 0);
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    EXPECT_EQ(cluster.sql_value(2, "SELECT pg_is_in_recovery()"), "f") << outcome.err;
    cluster.thaw_postgres(1);
    EXPECT_EQ(call(cluster, "follow_primary_command", 1, 2, 0).exit_code, 0);
    expect_streaming(cluster, 1);
}

TEST(Failover, DryRunPrintsThePlanAndChangesNothing) {
    ClusterOptions options;
    options.with_pgpool = false;
    Cluster cluster(options);
    cluster.start();
    cluster.kill_postgres(0);
    std::string line = expand_command(cluster.failover_command_line(),
                                      cluster.placeholders(0, 1, 0), PgpoolStyle::v4_3);
    line.insert(line.find(" --config"), " --dry-run");
    const Outcome outcome = cluster.run_shell(line);
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    EXPECT_NE(outcome.out.find("-- point of no return --\n  2. promote node 1\n"),
              std::string::npos)
        << outcome.out;
    EXPECT_EQ(cluster.writable_nodes(), std::vector<int>{});
    EXPECT_TRUE(
        cluster.sql(1, "SELECT 1 FROM pg_replication_slots WHERE slot_name = 'pgpool_node_0'")
            .empty());
    EXPECT_EQ(cluster.hook_log(), "");
}

}  // namespace
}  // namespace hooks::harness
