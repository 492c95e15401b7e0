// What stands in the files of a server, read without pg_controldata and pg_waldump, against what
// the server says itself, and against those two where they are installed.
#include <gtest/gtest.h>

#include <filesystem>

#include "common/app/node_steps.h"
#include "common/core/wal_end.h"
#include "tests/support/place.h"
#include "tests/versions/servers.h"

namespace hooks::harness {
namespace {

namespace fs = std::filesystem;
using std::chrono::seconds;

// As the account of the servers, where they are.
class PlaceNode final : public Node {
  public:
    PlaceNode(std::string label, const Place& place) : Node(std::move(label)), place_(place) {}

    Outcome run(const Command& command, Deadline deadline, const LineSink& on_line) override {
        Command there = place_.command(command.argv, command.environment);
        there.input = command.input;
        return run_process(there, deadline, on_line);
    }

  private:
    const Place& place_;
};

class Files : public testing::TestWithParam<int> {
  protected:
    Files() : cluster(options()) {}

    void SetUp() override {
        cluster.start();
        // Nothing but the server itself, whatever else there is of this version.
        bare_ = cluster.base_directory() + "/programs";
        ASSERT_TRUE(cluster
                        .run_shell("mkdir " + bare_ + " && ln -s " + cluster.postgres_bin_dir() +
                                   "/postgres " + cluster.postgres_bin_dir() + "/pg_ctl " + bare_)
                        .ok());
        for (NodeOptions* each : {&without_, &with_}) {
            *each = default_config().node(0);
        }
        without_.postgres_bin_dir = bare_;
        with_.postgres_bin_dir = cluster.postgres_bin_dir();
    }
    static ClusterOptions options() {
        ClusterOptions options = on_version(GetParam());
        options.nodes = 2;
        options.with_pgpool = false;
        return options;
    }
    Target look(int node, const NodeOptions& options) {
        const PostgresServer& server = cluster.server(node);
        Target target{{node, cluster.host(node), cluster.port(node), server.data_directory(), ""},
                      options,
                      std::make_unique<PlaceNode>("node " + std::to_string(node), server.place()),
                      {},
                      {}};
        look_at_files(target, GetParam(), Deadline::after(seconds(20)));
        look_at_wal(target, Deadline::after(seconds(60)));
        return target;
    }
    // Where pg_controldata and pg_waldump are, they must say the same.
    Target look(int node) {
        Target target = look(node, without_);
        EXPECT_TRUE(target.report.control) << target.report.control.why();
        EXPECT_FALSE(target.report.pg_waldump);
        if (GetParam() == 15) {
            const Target theirs = look(node, with_);
            EXPECT_TRUE(theirs.report.control && *theirs.report.control == *target.report.control);
            EXPECT_EQ(theirs.report.timeline(), target.report.timeline());
            EXPECT_EQ(theirs.report.history, target.report.history);
            EXPECT_EQ(theirs.report.pg_waldump, true);
            EXPECT_EQ(last_waldump_record(theirs.waldump), last_waldump_record(target.waldump))
                << theirs.waldump << target.waldump;
        }
        return target;
    }
    static Lsn end_of_wal(const Target& target) {
        const TargetFacts facts = target_facts(0, target.report, target.waldump);
        EXPECT_TRUE(facts.end_of_wal) << facts.end_of_wal.why();
        return facts.end_of_wal ? *facts.end_of_wal : Lsn{};
    }
    void expect_as_the_server_says(int node) {
        const PgRow row =
            cluster
                .sql(node,
                     "SELECT pg_control_version, system_identifier, checkpoint_lsn, redo_lsn,"
                     " timeline_id, min_recovery_end_lsn, min_recovery_end_timeline,"
                     " bytes_per_wal_segment, current_setting('wal_log_hints'),"
                     " current_setting('data_checksums')"
                     " FROM pg_control_system(), pg_control_checkpoint(), pg_control_recovery(),"
                     " pg_control_init()")
                .at(0);
        const ControlData control = *look(node).report.control;
        const std::vector<std::string> read = {std::to_string(control.pg_control_version),
                                               std::to_string(control.system_identifier),
                                               to_string(control.checkpoint),
                                               to_string(control.redo),
                                               std::to_string(control.checkpoint_timeline),
                                               to_string(control.min_recovery_end),
                                               std::to_string(control.min_recovery_timeline),
                                               std::to_string(control.wal_segment_size),
                                               control.wal_log_hints ? "on" : "off",
                                               control.data_checksums ? "on" : "off"};
        for (std::size_t i = 0; i < read.size(); ++i) {
            EXPECT_EQ(read[i], row.at(i).value_or("")) << "column " << i;
        }
    }
    // More than one page, segment and checkpoint.
    void write() {
        cluster.sql(0,
                    "CREATE TABLE public.wide AS"
                    " SELECT repeat('x', 3000) || g AS x FROM generate_series(1, 1000) AS g");
        cluster.sql(0, "SELECT pg_switch_wal()");
        cluster.sql(0, "CHECKPOINT");
        cluster.sql(0, "CREATE TABLE public.more AS SELECT * FROM public.wide");
        cluster.sql(0, "SELECT pg_switch_wal()");
        cluster.sql(0, "INSERT INTO public.harness_markers VALUES ('last')");
        cluster.wait_until([&] { return cluster.streaming_problem(1).empty(); }, seconds(10),
                           "the standby has it");
    }

