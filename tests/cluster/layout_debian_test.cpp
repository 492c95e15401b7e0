// Clusters of postgresql-common: the configuration in /etc/postgresql, the data elsewhere, started
// and stopped by pg_ctlcluster.
#include <gtest/gtest.h>

#include <filesystem>

#include "tests/cluster/calls.h"
#include "tests/cluster/debian_clusters.h"

namespace hooks::harness {
namespace {

using std::chrono::seconds;

ClusterOptions options() {
    ClusterOptions options = by_hand();
    // The primary is started anew as what it is to be.
    options.postgres_settings["wal_retrieve_retry_interval"] = "100ms";
    return options;
}

// One node is a cluster of postgresql-common, the others are not.
class DebianLayout : public ByHandTest {
  protected:
    DebianLayout() : ByHandTest(options()) {}
    void SetUp() override {
        remove_debian_clusters();
        ByHandTest::SetUp();
    }
    void TearDown() override {
        ByHandTest::TearDown();
        EXPECT_EQ(files_of_configuration(), configuration);
    }

    void make_debian(int node) {
        const std::string data = cluster.data_directory(node);
        const std::string name = "node" + std::to_string(node);
        cluster.stop_postgres(node);
        root("sed -i \"s,include '../node.conf',include '" + cluster.node_directory(node) +
             "/node.conf',\" " + data + "/postgresql.conf");
        root("pg_createcluster -d " + data + " " + version() + " " + name);
        // Where pg_ctlcluster looks whether the server is up, and whether its port is taken.
        root("echo \"unix_socket_directories = '/var/run/postgresql/" + name +
             "'\" >>/etc/postgresql/" + version() + "/" + name + "/postgresql.conf");
        ASSERT_FALSE(std::filesystem::exists(data + "/postgresql.conf"));
        configuration = files_of_configuration();
        // It would wait for seconds until it is content.
        const PostgresServer& server = cluster.server(node);
        server.place().launch({"pg_ctlcluster", version(), name, "start"},
                              cluster.node_directory(node) + "/start.log");
        cluster.wait_until([&] { return server.running(); }, seconds(30), "its server runs");
        server.wait_until_ready(seconds(30));
        cluster.wait_until(
            [&] {
                return cluster.streaming_problem(1).empty() && cluster.streaming_problem(2).empty();
            },
            seconds(30), "the standbys stream");
    }
    std::string files_of_configuration() {
        return shell("cd /etc/postgresql && find . -type f | sort | xargs cksum");
    }

    std::string version() const {
        return std::filesystem::path(cluster.postgres_bin_dir()).parent_path().filename();
    }
    std::string shell(const std::string& line) {
        const Outcome outcome = cluster.run_shell("set -e; " + line);
        EXPECT_TRUE(outcome.ok()) << line << ": " << outcome.err;
        return outcome.out;
    }
    static void root(const std::string& line) {
        Command command;
        command.argv = {"/bin/sh", "-ec", line};
        const Outcome outcome = run_process(command, Deadline::after(seconds(60)));
        ASSERT_TRUE(outcome.ok()) << line << ": " << outcome.describe();
    }
    std::string pid_file(int node) const {
        return "/var/run/postgresql/" + version() + "-node" + std::to_string(node) + ".pid";
    }
    // Only pg_ctlcluster, and a server with that configuration, write this file.
    void expect_runs_as_cluster(int node) {
        const std::string options =
            shell("cat " + cluster.data_directory(node) + "/postmaster.opts");
        EXPECT_NE(options.find("config_file=/etc/postgresql/" + version() + "/node" +
                               std::to_string(node) + "/postgresql.conf"),
                  std::string::npos)
            << options;
        EXPECT_EQ(std::to_string(cluster.server(node).pid()) + "\n",
                  shell("head -n 1 " + pid_file(node)));
    }
    Outcome first_stage(int node, int main_node) {
        return cluster.run_hook(
            "recovery_1st_stage",
            {"--config", cluster.hooks_conf_path(), cluster.data_directory(main_node),
             cluster.host(node), cluster.data_directory(node),
             std::to_string(cluster.port(main_node)), std::to_string(node),
             std::to_string(cluster.port(node)), cluster.host(main_node)});
    }
    Outcome remote_start(int node) {
        return cluster.run_hook("pgpool_remote_start",
                                {"--config", cluster.hooks_conf_path(), cluster.host(node),
                                 cluster.data_directory(node)});
    }

