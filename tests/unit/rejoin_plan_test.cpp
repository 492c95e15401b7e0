// The verdicts of the rejoin rules as steps, by version and by who asks.
#include <gtest/gtest.h>

#include "tests/unit/rejoin_support.h"

namespace hooks {
namespace {

TargetFacts crashed_primary(const char* end_of_wal) {
    TargetFacts t = stopped_primary(end_of_wal);
    t.control = control_of(ClusterState::in_production);
    return t;
}

std::string steps(int major, TargetFacts t, const RejoinPolicy& policy = {}) {
    SourceFacts s = source();
    s.major = major;
    t.major = major;
    return rule_and_outline(decide_rejoin(s, t, policy));
}

TEST(RejoinPlan, FollowsByReloadFrom13On) {
    EXPECT_EQ(steps(13, running_standby("0/4000000")), "R06: create_slots repoint prove attach");
    EXPECT_EQ(steps(18, running_standby("0/4000000")), "R06: create_slots repoint prove attach");
    expect_golden("rejoin_follow_running", decide_rejoin(source(), running_standby("0/4FFFFD8")));
}

TEST(RejoinPlan, FollowsByRestartBelow13) {
    EXPECT_EQ(steps(12, running_standby("0/4000000")),
              "R06: create_slots stop write_settings start prove attach");
}

TEST(RejoinPlan, FollowsByRestartWhereAlterSystemIsForbidden) {
    TargetFacts t = running_standby("0/4000000");
    t.reload_possible = false;
    EXPECT_EQ(steps(17, t), "R06: create_slots stop write_settings start prove attach");
    EXPECT_EQ(steps(17, t, online), "R06: create_slots stop write_settings");
}

TEST(RejoinPlan, StartsAStoppedNodeThatCanFollowCrashedOrNot) {
    for (const int major : {10, 11, 12, 15, 18}) {
        EXPECT_EQ(steps(major, stopped_primary("0/5000000")),
                  "R06: create_slots write_settings start prove attach");
        EXPECT_EQ(steps(major, crashed_primary("0/5000000")),
                  "R06: create_slots write_settings start prove attach");
    }
    expect_golden("rejoin_follow_stopped", decide_rejoin(source(), crashed_primary("0/5000000")));
}

TEST(RejoinPlan, TrimsFromTheSwitchpointOn) {
    EXPECT_EQ(steps(15, stopped_standby("0/5000100")),
              "R07: create_slots trim_wal write_settings start prove attach");
    expect_golden("rejoin_trim", decide_rejoin(source(), stopped_standby("0/5000100")));
}

TEST(RejoinPlan, RewindsAfterACheckpointBelow16) {
    EXPECT_EQ(steps(15, stopped_primary("0/5000100")),
              "R08: create_slots rescue_wal checkpoint rewind write_settings start prove attach");
    EXPECT_EQ(steps(16, stopped_primary("0/5000100")),
              "R08: create_slots rescue_wal rewind write_settings start prove attach");
}

TEST(RejoinPlan, SettlesACrashBeforeARewind) {
    EXPECT_EQ(steps(15, crashed_primary("0/5000100")),
              "R08: create_slots rescue_wal checkpoint settle_crash rewind write_settings start "
              "prove attach");
    EXPECT_EQ(steps(16, crashed_primary("0/5000100")),
              "R08: create_slots rescue_wal settle_crash rewind write_settings start prove attach");
    // pg_rewind's own crash recovery fails on a standby.
    TargetFacts standby = stopped_standby("0/5000100", "0/5000080");
    standby.control = control_of(ClusterState::in_archive_recovery);
    EXPECT_EQ(steps(16, standby),
              "R08: create_slots rescue_wal settle_crash rewind write_settings start prove attach");
    expect_golden("rejoin_rewind_crashed", decide_rejoin(source(), crashed_primary("0/5000100")));
}

TEST(RejoinPlan, BaseBackupGoesOnLikeAllOthers) {
    EXPECT_EQ(steps(15, stopped_primary("0/4000000")),
              "R05: create_slots base_backup write_settings start prove attach");
    expect_golden("rejoin_base_backup",
                  decide_rejoin(source(), stopped_primary("0/5000100"),
                                {true, true, false, "it was tried and failed: exit status 1"}));
    expect_golden("rejoin_base_backup_never",
                  decide_rejoin(source(), stopped_primary("0/4FFFFD8"), never));
}

// Starting, proving and attaching are pgpool's next steps.
TEST(RejoinPlan, OnlineRecoveryStopsShortOfTheStart) {
    EXPECT_EQ(steps(15, stopped_primary("0/5000000"), online), "R06: create_slots write_settings");
    EXPECT_EQ(steps(15, stopped_standby("0/5000100"), online),
              "R07: create_slots trim_wal write_settings");
    EXPECT_EQ(steps(15, crashed_primary("0/5000100"), online),
              "R08: create_slots rescue_wal checkpoint settle_crash rewind write_settings");
    EXPECT_EQ(steps(15, stopped_primary("0/4000000"), online),
              "R05: create_slots base_backup write_settings");
    EXPECT_EQ(steps(15, running_standby("0/4000000"), online),
              "R06: create_slots stop write_settings");
    TargetFacts none;
    none.data_directory = false;
    expect_golden("recovery_no_directory", decide_rejoin(source(), none, online));
}

TEST(RejoinPlan, StopsAndLooksAgainWhereOnlyAStoppedNodeCanBeJudged) {
    TargetFacts second_primary = running_standby("0/5000100");
    second_primary.was_primary = true;
    expect_golden("rejoin_second_primary", decide_rejoin(source(), second_primary));
    EXPECT_EQ(steps(15, running_standby("0/5000001")), "R08: stop look_again");
}

TEST(RejoinPlan, TellsWhetherAServerMustBeStartedInTheEnd) {
    EXPECT_FALSE(needs_a_start(decide_rejoin(source(), running_standby("0/5000000")))) << "reload";
    EXPECT_TRUE(needs_a_start(decide_rejoin(source(), running_standby("0/5000001")))) << "stop";
    EXPECT_TRUE(needs_a_start(decide_rejoin(source(), stopped_standby("0/5000000")))) << "start";
    EXPECT_TRUE(needs_a_start(decide_rejoin(source(), stopped_primary("0/5000001")))) << "rewind";
    TargetFacts none;
    none.data_directory = false;
    EXPECT_TRUE(needs_a_start(decide_rejoin(source(), none, online))) << "pgpool starts it";
    TargetFacts other = stopped_primary("0/5000000");
    other.system_identifier = other_cluster;
    EXPECT_FALSE(needs_a_start(decide_rejoin(source(), other))) << "refused";
}

TEST(RejoinPlan, RefusalsSayWhatToDo) {
    TargetFacts other = stopped_primary("0/5000000");
    other.system_identifier = other_cluster;
    expect_golden("rejoin_another_cluster", decide_rejoin(source(), other));

    SourceFacts in_recovery = source();
    in_recovery.in_recovery = true;
    expect_golden("rejoin_source_in_recovery",
                  decide_rejoin(in_recovery, stopped_primary("0/5000000")));

    TargetFacts unknown = stopped_primary("0/5000000");
    unknown.end_of_wal = Unknown{"pg_waldump found no record"};
    expect_golden("rejoin_unknown", decide_rejoin(source(), unknown));
}

}  // namespace
}  // namespace hooks
