// What a standby has beside its primary stays when it follows another, whatever file it is in.
#include <gtest/gtest.h>

#include <filesystem>
#include <sstream>

#include "tests/versions/servers.h"

namespace hooks::harness {
namespace {

namespace fs = std::filesystem;
using std::chrono::seconds;

class Settings : public ByHandTest, public testing::WithParamInterface<int> {
  protected:
    explicit Settings(ClusterOptions options = by_hand())
        : ByHandTest(on_version(GetParam(), std::move(options))) {}

    void append(int node, const std::string& file, const std::string& text) const {
        const std::string path = cluster.data_directory(node) + "/" + file;
        cluster.server(node).place().write_file(path, read_file(path) + text);
    }
    void fail_over() {
        cluster.kill_postgres(0);
        const Outcome outcome = call(cluster, "failover_command", 0, 1, 0);
        ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
    }
    std::string follow(int node) {
        const Outcome outcome = call(cluster, "follow_primary_command", node, 1, 0);
        EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
        return outcome.err;
    }
};

// Below 12 they are in recovery.conf, which is written anew.
class RecoveryConf : public Settings {
  protected:
    const std::string own =
        "archive_cleanup_command = 'touch cleaned'\n"
        "restore_command = 'touch asked; false'\n"
        "recovery_end_command = 'touch ended'\n";

    void expect_kept(int node, const std::string& text) const {
        expect_settings_of_a_standby(cluster, node);
        const std::string settings = read_file(cluster.data_directory(node) + "/recovery.conf");
        std::istringstream lines(text);
        for (std::string line; std::getline(lines, line);) {
            EXPECT_NE(settings.find("\n" + line + "\n"), std::string::npos) << line << settings;
        }
        EXPECT_EQ(settings.find("recovery_target_time ="), std::string::npos) << settings;
        EXPECT_EQ(settings.find("trigger_file"), std::string::npos) << settings;
    }
    bool is_there(int node, const std::string& name) const {
        return fs::exists(cluster.data_directory(node) + "/" + name);
    }
    void expect_cleaned(int node) {
        EXPECT_FALSE(is_there(node, "cleaned"));
        cluster.sql(1, "CHECKPOINT");
        EXPECT_EQ(cluster.streaming_problem(node), "");
        cluster.sql(node, "CHECKPOINT");  // a restartpoint
        cluster.wait_until([&] { return is_there(node, "cleaned"); }, seconds(20),
                           "archive_cleanup_command is run");
    }
};

TEST_P(RecoveryConf, OfAStoppedStandbyKeepsItsCommands) {
    cluster.stop_postgres(2);
    append(2, "recovery.conf",
           own + "recovery_target_time = '2000-01-01'\ntrigger_file = '/tmp/x'\n");
    fail_over();
    follow(2);
    expect_history(cluster, "rule=R06 exit=0");
    expect_streaming(cluster, 2, seconds(60));
    expect_kept(2, own);
    EXPECT_TRUE(is_there(2, "asked"));
    expect_cleaned(2);
}

TEST_P(RecoveryConf, OfARunningStandbyKeepsItsDelay) {
    cluster.stop_postgres(2);
    append(2, "recovery.conf", own + "recovery_min_apply_delay = '1h'\n");
    cluster.start_postgres(2);
    cluster.wait_until([&] { return cluster.view(2).receiver_status == "streaming"; }, seconds(20),
                       "it streams");
    fail_over();
    follow(2);
    expect_history(cluster, "(recovery_min_apply_delay is 1h)");
    expect_kept(2, own + "recovery_min_apply_delay = '1h'\n");
    // A commit of now is not replayed, and received.
    cluster.sql(1, "CREATE TABLE public.later AS SELECT 1 AS row");
    const std::string end = cluster.sql_value(1, "SELECT pg_current_wal_flush_lsn()");
    cluster.wait_until(
        [&] {
            return cluster.sql_value(2, "SELECT pg_last_wal_receive_lsn() >= '" + end + "'") == "t";
        },
        seconds(20), "it receives");
    EXPECT_EQ(cluster.sql_value(2, "SELECT to_regclass('public.later') IS NULL"), "t");
}

// recovery.done has what it was told as a standby; the line that cannot be read is said.
TEST_P(RecoveryConf, OfAFormerPrimaryIsItsRecoveryDone) {
    cluster.server(0).place().write_file(
        cluster.data_directory(0) + "/recovery.done",
        "standby_mode = 'on'\n" + own + "primary_conninfo = 'host=/nowhere\n");
    cluster.kill_postgres(0);
    ASSERT_EQ(call(cluster, "failover_command", 0, 1, 0).exit_code, 0);
    follow(0);
    expect_history(cluster, "exit=0 verdict=\"node 0");
    expect_streaming(cluster, 0, seconds(60));
    expect_kept(0, own);
    EXPECT_NE(cluster.hook_log().find("recovery.done:5: unterminated quoted string"),
              std::string::npos)
        << cluster.hook_log();
}

// From 12 to 15. A standby that finds the file ends its recovery at once.
class TriggerFile : public Settings {};

TEST_P(TriggerFile, OfAnotherFileThanAutoConfPromotesNobody) {
    const std::string file = cluster.base_directory() + "/promote";
    cluster.stop_postgres(2);
    append(2, "postgresql.conf", "promote_trigger_file = '" + file + "'\n");
    cluster.server(2).place().write_file(file, "");
    fail_over();
    follow(2);
    expect_history(cluster, "rule=R06 exit=0");
    expect_streaming(cluster, 2, seconds(60));
    EXPECT_EQ(cluster.sql_value(2, "SHOW promote_trigger_file"), "");
    EXPECT_TRUE(fs::exists(file));
}

// Which is done before a rewind, so where pg_rewind is.
class TriggerFileOfACrash : public Settings {};

TEST_P(TriggerFileOfACrash, PromotesNobodyWhileItIsSettled) {
    const std::string file = cluster.base_directory() + "/promote";
    append(0, "postgresql.conf", "promote_trigger_file = '" + file + "'\n");
    crash_diverged(cluster);
    cluster.server(0).place().write_file(file, "");
    ASSERT_EQ(call(cluster, "failover_command", 0, 1, 0).exit_code, 0);
    follow(0);
    expect_history(cluster, "exit=0 verdict=\"node 0");
    expect_streaming(cluster, 0, seconds(60));
    expect_not_diverged(0);
    EXPECT_NE(cluster.hook_log().find("crash recovery done"), std::string::npos);
    EXPECT_TRUE(fs::exists(file)) << "a server took it for an order to end recovery";
}

// From 17 on.
class SynchronizedSlots : public Settings {
  protected:
    SynchronizedSlots() : Settings(options()) {}

