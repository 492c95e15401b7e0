// What each major version asks of a repair: by hand, with something taken away.
#include <gtest/gtest.h>

#include <filesystem>

#include "common/core/control_file.h"
#include "tests/versions/servers.h"

namespace hooks::harness {
namespace {

namespace fs = std::filesystem;
using std::chrono::seconds;

class Repair : public ByHandTest, public testing::WithParamInterface<int> {
  protected:
    Repair() : ByHandTest(on_version(GetParam(), by_hand())) {}

    std::string shell(const std::string& command) {
        const Outcome outcome = cluster.run_shell(command);
        EXPECT_TRUE(outcome.ok()) << command << ": " << outcome.describe();
        return outcome.out;
    }
    void lose_diverged_primary() {
        crash_diverged(cluster, {"SELECT pg_switch_wal()", "CHECKPOINT",
                                 "INSERT INTO public.diverged VALUES (1001)"});
        const Outcome outcome = call(cluster, "failover_command", 0, 1, 0);
        ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
    }
    // A pg_basebackup copies from servers of its own version and of earlier ones.
    bool can_copy() const { return GetParam() <= major_version_of(find_postgres_bin_dir()); }
    void expect_repaired(int node) {
        expect_streaming(cluster, node, seconds(60));
        expect_not_diverged(node);
        expect_settings_of_a_standby(cluster, node);
        expect_history(cluster, "rule=R09 exit=0");
    }
    Outcome first_stage(int node) {
        return cluster.run_hook(
            "recovery_1st_stage",
            {cluster.data_directory(0), cluster.host(node), cluster.data_directory(node),
             std::to_string(cluster.port(0)), std::to_string(node),
             std::to_string(cluster.port(node)), cluster.host(0)});
    }
};

// Of a version from which nothing here can copy.
class RepairWithoutPgBasebackup : public Repair {};
// Of any version.
class RepairOfACrash : public Repair {};

// Pgpool-II calls the two by the extension pgpool_recovery, which is there for one version only.
TEST_P(Repair, AWipedNodeIsRebuiltAndStarted) {
    cluster.kill_postgres(2);
    cluster.wipe(2);
    Outcome outcome = first_stage(2);
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    expect_settings_of_a_standby(cluster, 2);
    outcome = cluster.run_hook("pgpool_remote_start", {cluster.host(2), cluster.data_directory(2)});
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    EXPECT_EQ(cluster.streaming_problem(2), "") << outcome.err;
    expect_history(cluster, "rule=S05 exit=0");
    // The next failover leads it to another timeline.
    cluster.kill_postgres(0);
    outcome = call(cluster, "failover_command", 0, 1, 0);
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    outcome = call(cluster, "follow_primary_command", 2, 1, 0);
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    expect_streaming(cluster, 2, seconds(60));
    expect_settings_of_a_standby(cluster, 2);
}

TEST_P(Repair, WithoutPgRewindIsABaseBackupThatSaysSo) {
    lose_diverged_primary();
    const Outcome outcome = call(cluster, "follow_primary_command", 0, 1, 0);
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    expect_repaired(0);
    expect_history(cluster, "no rewind: pg_rewind is not installed there");
    // What was thrown away is kept, whoever can read it.
    std::size_t kept = 0;
    for (const fs::directory_entry& entry :
         fs::recursive_directory_iterator(cluster.state_dir() + "/diverged")) {
        kept += entry.path().filename().string().starts_with("00000001") ? 1U : 0U;
    }
    EXPECT_GE(kept, 2U);
}

TEST_P(RepairWithoutPgBasebackup, IsRefusedBeforeAnythingIsTouched) {
    ASSERT_FALSE(can_copy());
    cluster.kill_postgres(2);
    cluster.wipe(2);
    const Outcome outcome = first_stage(2);
    EXPECT_EQ(outcome.exit_code, 3) << outcome.err;
    EXPECT_NE(outcome.err.find("rule=R10"), std::string::npos) << outcome.err;
    EXPECT_NE(outcome.err.find("nothing was changed"), std::string::npos) << outcome.err;
    EXPECT_NE(outcome.err.find("there is no pg_basebackup of PostgreSQL " +
                               std::to_string(GetParam()) + " or later"),
              std::string::npos)
        << outcome.err;
    EXPECT_FALSE(fs::exists(cluster.data_directory(2)));
}

// The rewind itself needs a program of the same version, which is not among these servers'. What
// is done before it and after its failure does not.
TEST_P(RepairOfACrash, SettlesItAsAStandbyBeforeARewindAndABaseBackupFollowsAFailedOne) {
    const std::string bin = cluster.base_directory() + "/programs";
    shell("mkdir " + bin + " && ln -s " + cluster.postgres_bin_dir() + "/* " + bin + "/ && cd " +
          bin + " && printf '%s\\n' '#!/bin/sh' 'cp \"$2/global/pg_control\" " + bin +
          "/seen' 'ls \"$2\" \"$2/pg_wal\" >" + bin +
          "/files' 'echo no WAL, says this test' 'exit 1' >pg_rewind && chmod 755 pg_rewind && "
          "echo \"0.postgres_bin_dir = '" +
          bin + "'\" >>" + cluster.hooks_conf_path());
    const std::string segment =
        cluster.sql_value(0, "SELECT pg_walfile_name(pg_current_wal_lsn())");
    const bool signal_files = GetParam() >= 12;
    const std::string own = "archive_cleanup_command = 'true'\n";
    if (!signal_files) {
        cluster.server(0).place().write_file(cluster.data_directory(0) + "/recovery.done",
                                             "standby_mode = 'on'\n" + own);
    }
    lose_diverged_primary();
    const Outcome outcome = call(cluster, "follow_primary_command", 0, 1, 0);
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    if (can_copy()) {
        expect_repaired(0);
        if (!signal_files) {
            EXPECT_NE(read_file(cluster.data_directory(0) + "/recovery.conf").find(own),
                      std::string::npos);
        }
    } else {
        expect_history(cluster, "there is no pg_basebackup of PostgreSQL");
        EXPECT_EQ(cluster.writable_nodes(), std::vector<int>{1});
    }
    expect_history(cluster, "it was tried and failed");
    expect_history(cluster, "no WAL, says this test");

    const std::string control = read_file(bin + "/seen");
    ASSERT_FALSE(control.empty()) << cluster.dump();
    EXPECT_EQ(parse_control_file(control).state, ClusterState::shut_down_in_recovery);
    const std::string files = read_file(bin + "/files");
    EXPECT_NE(files.find(segment + "\n"), std::string::npos)
        << "the WAL of the last common checkpoint was recycled: " << files;
    EXPECT_EQ(files.find("\nstandby.signal\n") != std::string::npos, signal_files) << files;
    EXPECT_EQ(files.find("\nrecovery.conf\n") != std::string::npos, !signal_files) << files;
    EXPECT_EQ(files.find("\nrecovery.done\n") != std::string::npos, !signal_files) << files;
}

INSTANTIATE_TEST_SUITE_P(Versions, Repair, testing::Values(10, 11, 12, 13, 14), name_of_version);
INSTANTIATE_TEST_SUITE_P(Versions, RepairWithoutPgBasebackup, testing::Values(16, 17, 18),
                         name_of_version);
INSTANTIATE_TEST_SUITE_P(Versions, RepairOfACrash, testing::Values(10, 11, 12, 13, 14, 16, 17, 18),
                         name_of_version);

}  // namespace
}  // namespace hooks::harness
