#include "common/core/control_data.h"

#include <gtest/gtest.h>

#include "tests/unit/expect_error.h"

namespace hooks {
namespace {

// PostgreSQL 15, a standby that was stopped; lines that are not read are left out.
const std::string standby =
    "pg_control version number:            1300\n"
    "Catalog version number:               202209061\n"
    "Database system identifier:           7710897440265625779\n"
    "Database cluster state:               shut down in recovery\n"
    "pg_control last modified:             Sun Nov 22 07:40:14 2026\n"
    "Latest checkpoint location:           0/5000060\n"
    "Latest checkpoint's REDO location:    0/5000028\n"
    "Latest checkpoint's REDO WAL file:    000000010000000000000005\n"
    "Latest checkpoint's TimeLineID:       1\n"
    "Latest checkpoint's PrevTimeLineID:   1\n"
    "Latest checkpoint's full_page_writes: on\n"
    "Latest checkpoint's oldestCommitTsXid:0\n"
    "Time of latest checkpoint:            Sun Nov 22 07:40:14 2026\n"
    "Minimum recovery ending location:     0/60001A8\n"
    "Min recovery ending loc's timeline:   2\n"
    "Backup start location:                0/0\n"
    "wal_level setting:                    replica\n"
    "wal_log_hints setting:                on\n"
    "track_commit_timestamp setting:       off\n"
    "WAL block size:                       8192\n"
    "Bytes per WAL segment:                16777216\n"
    "Data page checksum version:           0\n"
    "Mock authentication nonce:            47b73e2e6d4f61b4b82ca204d56abe16\n";

std::string with(const std::string& from, const std::string& to) {
    std::string output = standby;
    const std::size_t at = output.find(from);
    EXPECT_NE(at, std::string::npos) << from;
    return output.replace(at, from.size(), to);
}

TEST(ControlData, HasTheFieldsThatTheRulesNeed) {
    const ControlData data = parse_control_data(standby);
    EXPECT_EQ(data.pg_control_version, 1300);
    EXPECT_EQ(data.system_identifier, 7710897440265625779U);
    EXPECT_EQ(data.state, ClusterState::shut_down_in_recovery);
    EXPECT_EQ(to_string(data.checkpoint), "0/5000060");
    EXPECT_EQ(to_string(data.redo), "0/5000028");
    EXPECT_EQ(data.checkpoint_timeline, 1U);
    EXPECT_EQ(to_string(data.min_recovery_end), "0/60001A8");
    EXPECT_EQ(data.min_recovery_timeline, 2U);
    EXPECT_TRUE(data.wal_log_hints);
    EXPECT_FALSE(data.data_checksums);
    EXPECT_EQ(data.wal_segment_size, 16777216U);
}

TEST(ControlData, TakesTheHigherOfTwoTimelines) {
    EXPECT_EQ(parse_control_data(standby).timeline(), 2U);
    EXPECT_EQ(parse_control_data(with("timeline:   2", "timeline:   0")).timeline(), 1U);
}

TEST(ControlData, CanBeRewoundWithHintsOrChecksums) {
    EXPECT_TRUE(parse_control_data(standby).rewind_possible());
    const std::string no_hints =
        with("wal_log_hints setting:                on", "wal_log_hints setting: off");
    EXPECT_FALSE(parse_control_data(no_hints).rewind_possible());
    EXPECT_TRUE(parse_control_data(with("checksum version:           0", "checksum version: 1"))
                    .rewind_possible());
}

TEST(ControlData, ReadsPaddedPositionsOfLaterVersions) {
    EXPECT_EQ(parse_control_data(with("0/60001A8", "0/060001A8")).min_recovery_end, Lsn{0x60001A8});
}

TEST(ControlData, KnowsEveryState) {
    const struct {
        const char* text;
        ClusterState state;
        bool clean;
    } states[] = {
        {"starting up", ClusterState::starting_up, false},
        {"shut down", ClusterState::shut_down, true},
        {"shut down in recovery", ClusterState::shut_down_in_recovery, true},
        {"shutting down", ClusterState::shutting_down, false},
        {"in crash recovery", ClusterState::in_crash_recovery, false},
        {"in archive recovery", ClusterState::in_archive_recovery, false},
        {"in production", ClusterState::in_production, false},
    };
    for (const auto& [text, state, clean] : states) {
        const ControlData data = parse_control_data(with("shut down in recovery", text));
        EXPECT_EQ(data.state, state);
        EXPECT_EQ(data.shut_down_cleanly(), clean) << text;
        EXPECT_STREQ(to_string(state), text);
    }
}

TEST(ControlData, AcceptsTheLineEndsOfATerminal) {
    std::string output;
    for (const char c : standby) {
        output += c == '\n' ? "\r\n" : std::string(1, c);
    }
    EXPECT_EQ(parse_control_data(output).state, ClusterState::shut_down_in_recovery);
}

TEST(ControlData, RefusesAnotherLanguageOrProgram) {
    const std::string hint =
        "; Run the pg_controldata of the cluster's own major version with LC_ALL=C.";
    EXPECT_EQ(thrown([] { parse_control_data(""); }),
              "command: pg_controldata: no line \"pg_control version number\"" + hint);
    EXPECT_EQ(thrown([] {
                  parse_control_data(with("Database cluster state:", "Datenbank-Cluster-Status:"));
              }),
              "command: pg_controldata: no line \"Database cluster state\"" + hint);
}

TEST(ControlData, RefusesAValueThatMakesNoSense) {
    const auto error = [](const std::string& from, const std::string& to) {
        return thrown([&] { parse_control_data(with(from, to)); });
    };
    EXPECT_EQ(error("shut down in recovery", "asleep"),
              "command: pg_controldata: \"Database cluster state\" is \"asleep\"");
    EXPECT_EQ(error("0/5000028", "here"),
              "command: pg_controldata: \"Latest checkpoint's REDO location\" is \"here\"");
    EXPECT_EQ(error("7710897440265625779", "99999999999999999999"),
              "command: pg_controldata: \"Database system identifier\" is "
              "\"99999999999999999999\"");
    EXPECT_EQ(error("setting:                on", "setting: maybe"),
              "command: pg_controldata: \"wal_log_hints setting\" is \"maybe\"");
    EXPECT_EQ(error("16777216", "16777215"),
              "command: pg_controldata: \"Bytes per WAL segment\" is 16777215");
    EXPECT_EQ(error("16777216", "0"), "command: pg_controldata: \"Bytes per WAL segment\" is 0");
}

TEST(ControlData, RefusesOutputThatWarns) {
    const std::string hint =
        "; Either this pg_controldata has another major version than the cluster, or "
        "global/pg_control is damaged.";
    for (const std::string warning :
         {"WARNING: Calculated CRC checksum does not match value stored in file.",
          "pg_controldata: warning: calculated CRC checksum does not match value stored in control "
          "file",
          "WARNING: invalid WAL segment size",
          "pg_controldata: warning: possible byte ordering mismatch"}) {
        EXPECT_EQ(thrown([&] { parse_control_data(warning + "\n" + standby); }),
                  "command: pg_controldata: " + warning + hint);
    }
}

}  // namespace
}  // namespace hooks
