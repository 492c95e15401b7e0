// A restore_command that blocks, or ends its server, does not keep the cluster from its primary.
#include <gtest/gtest.h>

#include <iostream>

#include "tests/cluster/calls.h"

namespace hooks::harness {
namespace {

using std::chrono::seconds;

class RestoreCommand : public testing::Test {
  protected:
    static ClusterOptions options() {
        ClusterOptions options;
        options.synchronous = true;
        return options;
    }
    void SetUp() override {
        cluster.start();
        writer.start();
        writer.wait_for_commits(10);
    }
    void set_everywhere(const std::string& command) {
        for (const int node : {1, 2}) {
            cluster.sql(node, "ALTER SYSTEM SET restore_command = " + quote_sql_literal(command));
            cluster.sql(node, "SELECT pg_reload_conf()");
            cluster.wait_until(
                [&] { return cluster.sql_value(node, "SHOW restore_command") == command; },
                seconds(10), "the setting");
        }
    }
    void expect_writes_go_on(Writer::Clock::time_point since, seconds at_most) {
        writer.wait_for_commits(20);
        const auto outage = writer.longest_outage(since).length;
        std::cout << "outage " << outage.count() << " ms\n";
        EXPECT_LT(outage, at_most) << cluster.dump();
    }
    void expect_setting(int node, const std::string& command) {
        cluster.wait_until(
            [&] { return cluster.sql_value(node, "SHOW restore_command") == command; }, seconds(20),
            "the setting is as it was");
    }

    Cluster cluster{options()};
    Writer writer{cluster};
};

// As scp does with a host that is gone.
constexpr const char* blocks_and_kills = "sleep 40; exit 255";

TEST_F(RestoreCommand, ThatWouldBlockIsHeldForThePromotionWhenTheHostIsLost) {
    set_everywhere(blocks_and_kills);
    const std::string started = cluster.start_time(1);
    const auto cut = Writer::Clock::now();
    cluster.cut_host(0);
    expect_writes_go_on(cut, seconds(15));
    EXPECT_EQ(cluster.primary(), 1);
    EXPECT_EQ(cluster.start_time(1), started) << "its server was restarted";
    expect_setting(1, blocks_and_kills);
    EXPECT_EQ(cluster.sql_value(2, "SHOW restore_command"), blocks_and_kills);
    writer.stop();
    expect_no_acknowledged_row_lost(cluster, writer);
}

// The walreceiver of a killed primary ends at once, and the startup process turns to its archive
// before anybody can hold it back.
TEST_F(RestoreCommand, ThatBlocksAlreadyCostsARestartAndNotTheServer) {
    set_everywhere(blocks_and_kills);
    const auto killed = Writer::Clock::now();
    cluster.kill_postgres(0);
    expect_writes_go_on(killed, seconds(15));
    const auto primary = cluster.primary();
    ASSERT_TRUE(primary) << cluster.dump();
    expect_setting(*primary, blocks_and_kills);
    writer.stop();
    expect_no_acknowledged_row_lost(cluster, writer);
}

TEST_F(RestoreCommand, ThatEndsTheServerDuringThePromotionIsLeftOutOfTheNextStart) {
    set_everywhere("sleep 1; exit 255");
    const auto killed = Writer::Clock::now();
    cluster.kill_postgres(0);
    expect_writes_go_on(killed, seconds(20));
    writer.stop();
    ASSERT_TRUE(cluster.primary()) << cluster.dump();
    expect_no_acknowledged_row_lost(cluster, writer);
}

// One in another file than postgresql.auto.conf stands there afterwards, and only there.
TEST_F(RestoreCommand, OfPostgresqlConfIsNotWrittenToPostgresqlAutoConf) {
    for (const int node : {1, 2}) {
        ASSERT_TRUE(cluster
                        .run_shell("echo \"restore_command = 'test -e /nowhere/%f'\" >>" +
                                   cluster.data_directory(node) + "/postgresql.conf")
                        .ok());
        cluster.sql(node, "SELECT pg_reload_conf()");
        expect_setting(node, "test -e /nowhere/%f");
    }
    const auto killed = Writer::Clock::now();
    cluster.kill_postgres(0);
    expect_writes_go_on(killed, seconds(10));
    expect_history(cluster, "rule=F05");
    const auto primary = cluster.primary();
    ASSERT_TRUE(primary);
    expect_setting(*primary, "test -e /nowhere/%f");
    EXPECT_NE(cluster
                  .run_shell("grep restore_command " + cluster.data_directory(*primary) +
                             "/postgresql.auto.conf")
                  .exit_code,
              0);
    EXPECT_NE(cluster.pgpool_log().find("its restore_command is held"), std::string::npos);
    writer.stop();
    expect_no_acknowledged_row_lost(cluster, writer);
}

}  // namespace
}  // namespace hooks::harness
