// Where the files of a node are: a blank in the name of its data directory, tablespaces and WAL on
// other disks.
#include <gtest/gtest.h>

#include <filesystem>

#include "tests/cluster/calls.h"
#include "tests/support/stories.h"

namespace hooks::harness {
namespace {

using std::chrono::seconds;

std::string shell(const Cluster& cluster, const std::string& line) {
    const Outcome outcome = cluster.run_shell("set -e; " + line);
    EXPECT_TRUE(outcome.ok()) << line << ": " << outcome.err;
    return outcome.out;
}

// --- a blank in PGDATA ---

class BlankInPgdata : public ByHandTest {
  protected:
    BlankInPgdata() : ByHandTest(with_blank()) {}
    static ClusterOptions with_blank() {
        ClusterOptions options = by_hand();
        options.data_name = "my data";
        return options;
    }
};

TEST_F(BlankInPgdata, FailoverAndFollowWorkByEveryWay) {
    diverge();
    cluster.kill_postgres(0);
    const Outcome promoted = call(cluster, "failover_command", 0, 1, 0);
    ASSERT_EQ(promoted.exit_code, 0) << promoted.err;
    EXPECT_EQ(call(cluster, "follow_primary_command", 2, 1, 0).exit_code, 0);
    expect_streaming(cluster, 2);
    EXPECT_EQ(call(cluster, "follow_primary_command", 0, 1, 0).exit_code, 0);
    expect_streaming(cluster, 0, seconds(60));
    expect_history(cluster, "rule=R08 exit=0");
    expect_not_diverged(0);
    EXPECT_FALSE(std::filesystem::exists(cluster.data_directory(0) + ".pgpool-hooks/previous"));

    switch_over(cluster, 1, 0);
}

// Pgpool's extension calls PGDATA/pgpool_remote_start without quotes. The first stage is done by
// then; whoever calls follow_primary_command has the node back.
TEST_F(BlankInPgdata, PcpRecoveryNodeStopsShortOfTheStart) {
    wipe_out(cluster, 2);
    cluster.wait_until(
        [&] {
            const Outcome outcome = cluster.pcp("pcp_recovery_node", {"2"});
            EXPECT_EQ((outcome.out + outcome.err).find("Command Successful"), std::string::npos);
            return cluster.hook_log().find("node 2 (" + cluster.host(2) +
                                           ":5432) is ready to be started") != std::string::npos;
        },
        seconds(60), "the first stage is done");
    EXPECT_FALSE(cluster.postgres_runs(2));
    EXPECT_EQ(call(cluster, "follow_primary_command", 2, 0, 0).exit_code, 0);
    expect_streaming(cluster, 2, seconds(60));

    const Outcome split = cluster.run_shell(cluster.hook_path("pgpool_remote_start") +
                                            " --config " + cluster.hooks_conf_path() + " " +
                                            cluster.host(2) + " " + cluster.data_directory(2));
    EXPECT_EQ(split.exit_code, 2);
    EXPECT_NE(split.err.find("a data directory with a blank in its name cannot be recovered by it"),
              std::string::npos)
        << split.err;
}

// --- tablespaces, and WAL elsewhere ---

class OtherDisks : public testing::Test {
  protected:
    OtherDisks() : cluster(two_nodes()) {}
    static ClusterOptions two_nodes() {
        ClusterOptions options = by_hand();
        options.nodes = 2;
        return options;
    }
    void SetUp() override { cluster.start(); }
    void TearDown() override {
        expect_one_writable(cluster);
        if (HasFailure()) {
            ADD_FAILURE() << cluster.hook_log();
        }
    }
    std::string disk(int node, const std::string& name) const {
        return cluster.node_directory(node) + "/" + name;
    }
    void move_wal_away(int node) {
        cluster.stop_postgres(node);
        shell(cluster, "mv " + cluster.data_directory(node) + "/pg_wal " + disk(node, "wal") +
                           " && ln -s " + disk(node, "wal") + " " + cluster.data_directory(node) +
                           "/pg_wal");
        cluster.start_postgres(node);
    }
    // Both nodes are on one file system here, so the second one gets it by a base backup.
    void make_tablespace() {
        cluster.stop_postgres(1);
        cluster.wipe(1);
        shell(cluster, "mkdir " + disk(0, "space") + " && echo \"1.tablespace_map = '" +
                           disk(0, "space") + "=" + disk(1, "space") + "'\" >>" +
                           cluster.hooks_conf_path());
        cluster.sql(0, "CREATE TABLESPACE space LOCATION '" + disk(0, "space") + "'");
        cluster.sql(0, "CREATE TABLE public.wide TABLESPACE space AS SELECT 1 AS a");
        EXPECT_EQ(call(cluster, "follow_primary_command", 1, 0, 0).exit_code, 0);
        expect_streaming(cluster, 1, seconds(60));
    }
    void diverge_and_fail_over() {
        cut_replication(cluster, 1);
        cluster.sql(0, "INSERT INTO public.wide SELECT generate_series(1, 5000)");
        cluster.kill_postgres(0);
        const Outcome outcome = call(cluster, "failover_command", 0, 1, 0);
        ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
    }

