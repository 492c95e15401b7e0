// The hooks with a role that is no superuser and has what examples/roles.sql grants.
#include <gtest/gtest.h>

#include "tests/cluster/calls.h"
#include "tests/support/least_privilege.h"
#include "tests/support/stories.h"

namespace hooks::harness {
namespace {

using std::chrono::seconds;

void wait_for_standbys(const Cluster& cluster, std::vector<int> nodes) {
    for (const int node : nodes) {
        cluster.wait_until([&] { return cluster.streaming_problem(node).empty(); }, seconds(30),
                           "node " + std::to_string(node) + " has everything");
    }
}

TEST(LeastPrivilege, FailoverFollowRejoinRecoveryAndSwitchover) {
    Cluster cluster(with_role());
    cluster.start();
    give_role(cluster);
    const std::string started = cluster.start_time(2);
    Writer writer(cluster);
    writer.start();
    writer.wait_for_commits(20);
    expect_primary_is_replaced(cluster, writer);
    EXPECT_EQ(cluster.start_time(2), started) << "the standby was restarted";

    wipe_out(cluster, 2);
    expect_recovered(cluster, 2);

    EXPECT_TRUE(cluster.pcp("pcp_promote_node", {"--switchover", "2"}).ok());
    cluster.wait_until([&] { return cluster.primary() == 2; }, seconds(30), "node 2 takes over");
    writer.wait_for_commits(20);
    for (const int node : {0, 1}) {
        expect_streaming(cluster, node);
        expect_attached(cluster, node);
    }
    expect_nothing_denied(cluster);
    expect_no_superuser_session(cluster);
    expect_one_writable(cluster);
    expect_no_acknowledged_row_lost(cluster, writer);
}

// Every setting that is changed for a moment, and changed back.
TEST(LeastPrivilege, SettingsAreHeldAndPutBack) {
    ClusterOptions options = with_role();
    options.synchronous = true;
    options.postgres_settings["synchronous_standby_names"] = "ANY 2 (*)";
    options.postgres_settings["restore_command"] = "false";
    options.hooks_conf += "relax_synchronous = 'until_standby_returns'\n";
    Cluster cluster(options);
    cluster.start();
    give_role(cluster);
    Writer writer(cluster);
    writer.start();
    writer.wait_for_commits(10);
    cluster.cut_host(0);  // its walreceivers do not see it go
    writer.wait_for_commits(10);
    expect_streaming(cluster, 2);
    cluster.heal_host(0);
    expect_streaming(cluster, 0, seconds(60));
    const int primary = cluster.primary().value_or(-1);
    ASSERT_NE(primary, -1) << cluster.dump();
    cluster.wait_until(
        [&] { return cluster.sql_value(primary, "SHOW synchronous_standby_names") == "ANY 2 (*)"; },
        seconds(30), "synchronous_standby_names is put back");
    for (int node = 0; node < cluster.size(); ++node) {
        cluster.wait_until(
            [&] { return cluster.sql_value(node, "SHOW restore_command") == "false"; }, seconds(30),
            "restore_command is put back");
    }
    expect_nothing_denied(cluster);
    expect_no_superuser_session(cluster);
    expect_one_writable(cluster);
    expect_no_acknowledged_row_lost(cluster, writer);
}

class LeastPrivilegeByHand : public ByHandTest {
  protected:
    LeastPrivilegeByHand() : ByHandTest(with_role(by_hand())) {}

