// An old primary that is still there: what it wrote is not lost, and it does not come up again
// beside the new one.
#include <gtest/gtest.h>

#include "tests/cluster/calls.h"

namespace hooks::harness {
namespace {

using std::chrono::seconds;

class Fencing : public ByHandTest {
  protected:
    explicit Fencing(ClusterOptions options = by_hand()) : ByHandTest(std::move(options)) {}

    std::string tombstone(int node) const {
        return cluster.run_shell("cat " + cluster.data_directory(node) + "/recovery.conf").out;
    }
    bool fenced(int node) const { return tombstone(node).starts_with("# Fenced by pgpool-hooks"); }
    // As a boot does: whoever it is, it runs pg_ctl or postgres.
    void expect_does_not_start(int node) {
        const std::string directory = cluster.data_directory(node);
        const Outcome outcome =
            cluster.run_shell(cluster.postgres_bin_dir() + "/pg_ctl -D " + directory +
                              " -w -t 20 -l " + directory + "/boot.log start");
        EXPECT_NE(outcome.exit_code, 0);
        EXPECT_FALSE(cluster.postgres_runs(node));
        EXPECT_NE(cluster.server_log(node).find("\"recovery.conf\" is not supported"),
                  std::string::npos);
    }
    void expect_comes_back(int node, int primary) {
        const Outcome outcome = call(cluster, "follow_primary_command", node, primary, 0);
        EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
        expect_streaming(cluster, node);
        EXPECT_EQ(tombstone(node), "");
    }
};

TEST_F(Fencing, AfterASwitchoverTheOldPrimaryDoesNotStartAndComesBackByItself) {
    cluster.sql(0, "CREATE TABLE public.last_moment AS SELECT 1 AS row");
    const Outcome outcome = call(cluster, "failover_command", 0, 1, 0);
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    EXPECT_NE(outcome.err.find("rule=F04"), std::string::npos) << outcome.err;
    EXPECT_NE(outcome.err.find("of which node 1"), std::string::npos) << outcome.err;
    EXPECT_EQ(cluster.writable_nodes(), std::vector<int>{1});
    EXPECT_EQ(cluster.sql_value(1, "SELECT count(*) FROM public.last_moment"), "1");
    EXPECT_TRUE(fenced(0)) << tombstone(0);
    EXPECT_NE(tombstone(0).find("node 1 (" + cluster.host(1)), std::string::npos) << tombstone(0);
    expect_does_not_start(0);
    expect_comes_back(0, 1);
}

TEST_F(Fencing, WhoHasTheLastRowIsPromotedAndNotWhomPgpoolNames) {
    cut_replication(cluster, 1);
    cluster.sql(0, "CREATE TABLE public.last_moment AS SELECT 1 AS row");
    ASSERT_TRUE(
        cluster.run_shell("echo \"candidate = 'pgpool'\" >>" + cluster.hooks_conf_path()).ok());
    const Outcome outcome = call(cluster, "failover_command", 0, 1, 0);
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    EXPECT_EQ(cluster.writable_nodes(), std::vector<int>{2}) << outcome.err;
    EXPECT_EQ(cluster.sql_value(2, "SELECT count(*) FROM public.last_moment"), "1");
}

TEST_F(Fencing, ASwitchoverThatWouldLoseRowsLeavesTheClusterAsItWas) {
    diverge();
    const Outcome outcome = call(cluster, "failover_command", 0, 1, 0);
    EXPECT_EQ(outcome.exit_code, 3) << outcome.err;
    EXPECT_NE(outcome.err.find("no standby received all of that"), std::string::npos)
        << outcome.err;
    EXPECT_NE(outcome.err.find("was started again and is the primary"), std::string::npos)
        << outcome.err;
    EXPECT_EQ(cluster.writable_nodes(), std::vector<int>{0});
    EXPECT_EQ(cluster.sql_value(0, "SELECT count(*) FROM public.diverged"), "1000");
    EXPECT_EQ(tombstone(0), "");
    EXPECT_EQ(cluster.sql_value(0, "SELECT substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8)"),
              "00000001");
}

TEST_F(Fencing, WhenNobodyCanBePromotedTheOldPrimaryIsThePrimaryAgain) {
    for (const int node : {1, 2}) {
        // pg_promote() makes a file in the data directory.
        ASSERT_TRUE(cluster.run_shell("chmod 500 " + cluster.data_directory(node)).ok());
    }
    const Outcome outcome = call(cluster, "failover_command", 0, 1, 0);
    for (const int node : {1, 2}) {
        ASSERT_TRUE(cluster.run_shell("chmod 700 " + cluster.data_directory(node)).ok());
    }
    EXPECT_EQ(outcome.exit_code, 3) << outcome.err;
    EXPECT_NE(outcome.err.find("nobody can take its place"), std::string::npos) << outcome.err;
    EXPECT_EQ(cluster.writable_nodes(), std::vector<int>{0});
    EXPECT_EQ(tombstone(0), "");
    for (const int node : {1, 2}) {
        expect_streaming(cluster, node);
    }
}

TEST_F(Fencing, AKilledPrimaryIsFencedInTheBackgroundAndComesBackByItself) {
    cluster.kill_postgres(0);
    const Outcome outcome = call(cluster, "failover_command", 0, 1, 0);
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    cluster.wait_until([&] { return fenced(0); }, seconds(20), "node 0 has a tombstone");
    expect_history(cluster, "it does not run, and has a tombstone");
    expect_does_not_start(0);
    expect_comes_back(0, 1);
}

// Whoever has the lock first: what is left is a standby without a tombstone.
TEST_F(Fencing, FencingInTheBackgroundAndRejoiningAtOnceDoNotMeet) {
    int primary = 0;
    for (int round = 0; round < 4; ++round) {
        const int next = primary == 0 ? 1 : 0;
        cluster.kill_postgres(primary);
        EXPECT_EQ(call(cluster, "failover_command", primary, next, primary).exit_code, 0);
        ASSERT_TRUE(cluster.primary()) << cluster.dump();
        const int now = *cluster.primary();
        for (const int node : {0, 1, 2}) {
            if (node != now) {
                EXPECT_EQ(call(cluster, "follow_primary_command", node, now, primary).exit_code, 0);
            }
        }
        for (const int node : {0, 1, 2}) {
            if (node != now) {
                expect_streaming(cluster, node);
                EXPECT_EQ(tombstone(node), "");
            }
        }
        primary = now;
    }
}

// Something restarts what has crashed: systemd, a supervisor, a person.
TEST_F(Fencing, AnOldPrimaryThatIsStartedAgainBesideTheNewOneIsStopped) {
    cluster.kill_sshd(0);
    cluster.kill_postgres(0);
    const Outcome outcome = call(cluster, "failover_command", 0, 1, 0);
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    cluster.start_postgres(0);
    EXPECT_EQ(cluster.writable_nodes().size(), 2U);
    cluster.start_sshd(0);
    cluster.wait_until([&] { return fenced(0) && !cluster.postgres_runs(0); }, seconds(30),
                       "node 0 is stopped and has a tombstone");
    expect_history(cluster, "it ran as a second primary, was stopped and has a tombstone");
    expect_comes_back(0, 1);
}

}  // namespace
}  // namespace hooks::harness