    std::string configuration;
};

// pg_rewind asks for a restore_command that may stand in /etc, or in the data directory, which has
// another name for that time than the configuration says.
TEST_F(DebianLayout, ARewindReadsFromTheArchiveThatItsOwnSettingsName) {
    make_debian(0);
    const std::string data = cluster.data_directory(0);
    const std::string archive = cluster.base_directory() + "/archive";
    const std::string segment =
        cluster.sql_value(0, "SELECT pg_walfile_name(pg_current_wal_lsn())");
    cluster.sql(0, "ALTER SYSTEM SET restore_command = 'cp " + archive + "/%f %p'");
    diverge();
    cluster.sql(0, "SELECT pg_switch_wal()");
    cluster.sql(0, "CHECKPOINT");
    cluster.sql(0, "CREATE TABLE public.later AS SELECT 1 AS row");
    cluster.sql(0, "CHECKPOINT");
    cluster.kill_postgres(0);
    ASSERT_EQ(call(cluster, "failover_command", 0, 1, 0).exit_code, 0);
    shell("mkdir " + archive + " && mv " + data + "/pg_wal/" + segment + " " + archive);
    EXPECT_EQ(call(cluster, "follow_primary_command", 0, 1, 0).exit_code, 0);
    expect_streaming(cluster, 0, seconds(60));
    expect_history(cluster, "rule=R08 exit=0");
    EXPECT_NE(cluster.hook_log().find("by=pg_ctlcluster"), std::string::npos);
    EXPECT_NE(shell("cat " + data + ".pgpool-hooks/rewind.log").find("with restore_command"),
              std::string::npos);
    expect_not_diverged(0);
    expect_runs_as_cluster(0);
}

TEST_F(DebianLayout, AWipedNodeIsRebuiltOnlyWhereItHasAConfiguration) {
    make_debian(0);
    cluster.stop_postgres(2);
    cluster.wipe(2);
    const Outcome refused = first_stage(2, 0);
    EXPECT_EQ(refused.exit_code, 3) << refused.err;
    EXPECT_NE(refused.err.find("no configuration would come with it"), std::string::npos)
        << refused.err;
    EXPECT_NE(refused.err.find("pg_createcluster -d"), std::string::npos) << refused.err;
    EXPECT_FALSE(std::filesystem::exists(cluster.data_directory(2)));
    // As the message says.
    const std::string etc = "/etc/postgresql/" + version();
    root("pg_createcluster -d " + cluster.data_directory(2) + " " + version() + " node2");
    root("rm -rf " + cluster.data_directory(2) + "; cd " + etc +
         "; cp node0/pg_hba.conf node2; sed s/node0/node2/g node0/postgresql.conf "
         ">node2/postgresql.conf");
    configuration = files_of_configuration();
    const Outcome first = first_stage(2, 0);
    EXPECT_EQ(first.exit_code, 0) << first.err;
    EXPECT_FALSE(std::filesystem::exists(cluster.data_directory(2) + "/postgresql.conf"));
    const Outcome started = remote_start(2);
    EXPECT_EQ(started.exit_code, 0) << started.err;
    expect_streaming(cluster, 2);
    expect_runs_as_cluster(2);
}

// A switchover: the old primary is stopped as its cluster, a boot does not bring it up as a
// primary, and it comes back as its cluster.
TEST_F(DebianLayout, ASwitchoverStopsAndStartsTheCluster) {
    make_debian(0);
    ASSERT_EQ(call(cluster, "failover_command", 0, 1, 0).exit_code, 0);
    EXPECT_FALSE(cluster.postgres_runs(0));
    EXPECT_FALSE(std::filesystem::exists(pid_file(0)));
    const Outcome boot = cluster.run_shell("pg_ctlcluster " + version() + " node0 start");
    EXPECT_FALSE(boot.ok());
    EXPECT_NE(
        cluster.server_log(0).find("recovery command file \"recovery.conf\" is not supported"),
        std::string::npos);
    EXPECT_FALSE(cluster.postgres_runs(0));
    EXPECT_EQ(call(cluster, "follow_primary_command", 0, 1, 0).exit_code, 0);
    expect_streaming(cluster, 0, seconds(60));
    expect_history(cluster, "rule=R06 exit=0");
    expect_runs_as_cluster(0);
}

TEST_F(DebianLayout, WhatTheServerSaysThatDoesNotStartIsInTheMessage) {
    make_debian(2);
    cluster.stop_postgres(2);
    shell("echo 'no_such_setting = on' >>/etc/postgresql/" + version() + "/node2/postgresql.conf");
    const Outcome failed = remote_start(2);
    EXPECT_EQ(failed.exit_code, 5) << failed.err;
    EXPECT_NE(failed.err.find("unrecognized configuration parameter"), std::string::npos)
        << failed.err;
    shell("sed -i '/no_such_setting/d' /etc/postgresql/" + version() + "/node2/postgresql.conf");
    EXPECT_EQ(remote_start(2).exit_code, 0);
    expect_streaming(cluster, 2);
    expect_runs_as_cluster(2);
}

TEST_F(DebianLayout, CommandsOfTheConfigurationComeFirst) {
    make_debian(0);
    const std::string calls = cluster.base_directory() + "/calls";
    shell("printf '%s\\n' \"start_command = 'sleep 2; echo start \\$PGDATA >>" + calls +
          "; pg_ctlcluster " + version() +
          " node0 start'\" \"stop_command = 'echo stop \\$PGDATA >>" + calls + "; pg_ctlcluster " +
          version() + " node0 stop'\" >>" + cluster.hooks_conf_path());
    ASSERT_EQ(call(cluster, "failover_command", 0, 1, 0).exit_code, 0);
    EXPECT_EQ(call(cluster, "follow_primary_command", 0, 1, 0).exit_code, 0);
    expect_streaming(cluster, 0, seconds(90));
    const std::string data = cluster.data_directory(0);
    EXPECT_EQ(shell("cat " + calls), "stop " + data + "\nstart " + data + "\n");
    expect_runs_as_cluster(0);
}

}  // namespace
}  // namespace hooks::harness