    void SetUp() override {
        ByHandTest::SetUp();
        give_role(cluster);
    }
    static void expect_verdict_names(const Outcome& outcome, const std::string& needed) {
        const std::size_t verdict = outcome.err.find(" verdict=\"");
        ASSERT_NE(verdict, std::string::npos) << outcome.err;
        EXPECT_NE(outcome.err.find("needed: " + needed, verdict), std::string::npos) << outcome.err;
    }
    void lose_primary() {
        cluster.stop_postgres(0);
        const Outcome outcome = call(cluster, "failover_command", 0, 1, 0);
        ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
    }
};

TEST_F(LeastPrivilegeByHand, ADivergedPrimaryIsRewound) {
    diverge();
    lose_primary();
    EXPECT_EQ(call(cluster, "follow_primary_command", 0, 1, 0).exit_code, 0);
    expect_streaming(cluster, 0);
    expect_not_diverged(0);
    expect_history(cluster, "rule=R08");
    expect_nothing_denied(cluster);
    expect_no_superuser_session(cluster);
}

TEST_F(LeastPrivilegeByHand, WhatIsMissingForAPromotionIsNamed) {
    struct Missing {
        std::string revoke;
        std::string needed;
        std::string give_back;
    };
    for (const Missing& missing : {
             Missing{"REVOKE pg_monitor FROM pgpool_hooks", "GRANT pg_monitor TO pgpool_hooks",
                     "GRANT pg_monitor TO pgpool_hooks"},
             Missing{"REVOKE EXECUTE ON FUNCTION pg_promote FROM pgpool_hooks",
                     "GRANT EXECUTE ON FUNCTION pg_promote(boolean, integer) TO pgpool_hooks",
                     "GRANT EXECUTE ON FUNCTION pg_promote TO pgpool_hooks"},
         }) {
        SCOPED_TRACE(missing.revoke);
        cluster.sql(0, missing.revoke);
        wait_for_standbys(cluster, {1, 2});
        cluster.stop_postgres(0);
        const Outcome refused = call(cluster, "failover_command", 0, 1, 0);
        EXPECT_NE(refused.exit_code, 0) << refused.err;
        expect_verdict_names(refused, missing.needed);
        cluster.start_postgres(0);
        cluster.sql(0, missing.give_back);
        wait_for_standbys(cluster, {1, 2});
    }
}

TEST_F(LeastPrivilegeByHand, WhatIsMissingForFollowingIsNamed) {
    lose_primary();
    ASSERT_EQ(call(cluster, "follow_primary_command", 2, 1, 0).exit_code, 0);
    wait_for_standbys(cluster, {2});
    const std::string follows =
        cluster.sql_value(2, "SELECT setting FROM pg_settings WHERE name = 'primary_conninfo'");
    struct Missing {
        std::string revoke;
        std::string needed;  // and what gives it back
    };
    for (const Missing& missing : {
             Missing{"REVOKE ALTER SYSTEM ON PARAMETER primary_conninfo FROM pgpool_hooks",
                     "GRANT ALTER SYSTEM ON PARAMETER primary_conninfo TO pgpool_hooks"},
             Missing{"REVOKE ALTER SYSTEM ON PARAMETER primary_slot_name FROM pgpool_hooks",
                     "GRANT ALTER SYSTEM ON PARAMETER primary_slot_name TO pgpool_hooks"},
             Missing{"REVOKE EXECUTE ON FUNCTION pg_reload_conf FROM pgpool_hooks",
                     "GRANT EXECUTE ON FUNCTION pg_reload_conf() TO pgpool_hooks"},
             Missing{"ALTER ROLE pgpool_hooks NOREPLICATION",
                     "ALTER ROLE pgpool_hooks REPLICATION"},
         }) {
        SCOPED_TRACE(missing.revoke);
        cluster.sql(1, missing.revoke);
        wait_for_standbys(cluster, {2});
        cut_replication(cluster, 2);
        cluster.wait_until(
            [&] {
                cluster.sql(1, "SELECT pg_drop_replication_slot('pgpool_node_2')");
                return true;
            },
            seconds(10), "the walsender lets its slot go");
        const Outcome refused = call(cluster, "follow_primary_command", 2, 1, 0);
        EXPECT_EQ(refused.exit_code, 5) << refused.err;
        expect_verdict_names(refused, missing.needed);
        cluster.sql(1, missing.needed);
        cluster.sql(1,
                    "SELECT pg_create_physical_replication_slot('pgpool_node_2') WHERE NOT EXISTS "
                    "(SELECT FROM pg_replication_slots WHERE slot_name = 'pgpool_node_2')");
        cluster.sql(2, "ALTER SYSTEM SET primary_conninfo = " + quote_sql_literal(follows));
        cluster.sql(2, "SELECT pg_reload_conf()");
        wait_for_standbys(cluster, {2});
    }
}

}  // namespace
}  // namespace hooks::harness
