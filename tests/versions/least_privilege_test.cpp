// The hooks on each major version with a role that is no superuser and has what examples/roles.sql
// grants there.
#include <gtest/gtest.h>

#include "tests/support/hook_call.h"
#include "tests/support/least_privilege.h"
#include "tests/support/stories.h"
#include "tests/versions/servers.h"

namespace hooks::harness {
namespace {

using std::chrono::seconds;

bool can_copy(int major) {
    return major <= major_version_of(find_postgres_bin_dir());
}

class LeastPrivilege : public testing::TestWithParam<int> {
  protected:
    LeastPrivilege() : cluster(options()), writer(cluster) {}

    void SetUp() override {
        cluster.start();
        give_role(cluster);
        writer.start();
        writer.wait_for_commits(10);
    }
    void TearDown() override {
        expect_nothing_denied(cluster);
        expect_no_superuser_session(cluster);
        expect_one_writable(cluster);
        expect_no_acknowledged_row_lost(cluster, writer);
    }
    void expect_standby(int node) {
        expect_streaming(cluster, node, seconds(60));
        expect_attached(cluster, node);
        expect_settings_of_a_standby(cluster, node);
    }
    void expect_standbys() {
        const int primary = cluster.primary().value_or(-1);
        ASSERT_NE(primary, -1) << cluster.dump();
        for (int node = 0; node < cluster.size(); ++node) {
            if (node != primary) {
                expect_standby(node);
            }
        }
    }

    Cluster cluster;
    Writer writer;

  private:
    static ClusterOptions options() {
        ClusterOptions options = with_role(on_version(GetParam()));
        options.postgres_settings["log_checkpoints"] = "on";
        return options;
    }
};

TEST_P(LeastPrivilege, WhatIsLostIsReplacedAndFollowsTwice) {
    const std::string started = cluster.start_time(2);
    cluster.kill_postgres(0);
    writer.wait_for_commits(10);
    expect_standbys();
    EXPECT_EQ(cluster.start_time(2) == started, GetParam() >= 15)
        << "by a reload, or by a restart: before 15 nobody else may ALTER SYSTEM";
    // Now the timelines have histories.
    cluster.kill_postgres(cluster.primary().value_or(1));
    writer.wait_for_commits(10);
    expect_standbys();
    EXPECT_EQ(cluster.view(cluster.primary().value_or(0)).timeline, 3);
}

TEST_P(LeastPrivilege, AWipedNodeIsRebuiltAndASwitchoverLosesNothing) {
    if (can_copy(GetParam())) {
        wipe_out(cluster, 2);
        for (const char* hook : {"recovery_1st_stage", "pgpool_remote_start"}) {
            const Outcome outcome = cluster.run_hook(hook, right_words(cluster, hook, 2, 0));
            EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
        }
        EXPECT_TRUE(cluster.pcp("pcp_attach_node", {"2"}).ok());
        expect_standby(2);
    }
    const Outcome outcome = cluster.pcp("pcp_promote_node", {"--switchover", "1"});
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    cluster.wait_until([&] { return cluster.primary() == 1; }, seconds(30), "node 1 takes over");
    writer.wait_for_commits(10);
    expect_standbys();
    const std::string log = cluster.server_log(0);
    EXPECT_TRUE(log.find(": immediate force wait\n") != std::string::npos ||
                log.find(": fast force wait\n") != std::string::npos)
        << "no checkpoint before the shutdown: " << last_lines(log, 40);
}

class LeastPrivilegeOfARewind : public ByHandTest, public testing::WithParamInterface<int> {
  protected:
    LeastPrivilegeOfARewind() : ByHandTest(with_role(on_version(GetParam(), by_hand()))) {}

    void SetUp() override {
        ByHandTest::SetUp();
        give_role(cluster);
    }
    void TearDown() override {
        expect_nothing_denied(cluster);
        expect_no_superuser_session(cluster);
        ByHandTest::TearDown();
    }
    // There is none of these versions here: one that asks the source, as it was told to connect,
    // for what a real one asks, and then fails.
    std::string put_a_pg_rewind_in_place() {
        const std::string bin = cluster.base_directory() + "/programs";
        const Place here(cluster.account());
        here.make_directory(bin, 0755);
        here.must_run({"/bin/sh", "-c", "ln -s \"$0\"/* \"$1\"", cluster.postgres_bin_dir(), bin});
        const std::string chunks =
            "SELECT length(pg_read_binary_file('PG_VERSION', 0, 2, true)) FROM ";
        here.write_file(
            bin + "/statements",
            "SELECT timeline_id FROM pg_control_checkpoint();\n"
            "SELECT pg_is_in_recovery(), current_setting('full_page_writes');\n"
            "SELECT length(pg_read_binary_file('global/pg_control'));\n"
            "SELECT count(*) FROM pg_ls_dir('.', true, false) AS name, "
            "pg_stat_file(name, true);\n" +
                (GetParam() < 14 ? "CREATE TEMPORARY TABLE chunks AS SELECT 1;\n" + chunks +
                                       "chunks;\nSELECT 'all was granted';\n"
                                 : chunks + "(SELECT 1) AS c;\nSELECT 'all was granted';\n"));
        here.write_file(bin + "/pg_rewind",
                        "#!/bin/sh\nfor word; do case $word in --source-server=*) "
                        "source=${word#*=} ;; esac; done\nexec >>" +
                            bin + "/answers 2>&1\n" + find_postgres_bin_dir() +
                            "/psql -X -At -v ON_ERROR_STOP=1 -f " + bin +
                            "/statements \"$source\"\nexit 1\n",
                        0755);
        here.write_file(
            cluster.hooks_conf_path(),
            read_file(cluster.hooks_conf_path()) + "0.postgres_bin_dir = '" + bin + "'\n", 0644);
        return bin;
    }
    void lose_diverged_primary() {
        crash_diverged(cluster);
        const Outcome outcome = call(cluster, "failover_command", 0, 1, 0);
        ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
    }
};

TEST_P(LeastPrivilegeOfARewind, MayReadItsSourceFrom11OnAndIsABaseBackupBefore) {
    const std::string bin = put_a_pg_rewind_in_place();
    lose_diverged_primary();
    const Outcome outcome = call(cluster, "follow_primary_command", 0, 1, 0);
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    expect_streaming(cluster, 0, seconds(60));
    expect_not_diverged(0);
    expect_history(cluster, "rule=R09 exit=0");
    if (GetParam() < 11) {
        expect_history(cluster, "no rewind: pg_rewind before PostgreSQL 11 reads as a superuser");
        return;
    }
    const std::string answers = read_file(bin + "/answers");
    EXPECT_NE(answers.find("all was granted\n"), std::string::npos) << answers;
    EXPECT_EQ(answers.substr(0, 2), "2\n") << "the control file shows the old timeline";
}

INSTANTIATE_TEST_SUITE_P(Versions, LeastPrivilege, testing::Values(10, 11, 12, 13, 14, 16, 17, 18),
                         name_of_version);
INSTANTIATE_TEST_SUITE_P(Versions, LeastPrivilegeOfARewind, testing::Values(10, 11, 12, 13, 14),
                         name_of_version);

}  // namespace
}  // namespace hooks::harness
