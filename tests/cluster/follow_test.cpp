// The other nodes: what follow_primary_command does with running, stopped, diverged and dead ones.
#include <gtest/gtest.h>

#include <thread>

#include "tests/cluster/calls.h"

namespace hooks::harness {
namespace {

using std::chrono::seconds;

// Verdicts in the history; the logs of the workers are left out.
long count(const std::string& log, const std::string& what) {
    long found = 0;
    for (std::size_t at = log.find(what); at < log.find("----- worker");
         at = log.find(what, at + 1)) {
        ++found;
    }
    return found;
}

void promote_one(Cluster& cluster) {
    const Outcome outcome = call(cluster, "failover_command", 0, 1, 0);
    ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
    ASSERT_EQ(cluster.sql_value(1, "SELECT pg_is_in_recovery()"), "f") << outcome.err;
}

using Follow = ByHandTest;

TEST_F(Follow, ARunningStandbyIsRepointedByReload) {
    cluster.kill_postgres(0);
    promote_one(cluster);
    const std::string started = cluster.start_time(2);
    cluster.pcp("pcp_detach_node", {"2"});
    const Outcome outcome = call(cluster, "follow_primary_command", 2, 1, 0, PgpoolStyle::v4_4);
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    // No waiting here: when the hook says so, it is so.
    EXPECT_EQ(cluster.streaming_problem(2), "") << outcome.err;
    expect_attached(cluster, 2, seconds(0));
    EXPECT_EQ(cluster.start_time(2), started);
    EXPECT_NE(outcome.err.find("rule=R06"), std::string::npos) << outcome.err;

    const Outcome again = call(cluster, "follow_primary_command", 2, 1, 0);
    EXPECT_EQ(again.exit_code, 0) << again.err;
    EXPECT_EQ(cluster.start_time(2), started);
}

// It would replay the marker in an hour; that it has it is enough.
TEST_F(Follow, AStandbyThatReplaysLateOnPurposeIsAttachedWhenItReceives) {
    cluster.sql(2, "ALTER SYSTEM SET recovery_min_apply_delay = '1h'");
    cluster.sql(2, "SELECT pg_reload_conf()");
    cluster.kill_postgres(0);
    promote_one(cluster);
    cluster.pcp("pcp_detach_node", {"2"});
    const Outcome outcome = call(cluster, "follow_primary_command", 2, 1, 0);
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    EXPECT_NE(outcome.err.find("(recovery_min_apply_delay is 3600000 ms)"), std::string::npos)
        << outcome.err;
    expect_attached(cluster, 2, seconds(0));

    // One whose replay is paused as well, while it receives.
    cluster.sql(2, "ALTER SYSTEM SET recovery_min_apply_delay = 0");
    cluster.sql(2, "SELECT pg_reload_conf()");
    expect_streaming(cluster, 2);
    cluster.sql(2, "SELECT pg_wal_replay_pause()");
    const Outcome paused = call(cluster, "follow_primary_command", 2, 1, 0);
    EXPECT_EQ(paused.exit_code, 0) << paused.err;
    EXPECT_NE(paused.err.find("(its replay is paused)"), std::string::npos) << paused.err;
    cluster.sql(2, "SELECT pg_wal_replay_resume()");
    expect_streaming(cluster, 2);
}

TEST_F(Follow, ASecretInPrimaryConninfoIsCarriedOverAndItsStatementIsNotLogged) {
    cluster.kill_postgres(0);
    promote_one(cluster);
    cluster.sql(2, "ALTER SYSTEM SET primary_conninfo = 'user=repl sslpassword=carried-over'");
    cluster.sql(2, "ALTER SYSTEM SET log_statement = 'all'");
    cluster.sql(2, "SELECT pg_reload_conf()");
    cluster.wait_until([&] { return cluster.sql_value(2, "SHOW log_statement") == "all"; },
                       seconds(10), "the settings are read");
    const std::size_t before = cluster.server_log(2).size();
    const Outcome outcome = call(cluster, "follow_primary_command", 2, 1, 0);
    const std::string after = cluster.server_log(2).substr(before);
    EXPECT_NE(after.find("pg_is_in_recovery"), std::string::npos) << "nothing was logged at all";
    // The server itself says at a reload what changed; the statement need not say it again.
    EXPECT_EQ(after.find("ALTER SYSTEM"), std::string::npos) << after;
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    EXPECT_EQ(outcome.err.find("carried-over"), std::string::npos);
    EXPECT_NE(cluster.sql_value(2, "SHOW primary_conninfo").find("sslpassword='carried-over'"),
              std::string::npos);
}

TEST_F(Follow, AStandbyWithHalfARecordOfTheDeadPrimaryIsRepointedByReloadToo) {
    const auto half = [&](int node) {
        return cluster.sql_value(node,
                                 "SELECT pg_wal_lsn_diff(pg_last_wal_receive_lsn(), "
                                 "pg_last_wal_replay_lsn()) > 1000000") == "t";
    };
    // One record of many segments; the primary dies while it is on its way.
    std::thread writing([&] {
        try {
            cluster.sql(0, "SELECT pg_logical_emit_message(false, 'test', repeat('x', 200000000))",
                        seconds(60));
        } catch (const std::exception&) {
            // its connection goes with the primary
        }
    });
    try {
        cluster.wait_until([&] { return half(1) && half(2); }, seconds(30), "half a record");
    } catch (const HarnessError& error) {
        ADD_FAILURE() << error.what();
    }
    cluster.kill_postgres_at_once(0);
    writing.join();
    ASSERT_TRUE(half(1) && half(2)) << "the record arrived whole";
    ASSERT_EQ(call(cluster, "failover_command", 0, 1, 0).exit_code, 0);
    const std::vector<int> writable = cluster.writable_nodes();
    ASSERT_EQ(writable.size(), 1U);
    const int follower = 3 - writable[0];
    const std::string started = cluster.start_time(follower);
    const Outcome outcome = call(cluster, "follow_primary_command", follower, writable[0], 0);
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    EXPECT_EQ(cluster.streaming_problem(follower), "") << outcome.err;
    EXPECT_EQ(cluster.start_time(follower), started) << outcome.err;
}

TEST_F(Follow, AStoppedStandbyIsStarted) {
    cluster.stop_postgres(2);
    cluster.kill_postgres(0);
    promote_one(cluster);
    const Outcome outcome = call(cluster, "follow_primary_command", 2, 1, 0);
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    expect_streaming(cluster, 2);
    expect_attached(cluster, 2);
    expect_history(cluster, "rule=R06");
}

TEST_F(Follow, AKilledStandbyIsStarted) {
    cluster.kill_postgres(2);
    cluster.kill_postgres(0);
    promote_one(cluster);
    EXPECT_EQ(call(cluster, "follow_primary_command", 2, 1, 0).exit_code, 0);
    expect_streaming(cluster, 2);
    expect_attached(cluster, 2);
}

class StartThatFails : public ByHandTest {
  protected:
    static ClusterOptions options() {
        ClusterOptions options = by_hand();
        options.hooks_conf = "start_command = 'sleep 1; echo not today; exit 7'\n";
        return options;
    }
    StartThatFails() : ByHandTest(options()) {}
};

TEST_F(StartThatFails, IsNoSuccessAndItsWordsAreInTheVerdict) {
    cluster.stop_postgres(2);
    cluster.kill_postgres(0);
    promote_one(cluster);
    const Outcome outcome =
        call(cluster, "follow_primary_command", 2, 1, 0, PgpoolStyle::v4_3, " --worker");
    EXPECT_NE(outcome.exit_code, 0) << outcome.err;
    for (const char* text : {"does not start: exit code 7", "not today"}) {
        EXPECT_NE(outcome.err.find(text), std::string::npos) << text << "\n" << outcome.err;
    }
    EXPECT_EQ(outcome.err.find("server started"), std::string::npos) << outcome.err;
}

TEST_F(Follow, ACleanlyStoppedOldPrimaryFollowsWithoutARewind) {
    cluster.stop_postgres(0);
    promote_one(cluster);
    EXPECT_EQ(call(cluster, "follow_primary_command", 0, 1, 0).exit_code, 0);
    expect_streaming(cluster, 0);
    expect_attached(cluster, 0);
    expect_history(cluster, "rule=R06");
    expect_not_diverged(0);
}

class LogicalSlots : public ByHandTest {
  protected:
    static ClusterOptions options() {
        ClusterOptions options = by_hand();
        options.postgres_settings["wal_level"] = "logical";
        return options;
    }
    LogicalSlots() : ByHandTest(options()) {}
};

TEST_F(LogicalSlots, OfAnOldPrimaryThatNeedsNoRewindAreTold) {
    cluster.sql(0, "SELECT pg_create_logical_replication_slot('for_reports', 'pgoutput')");
    cluster.wait_until([&] { return cluster.streaming_problem(1).empty(); }, seconds(10), "node 1");
    cluster.stop_postgres(0);
    promote_one(cluster);
    EXPECT_EQ(call(cluster, "follow_primary_command", 0, 1, 0).exit_code, 0);
    expect_streaming(cluster, 0);
    expect_history(cluster, "rule=R06");
    expect_history(cluster, "slot=for_reports");
    expect_history(cluster, "pg_drop_replication_slot('for_reports')");
    EXPECT_EQ(cluster.sql_value(0, "SELECT count(*) FROM pg_replication_slots"), "1");
}

TEST_F(Follow, AnOldPrimaryKilledWithDivergedRowsIsRewound) {
    diverge();
    cluster.kill_postgres(0);
    promote_one(cluster);
    const Outcome outcome = call(cluster, "follow_primary_command", 0, 1, 0);
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    expect_streaming(cluster, 0);
    expect_attached(cluster, 0);
    expect_history(cluster, "rule=R08");
    expect_history(cluster, "lost: WAL 0/");
    expect_not_diverged(0);
}

TEST_F(Follow, AnOldPrimaryStoppedWithDivergedRowsIsRewound) {
    diverge();
    cluster.stop_postgres(0);
    promote_one(cluster);
    EXPECT_EQ(call(cluster, "follow_primary_command", 0, 1, 0).exit_code, 0);
    expect_streaming(cluster, 0);
    expect_history(cluster, "rule=R08");
    expect_not_diverged(0);
}

TEST_F(Follow, TheNodesOwnConfigurationSurvivesARewind) {
    cluster.sql(0, "ALTER SYSTEM SET work_mem = '7MB'");
    diverge();
    cluster.kill_postgres(0);
    promote_one(cluster);
    EXPECT_EQ(call(cluster, "follow_primary_command", 0, 1, 0).exit_code, 0);
    expect_streaming(cluster, 0);
    EXPECT_EQ(cluster.sql_value(0, "SELECT setting FROM pg_settings WHERE name = 'work_mem'"),
              "7168");
    const std::string wrapper = cluster.data_directory(0) + "/recovery_1st_stage";
    EXPECT_TRUE(cluster.run_shell("test -x " + wrapper).ok());
}

TEST_F(Follow, AnOldPrimaryThatSomebodyStartedAgainBecomesAStandby) {
    cluster.kill_postgres(0);
    promote_one(cluster);
    cluster.start_postgres(0);
    cluster.sql(0, "CREATE TABLE public.diverged AS SELECT generate_series(1, 1000) AS row");
    ASSERT_EQ(cluster.writable_nodes(), (std::vector<int>{0, 1}));
    EXPECT_EQ(call(cluster, "follow_primary_command", 0, 1, 0).exit_code, 0);
    expect_streaming(cluster, 0);
    expect_attached(cluster, 0);
    expect_history(cluster, "rule=R08");
    expect_not_diverged(0);
}

TEST_F(Follow, AStandbyThatReplayedMoreThanTheNewPrimaryIsRewound) {
    cut_replication(cluster, 1);
    cluster.sql(0, "CREATE TABLE public.diverged AS SELECT generate_series(1, 1000) AS row");
    cluster.wait_until(
        [&] {
            return cluster.sql_value(
                       2, "SELECT count(*) FROM pg_class WHERE relname = 'diverged'") == "1";
        },
        seconds(10), "node 2 is ahead");
    cluster.kill_postgres(0);
    cluster.sql(1, "SELECT pg_create_physical_replication_slot('pgpool_node_2', true)");
    cluster.sql(1, "SELECT pg_promote()");  // somebody chose the wrong one
    EXPECT_EQ(call(cluster, "follow_primary_command", 2, 1, 0).exit_code, 0);
    expect_streaming(cluster, 2);
    expect_attached(cluster, 2);
    expect_not_diverged(2);
    expect_history(cluster, "rule=R08");
}

TEST_F(Follow, AStandbyThatReceivedMoreThanItReplayedIsTrimmed) {
    cut_replication(cluster, 1);
    cluster.sql(2, "SELECT pg_wal_replay_pause()");
    cluster.sql(0, "CREATE TABLE public.diverged AS SELECT generate_series(1, 1000) AS row");
    cluster.wait_until(
        [&] {
            return cluster.sql_value(
                       2, "SELECT pg_last_wal_receive_lsn() > pg_last_wal_replay_lsn()") == "t";
        },
        seconds(10), "node 2 received more");
    cluster.kill_postgres(0);
    cluster.sql(1, "SELECT pg_create_physical_replication_slot('pgpool_node_2', true)");
    cluster.sql(1, "SELECT pg_promote()");
    EXPECT_EQ(call(cluster, "follow_primary_command", 2, 1, 0).exit_code, 0);
    expect_streaming(cluster, 2);
    expect_not_diverged(2);
    expect_history(cluster, "rule=R07");
}

// It went on to timeline 2 with its primary, which its control file does not know yet.
TEST_F(Follow, AStoppedStandbyIsJudgedByTheNewestTimelineInItsWal) {
    cluster.kill_postgres(0);
    promote_one(cluster);
    EXPECT_EQ(call(cluster, "follow_primary_command", 0, 1, 0).exit_code, 0);
    EXPECT_EQ(call(cluster, "follow_primary_command", 2, 1, 0).exit_code, 0);
    expect_streaming(cluster, 0);
    expect_streaming(cluster, 2);
    cut_replication(cluster, 0);
    cluster.sql(1, "CREATE TABLE public.diverged AS SELECT generate_series(1, 1000) AS row");
    cluster.wait_until([&] { return cluster.streaming_problem(2).empty(); }, seconds(10), "node 2");
    EXPECT_EQ(cluster.sql_value(2,
                                "SELECT greatest((SELECT timeline_id FROM pg_control_checkpoint()),"
                                " (SELECT min_recovery_end_timeline FROM pg_control_recovery()))"),
              "1");
    cluster.kill_postgres_at_once(2);
    cluster.kill_postgres_at_once(1);
    cluster.sql(0, "SELECT pg_promote()");
    EXPECT_EQ(call(cluster, "follow_primary_command", 2, 0, 1).exit_code, 0);
    expect_streaming(cluster, 2);
    expect_not_diverged(2);
    expect_history(cluster, "rule=R07 exit=0");
}

// Which of the two promotions counts a person has to say: nothing is rewound unattended.
TEST_F(Follow, AStoppedNodeOnALaterTimelineIsLeftAsItIs) {
    cluster.sql(2, "SELECT pg_promote()");
    cluster.sql(2, "CREATE TABLE public.acknowledged AS SELECT 1 AS row");
    cluster.stop_postgres(2);
    EXPECT_EQ(call(cluster, "follow_primary_command", 2, 0, 0).exit_code, 0);
    expect_history(cluster, "rule=R04 exit=3");
    EXPECT_FALSE(cluster.postgres_runs(2));
    cluster.start_postgres(2);
    EXPECT_EQ(cluster.sql_value(2, "SELECT count(*) FROM public.acknowledged"), "1");
    cluster.stop_postgres(2);
}

TEST_F(Follow, TwoNodesPromotedToTheSameTimelineAreToldApartAndOneIsRebuilt) {
    cluster.sql(2, "ALTER SYSTEM SET primary_conninfo = ''");
    cluster.sql(2, "SELECT pg_reload_conf()");
    cluster.sql(0, "CREATE TABLE public.later AS SELECT 1 AS row");
    cluster.wait_until([&] { return cluster.streaming_problem(1).empty(); }, seconds(10), "node 1");
    cluster.kill_postgres(0);
    cluster.sql(2, "SELECT pg_promote()");
    cluster.sql(1, "SELECT pg_create_physical_replication_slot('pgpool_node_2', true)");
    cluster.sql(1, "SELECT pg_promote()");
    ASSERT_EQ(cluster.writable_nodes(), (std::vector<int>{1, 2}));
    EXPECT_EQ(call(cluster, "follow_primary_command", 2, 1, 0).exit_code, 0);
    expect_streaming(cluster, 2);
    expect_history(cluster, "rule=R05");
    EXPECT_EQ(cluster.sql_value(2, "SELECT count(*) FROM public.later"), "1");
}

TEST_F(Follow, AStaleCallLeadsToThePrimaryThatIsThere) {
    const std::string started = cluster.start_time(2);
    const Outcome outcome = call(cluster, "follow_primary_command", 2, 1, 0);
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    EXPECT_NE(outcome.err.find("rule=H04"), std::string::npos) << outcome.err;
    expect_history(cluster, "node 2 (" + cluster.host(2) + ":5432) is a standby of node 0");
    EXPECT_EQ(cluster.start_time(2), started);
    expect_streaming(cluster, 2);
    EXPECT_EQ(cluster.primary(), 0);
}

TEST_F(Follow, AStaleCallWithoutAnotherPrimaryDoesNothing) {
    const std::string started = cluster.start_time(2);
    const std::string before = cluster.sql_value(2, "SHOW primary_conninfo");
    cluster.stop_postgres(0);
    const Outcome outcome = call(cluster, "follow_primary_command", 2, 1, 0);
    EXPECT_EQ(outcome.exit_code, 3) << outcome.err;
    EXPECT_NE(outcome.err.find("rule=R04"), std::string::npos) << outcome.err;
    EXPECT_EQ(cluster.sql_value(2, "SHOW primary_conninfo"), before);
    EXPECT_EQ(cluster.start_time(2), started);
    cluster.start_postgres(0);
    expect_streaming(cluster, 2);
}

TEST_F(Follow, ARewindThatIsKilledMidwayIsFollowedByABaseBackup) {
    diverge();
    cluster.kill_postgres(0);
    promote_one(cluster);
    // As a killed pg_rewind leaves it: marker set, files of two clusters.
    const std::string work = cluster.data_directory(0) + ".pgpool-hooks";
    ASSERT_TRUE(cluster
                    .run_shell("mkdir " + work + " && touch " + work + "/rewind-unfinished && : >" +
                               cluster.data_directory(0) + "/global/pg_control")
                    .ok());
    EXPECT_EQ(call(cluster, "follow_primary_command", 0, 1, 0).exit_code, 0);
    expect_streaming(cluster, 0);
    expect_attached(cluster, 0);
    expect_history(cluster, "rule=R03 exit=0");
    expect_not_diverged(0);
    EXPECT_FALSE(cluster.run_shell("test -e " + work + "/previous").ok());
}

TEST_F(Follow, TwoCallsAtOnceForOneNodeDoTheWorkOnce) {
    diverge();
    cluster.kill_postgres(0);
    promote_one(cluster);
    EXPECT_EQ(call(cluster, "follow_primary_command", 0, 1, 0).exit_code, 0);
    EXPECT_EQ(call(cluster, "follow_primary_command", 0, 1, 0).exit_code, 0);
    expect_streaming(cluster, 0);
    expect_attached(cluster, 0);
    // Two hooks and two workers; the second worker was refused, or found nothing left to do.
    cluster.wait_until(
        [&] { return count(cluster.hook_log(), "hook=follow_primary_command run=") >= 4; },
        seconds(60), "both workers end");
    EXPECT_EQ(count(cluster.hook_log(), "rule=R08 exit=0"), 1) << cluster.hook_log();
    expect_streaming(cluster, 0);
}

TEST_F(Follow, WhoeverHoldsTheNodeIsNamed) {
    cluster.stop_postgres(2);
    const auto holder =
        PgConnection::connect(cluster.conninfo(0), "somebody else", Deadline::after(seconds(10)));
    holder->query("SELECT pg_advisory_lock(1885825128, 2)", Deadline::after(seconds(10)));
    EXPECT_EQ(call(cluster, "follow_primary_command", 2, 0, -1).exit_code, 0);
    expect_history(cluster, "another run works on node 2: somebody else, backend");
    EXPECT_FALSE(cluster.postgres_runs(2));
}

}  // namespace
}  // namespace hooks::harness
