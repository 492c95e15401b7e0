// A cluster of each major version with Pgpool-II in front: what is lost is replaced, and what comes
// back follows.
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "tests/versions/servers.h"

namespace hooks::harness {
namespace {

using std::chrono::seconds;

class Failover : public testing::TestWithParam<int> {
  protected:
    explicit Failover(int nodes = 3) : cluster(options(nodes)), writer(cluster) {}

    void SetUp() override {
        cluster.start();
        writer.start();
        writer.wait_for_commits(10);
    }
    void expect_standby(int node) {
        expect_streaming(cluster, node, seconds(60));
        expect_attached(cluster, node);
        expect_settings_of_a_standby(cluster, node);
    }
    // PG_VERSION is written once, when a data directory is made.
    ino_t made_as(int node) const {
        struct stat status {};
        EXPECT_EQ(::stat((cluster.data_directory(node) + "/PG_VERSION").c_str(), &status), 0);
        return status.st_ino;
    }
    void expect_primary(int node) {
        cluster.wait_until([&] { return cluster.primary() == node; }, seconds(30),
                           "node " + std::to_string(node) + " takes over");
        writer.wait_for_commits(10);
    }

    Cluster cluster;
    Writer writer;

  private:
    static ClusterOptions options(int nodes) {
        ClusterOptions options = on_version(GetParam());
        options.nodes = nodes;
        return options;
    }
};

TEST_P(Failover, AfterASigkillOneIsPromotedAndTheOthersFollowWithoutACopy) {
    const ino_t data = made_as(0);
    const std::string started = cluster.start_time(2);
    cluster.kill_postgres(0);
    writer.wait_for_commits(10);
    expect_standby(2);
    expect_standby(0);
    EXPECT_EQ(made_as(0), data) << cluster.hook_log();
    EXPECT_EQ(cluster.start_time(2) == started, GetParam() >= 13)
        << "by a reload, or by a restart: primary_conninfo is read at start only before 13";
    expect_one_writable(cluster);
    expect_no_acknowledged_row_lost(cluster, writer);
    expect_one_history(writer);
}

TEST_P(Failover, ASwitchoverLosesNothing) {
    const Outcome outcome = cluster.pcp("pcp_promote_node", {"--switchover", "2"});
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    expect_primary(2);
    expect_standby(0);
    expect_standby(1);
    expect_one_writable(cluster);
    expect_no_acknowledged_row_lost(cluster, writer);
    expect_one_history(writer);
}

// The how-to from which this project began: a pair, the primary is stopped, the other promoted, and
// the old primary repaired; what was left in its data directory leads it to itself.
class Pair : public Failover {
  protected:
    Pair() : Failover(2) {}

    void leave_behind_settings_that_lead_to_itself(int node) {
        const std::string settings =
            "standby_mode = 'on'\nprimary_conninfo = 'user=repl host=" + cluster.host(node) +
            " port=" + std::to_string(cluster.port(node)) + "'\n";
        cluster.server(node).place().write_file(cluster.data_directory(node) + "/recovery.done",
                                                settings);
    }
    void expect_both_ends_stream(int standby, int primary) {
        EXPECT_EQ(cluster.sql_value(primary, "SELECT state FROM pg_stat_replication"), "streaming");
        EXPECT_EQ(cluster.sql_value(standby, "SELECT status FROM pg_stat_wal_receiver"),
                  "streaming");
        writer.stop();
        EXPECT_EQ(cluster.streaming_problem(standby), "");  // it has replayed everything
        const char* const count = "SELECT count(*) FROM public.writer_rows";
        EXPECT_EQ(cluster.sql_value(standby, count), cluster.sql_value(primary, count));
        EXPECT_EQ(writer.missing_rows(), std::vector<std::int64_t>{});
        writer.start();
    }
};

TEST_P(Pair, AStoppedPrimaryIsRepairedWithoutABaseBackupAndFollowsEveryTimelineAfterThat) {
    const ino_t data[] = {made_as(0), made_as(1)};
    for (const int lost : {0, 1}) {
        const int other = 1 - lost;
        leave_behind_settings_that_lead_to_itself(lost);
        {
            const auto pause = cluster.pause_writers();
            cluster.stop_postgres(lost);
        }
        expect_primary(other);
        expect_standby(lost);
        expect_both_ends_stream(lost, other);
        EXPECT_EQ(made_as(lost), data[lost]) << cluster.hook_log();
    }
    expect_history(cluster, "rule=R06 exit=0");
    EXPECT_EQ(cluster.view(0).timeline, 3);
    expect_one_writable(cluster);
    expect_no_acknowledged_row_lost(cluster, writer);
}

const auto versions = testing::Values(10, 11, 12, 13, 14, 16, 17, 18);
INSTANTIATE_TEST_SUITE_P(Versions, Failover, versions, name_of_version);
INSTANTIATE_TEST_SUITE_P(Versions, Pair, versions, name_of_version);

}  // namespace
}  // namespace hooks::harness