    static ClusterOptions options() {
        ClusterOptions options = by_hand();
        options.postgres_settings["wal_level"] = "logical";
        options.postgres_settings["hot_standby_feedback"] = "on";
        options.postgres_settings["sync_replication_slots"] = "on";
        return options;
    }
    void prepare() override {
        for (const int node : {1, 2}) {
            cluster.sql(node,
                        "ALTER SYSTEM SET primary_conninfo = " +
                            quote_sql_literal(cluster.sql_value(node, "SHOW primary_conninfo") +
                                              " dbname=postgres"));
            cluster.sql(node, "SELECT pg_reload_conf()");
        }
    }
    void make_slot(int primary, const std::string& name) {
        cluster.sql(primary, "SELECT pg_create_logical_replication_slot('" + name +
                                 "', 'pgoutput', false, false, true)");
    }
    void expect_synchronized(int primary, int node, const std::string& name) {
        cluster.wait_until(
            [&] {
                cluster.sql(primary, "SELECT pg_log_standby_snapshot()");
                return cluster.sql_value(node,
                                         "SELECT count(*) FROM pg_replication_slots WHERE synced "
                                         "AND slot_name = '" +
                                             name + "'") == "1";
            },
            seconds(60), name + " is synchronized");
    }
};

TEST_P(SynchronizedSlots, AreSynchronizedFromTheNextPrimary) {
    make_slot(0, "before");
    expect_synchronized(0, 2, "before");
    fail_over();
    follow(2);
    expect_streaming(cluster, 2, seconds(60));
    make_slot(1, "after");
    expect_synchronized(1, 2, "after");
}

INSTANTIATE_TEST_SUITE_P(Versions, RecoveryConf, testing::Values(10, 11), name_of_version);
INSTANTIATE_TEST_SUITE_P(Versions, TriggerFile, testing::Values(12, 15), name_of_version);
INSTANTIATE_TEST_SUITE_P(Versions, TriggerFileOfACrash, testing::Values(15), name_of_version);
INSTANTIATE_TEST_SUITE_P(Versions, SynchronizedSlots, testing::Values(17, 18), name_of_version);

}  // namespace
}  // namespace hooks::harness