    Cluster cluster;
    NodeOptions without_;
    NodeOptions with_;

  private:
    std::string bare_;
};

TEST_P(Files, OfServersThatRunAreAsTheySay) {
    write();
    cluster.sql(1, "CHECKPOINT");
    expect_as_the_server_says(0);
    expect_as_the_server_says(1);
    EXPECT_EQ(look(0).report.control->state, ClusterState::in_production);
    EXPECT_EQ(look(1).report.control->state, ClusterState::in_archive_recovery);
}

TEST_P(Files, OfACleanStopEndWhereTheStandbyHasReceivedAll) {
    write();
    cluster.stop_postgres(0);
    const Target target = look(0);
    EXPECT_EQ(target.report.control->state, ClusterState::shut_down);
    const auto last = last_waldump_record(target.waldump);
    ASSERT_TRUE(last);
    EXPECT_TRUE(last->shutdown_checkpoint);
    EXPECT_EQ(last->start, target.report.control->checkpoint);
    EXPECT_EQ(to_string(end_of_wal(target)),
              cluster.sql_value(1, "SELECT pg_last_wal_receive_lsn()"));
    cluster.stop_postgres(1);
    EXPECT_EQ(look(1).report.control->state, ClusterState::shut_down_in_recovery);
    EXPECT_EQ(end_of_wal(look(1)), end_of_wal(target));
}

TEST_P(Files, OfACrashEndWhereItsRecoveryDoes) {
    write();
    const Lsn flushed =
        parse_lsn(cluster.sql_value(0, "SELECT pg_current_wal_flush_lsn()")).value_or(Lsn{});
    cluster.kill_postgres_at_once(0);
    cluster.kill_postgres_at_once(1);
    const Target target = look(0);
    EXPECT_EQ(target.report.control->state, ClusterState::in_production);
    EXPECT_GE(end_of_wal(target), flushed);
    EXPECT_EQ(end_of_wal(look(1)), end_of_wal(target));
    const auto last = last_waldump_record(target.waldump);
    ASSERT_TRUE(last);
    cluster.start_postgres(0);
    const std::string log = cluster.server_log(0);
    const std::string end = "redo done at ";
    const std::size_t at = log.rfind(end);
    ASSERT_NE(at, std::string::npos) << log;
    EXPECT_EQ(parse_lsn(log.substr(at + end.size(),
                                   log.find_first_of(" \n", at + end.size()) - at - end.size())),
              last->start);
}

TEST_P(Files, OfAPromotedServerHaveItsNewTimelineAndHistory) {
    write();
    cluster.kill_postgres_at_once(0);
    const Place& place = cluster.server(1).place();
    place.must_run(
        {cluster.postgres_bin_dir() + "/pg_ctl", "-D", cluster.data_directory(1), "promote"});
    cluster.wait_until([&] { return cluster.sql_value(1, "SELECT pg_is_in_recovery()") == "f"; },
                       seconds(30), "it is promoted");
    cluster.sql(1, "CHECKPOINT");
    cluster.sql(1, "INSERT INTO public.harness_markers VALUES ('after')");
    expect_as_the_server_says(1);
    cluster.kill_postgres_at_once(1);
    const Target target = look(1);
    EXPECT_EQ(target.report.control->timeline(), 2U);
    const TargetFacts facts = target_facts(1, target.report, target.waldump);
    ASSERT_TRUE(facts.history) << facts.history.why();
    EXPECT_EQ(facts.history->entries().size(), 2U);
    EXPECT_GT(end_of_wal(target), target.report.control->checkpoint);
}

INSTANTIATE_TEST_SUITE_P(Versions, Files, testing::Values(10, 11, 12, 13, 14, 15, 16, 17, 18),
                         name_of_version);

}  // namespace
}  // namespace hooks::harness
