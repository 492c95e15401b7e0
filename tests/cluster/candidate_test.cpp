// Which standby takes the place of the lost primary, when that is not plain to see.
#include <gtest/gtest.h>

#include "tests/cluster/calls.h"

namespace hooks::harness {
namespace {

using std::chrono::seconds;

class Candidate : public ByHandTest {
  protected:
    std::string primary_conninfo(int node) {
        return cluster.sql_value(node,
                                 "SELECT setting FROM pg_settings WHERE name = 'primary_conninfo'");
    }
    void expect_nothing_held(int node) {
        EXPECT_EQ(primary_conninfo(node).find("pgpool-hooks-held"), std::string::npos)
            << primary_conninfo(node);
    }
    // The primary goes on, and only the hook's host cannot reach it any more.
    void cut_from_hook(int node) { cluster.cut_one_way(node, kHub); }
};

// Node 0 is alive, its standbys stream, and pgpool's host does not reach it: while the hook votes,
// it goes on to write.
TEST_F(Candidate, AStandbyThatStillReceivesIsStoppedForTheVoteAndFollowsTheNewPrimary) {
    const std::string before = primary_conninfo(1);
    cut_from_hook(0);
    cluster.kill_sshd(0);  // it cannot be fenced by way of a standby either
    const Outcome outcome = call(cluster, "failover_command", 0, 1, 0);
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    EXPECT_NE(outcome.err.find("walreceivers stopped for the vote"), std::string::npos)
        << outcome.err;
    EXPECT_NE(outcome.err.find("stands_still=yes"), std::string::npos) << outcome.err;
    EXPECT_NE(outcome.err.find("node 2 was told to follow it"), std::string::npos) << outcome.err;
    EXPECT_EQ(primary_conninfo(1), before) << "the new primary has what it had";
    expect_nothing_held(2);
    EXPECT_EQ(cluster.sql_value(1, "SELECT pg_is_in_recovery()"), "f");
    cluster.wait_until([&] { return cluster.view(2).sender_host == cluster.host(1); }, seconds(10),
                       "node 2 streams from the new primary");
    // As its host would be fenced.
    cluster.heal_one_way(0, kHub);
    cluster.stop_postgres(0, StopMode::immediate);
}

// A run that was killed in between left a setting held.
TEST_F(Candidate, WhatAKilledRunLeftHeldIsPutBackByTheNext) {
    const std::string before = primary_conninfo(2);
    cluster.sql(2, "ALTER SYSTEM SET primary_conninfo = " +
                       quote_sql_literal(before + " host=/pgpool-hooks-held hostaddr=''"));
    cluster.sql(2,
                "ALTER SYSTEM SET restore_command = "
                "'false # held by pgpool-hooks: test -e /nowhere/%f'");
    cluster.sql(2, "SELECT pg_reload_conf()");
    cluster.wait_until([&] { return cluster.view(2).receiver_status.empty(); }, seconds(10),
                       "held: its walreceiver is gone and does not come back");
    // Nothing is to be done for this call.
    const Outcome outcome = call(cluster, "failover_command", 1, 0, 0);
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    cluster.wait_until([&] { return cluster.streaming_problem(2).empty(); }, seconds(20), "healed");
    EXPECT_EQ(primary_conninfo(2), before);
    EXPECT_EQ(cluster.sql_value(2, "SELECT current_setting('restore_command')"),
              "test -e /nowhere/%f");
}

TEST_F(Candidate, FollowMakesAHeldStandbyStream) {
    cluster.sql(2, "ALTER SYSTEM SET primary_conninfo = " +
                       quote_sql_literal(primary_conninfo(2) +
                                         " host=/pgpool-hooks-held-reset hostaddr=''"));
    cluster.sql(2, "SELECT pg_reload_conf()");
    cluster.kill_postgres(0);
    ASSERT_EQ(call(cluster, "failover_command", 0, 1, 0).exit_code, 0);
    const Outcome outcome = call(cluster, "follow_primary_command", 2, 1, 0);
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    expect_streaming(cluster, 2);
    expect_nothing_held(2);
}

// Node 2 was promoted by somebody, wrote, and was made a standby again: its history is its own.
TEST_F(Candidate, AStandbyOnAHistoryOfItsOwnIsLeftOutAndNamed) {
    cluster.sql(2, "SELECT pg_promote()");
    cluster.sql(2, "CREATE TABLE public.diverged AS SELECT generate_series(1, 1000) AS row");
    cluster.stop_postgres(2);
    ASSERT_TRUE(cluster.run_shell("touch " + cluster.data_directory(2) + "/standby.signal").ok());
    cluster.start_postgres(2);
    // Node 1 goes on with what node 2 does not have.
    cluster.sql(0, "CREATE TABLE public.later AS SELECT generate_series(1, 1000) AS row");
    cluster.wait_until([&] { return cluster.streaming_problem(1).empty(); }, seconds(10), "node 1");
    cluster.kill_postgres_at_once(0);
    const Outcome outcome = call(cluster, "failover_command", 0, 2, 0);
    // One node of each history, and both are told to follow node 0.
    EXPECT_EQ(outcome.exit_code, 3) << outcome.err;
    EXPECT_NE(outcome.err.find("rule=F07"), std::string::npos) << outcome.err;
    EXPECT_NE(outcome.err.find("neither continues the other"), std::string::npos) << outcome.err;

    cluster.sql(2, "ALTER SYSTEM SET primary_conninfo = 'host=192.0.2.1'");
    cluster.sql(2, "SELECT pg_reload_conf()");
    const Outcome again = call(cluster, "failover_command", 0, 2, 0);
    EXPECT_EQ(again.exit_code, 0) << again.err;
    EXPECT_NE(again.err.find("is left out, its history is no part"), std::string::npos)
        << again.err;
    EXPECT_EQ(cluster.writable_nodes(), std::vector<int>{1});
}

// max_connections of node 1 is lower than what the primary has now: its replay waits for somebody
// to raise it, and a promotion would end it.
TEST_F(Candidate, AStandbyThatFallsShortOfThePrimarysSettingsIsNotTheFirstChoice) {
    cluster.sql(0, "ALTER SYSTEM SET max_connections = 150");
    cluster.stop_postgres(0);
    for (const int node : {2}) {
        cluster.sql(node, "ALTER SYSTEM SET max_connections = 150");
        cluster.stop_postgres(node);
        cluster.start_postgres(node);
    }
    cluster.start_postgres(0);
    cluster.wait_until(
        [&] { return cluster.sql_value(1, "SELECT pg_get_wal_replay_pause_state()") == "paused"; },
        seconds(20), "node 1 waits");
    cluster.wait_until([&] { return cluster.streaming_problem(2).empty(); }, seconds(20), "node 2");
    cluster.kill_postgres(0);
    const Outcome outcome = call(cluster, "failover_command", 0, 1, 0);
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    EXPECT_EQ(cluster.writable_nodes(), std::vector<int>{2}) << outcome.err;
    EXPECT_TRUE(cluster.postgres_runs(1));
}

}  // namespace
}  // namespace hooks::harness