    Cluster cluster;
};

TEST_F(OtherDisks, ARewindLeavesWalAndTablespacesWhereTheyAre) {
    cluster.sql(0, "CREATE TABLE public.wide (a int)");
    cluster.sql(0, "DROP TABLE public.wide");
    move_wal_away(0);
    make_tablespace();
    diverge_and_fail_over();
    cluster.sql(1, "INSERT INTO public.wide VALUES (2)");
    EXPECT_EQ(call(cluster, "follow_primary_command", 0, 1, 0).exit_code, 0);
    expect_streaming(cluster, 0, seconds(60));
    expect_history(cluster, "rule=R08 exit=0");
    EXPECT_EQ(cluster.sql_value(0, "SELECT sum(a) FROM public.wide"), "3");
    EXPECT_EQ(shell(cluster, "readlink " + cluster.data_directory(0) + "/pg_wal"),
              disk(0, "wal") + "\n");
    EXPECT_EQ(shell(cluster, "readlink " + cluster.data_directory(0) + "/pg_tblspc/*"),
              disk(0, "space") + "\n");
    EXPECT_EQ(shell(cluster, "readlink " + cluster.data_directory(1) + "/pg_tblspc/*"),
              disk(1, "space") + "\n");
}

// pg_rewind would link to the directory that the source's server works in.
TEST_F(OtherDisks, ARewindDoesNotTakeTheTablespaceOfAnotherNodeOfTheMachine) {
    cluster.sql(0, "CREATE TABLE public.wide (a int)");
    cluster.wait_until([&] { return cluster.streaming_problem(1).empty(); }, seconds(10),
                       "it has that");
    diverge_and_fail_over();
    shell(cluster, "mkdir " + disk(1, "fresh"));
    cluster.sql(1, "CREATE TABLESPACE fresh LOCATION '" + disk(1, "fresh") + "'");
    cluster.sql(1, "CREATE TABLE public.mine TABLESPACE fresh AS SELECT 1 AS a");
    EXPECT_EQ(call(cluster, "follow_primary_command", 0, 1, 0).exit_code, 0);
    expect_history(cluster, "which holds one of another data directory here; nothing was changed");
    expect_history(cluster, "rule=R10 exit=6");
    EXPECT_FALSE(cluster.postgres_runs(0));
    EXPECT_EQ(cluster.sql_value(1, "SELECT sum(a) FROM public.mine"), "1");

    shell(cluster, "echo \"0.tablespace_map = '" + disk(1, "fresh") + "=" + disk(0, "fresh") +
                       "'\" >>" + cluster.hooks_conf_path());
    EXPECT_EQ(call(cluster, "follow_primary_command", 0, 1, 0).exit_code, 0);
    expect_streaming(cluster, 0, seconds(60));
    EXPECT_EQ(cluster.sql_value(0, "SELECT sum(a) FROM public.mine"), "1");
}

// PostgreSQL lets a standby replay CREATE TABLESPACE into the directory of its primary (seen with
// 15). The two were never apart, and a rewind would write into files that are in use.
TEST_F(OtherDisks, ARewindDoesNotWriteIntoATablespaceThatTwoNodesShare) {
    shell(cluster, "mkdir " + disk(0, "shared"));
    cluster.sql(0, "CREATE TABLESPACE shared LOCATION '" + disk(0, "shared") + "'");
    cluster.sql(0, "CREATE TABLE public.ours TABLESPACE shared AS SELECT 1 AS a");
    cluster.sql(0, "CREATE TABLE public.wide (a int)");
    cluster.wait_until([&] { return cluster.streaming_problem(1).empty(); }, seconds(10),
                       "it has that");
    cut_replication(cluster, 1);
    cluster.sql(0, "INSERT INTO public.wide VALUES (1)");
    cluster.stop_postgres(0);  // so that nothing has to be replayed there
    const Outcome outcome = call(cluster, "failover_command", 0, 1, 0);
    ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
    EXPECT_EQ(call(cluster, "follow_primary_command", 0, 1, 0).exit_code, 0);
    expect_history(cluster, "where the server in " + cluster.data_directory(1) + " works here");
    expect_history(cluster, "rule=R10 exit=");
    EXPECT_FALSE(cluster.postgres_runs(0));
    EXPECT_EQ(cluster.sql_value(1, "SELECT sum(a) FROM public.ours"), "1");
}

}  // namespace
}  // namespace hooks::harness
