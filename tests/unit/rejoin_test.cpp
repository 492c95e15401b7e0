// Rules R04 to R10 where the histories are compared, each with its edges. What comes before is in
// rejoin_first_test.cpp, the plans are in rejoin_plan_test.cpp, and what holds for all of them in
// rejoin_space_test.cpp.
#include "common/core/rejoin.h"

#include <gtest/gtest.h>

#include "tests/unit/rejoin_support.h"

namespace hooks {
namespace {

// --- on an older timeline than the source: where does the WAL end? ---

TEST(Rejoin, R06FollowsWhenTheWalOfAPrimaryEndsAtTheSwitchpoint) {
    EXPECT_EQ(judge(stopped_primary("0/5000000")), "R06 follow");
    TargetFacts crashed = stopped_primary("0/5000000");
    crashed.control = control_of(ClusterState::in_production);
    EXPECT_EQ(judge(crashed), "R06 follow") << "crashed or not";
}

TEST(Rejoin, R08RewindsAPrimaryWithOneByteMore) {
    EXPECT_EQ(judge(stopped_primary("0/5000001")), "R08 rewind");
}

TEST(Rejoin, R05RebuildsAPrimaryWithOneByteLess) {
    EXPECT_EQ(judge(stopped_primary("0/4FFFFFF")), "R05 base backup");
    EXPECT_EQ(reason(stopped_primary("0/4FFFFFF")),
              "node 0 was the primary up to 0/5000000, but its WAL ends at 0/4FFFFFF: it lost WAL "
              "that it had sent");
    EXPECT_EQ(judge(stopped_primary("0/4FFFFFF"), never), "R10 refuse");
}

TEST(Rejoin, R06FollowsWhenAStandbyReceivedNoMoreThanTheSource) {
    EXPECT_EQ(judge(stopped_standby("0/4FFFFFF")), "R06 follow");
    EXPECT_EQ(judge(stopped_standby("0/5000000")), "R06 follow");
    EXPECT_EQ(judge(running_standby("0/4FFFFFF")), "R06 follow");
    EXPECT_EQ(judge(running_standby("0/5000000")), "R06 follow");
}

TEST(Rejoin, R07TrimsWhatAStandbyReceivedAndDidNotReplay) {
    EXPECT_EQ(judge(stopped_standby("0/5000001", "0/5000000")), "R07 trim");
    EXPECT_EQ(judge(stopped_standby("0/5000001", "0/5000000"), never), "R07 trim");
    const RejoinVerdict verdict = judge_rejoin(source(), stopped_standby("0/5000001"), {});
    EXPECT_EQ(verdict.switchpoint, lsn("0/5000000"));
}

TEST(Rejoin, R07IsNotForPagesPastTheSwitchpoint) {
    EXPECT_EQ(judge(stopped_standby("0/5000002", "0/5000001")), "R08 rewind");
}

// Nothing bounds what a primary wrote to its files.
TEST(Rejoin, R07IsNotForAPrimary) {
    TargetFacts t = stopped_primary("0/5000001");
    t.on_disk = lsn("0/4000000");
    EXPECT_EQ(judge(t), "R08 rewind");
}

TEST(Rejoin, R07IsNotForWalThatTheSourceNoLongerHas) {
    SourceFacts s = source();
    s.oldest_wal = lsn("0/5000000");
    TargetFacts t = stopped_standby("0/6000001", "0/5000000");
    t.redo = lsn("0/5000000");
    EXPECT_EQ(judge(s, t), "R07 trim");
    s.oldest_wal = lsn("0/5000001");
    EXPECT_EQ(judge(s, t), "R09 base backup");
    EXPECT_EQ(judge(s, t, never), "R10 refuse");
}

TEST(Rejoin, ARunningStandbyPastTheSwitchpointIsLookedAtWhenItIsStopped) {
    EXPECT_EQ(judge(running_standby("0/5000001")), "R08 stop and look again");
    EXPECT_EQ(judge(running_standby("0/5000001"), online), "R08 stop and look again");
}

TEST(Rejoin, ARepointedStandbyIsWaitedForUnlessItIsPastTheSwitchpoint) {
    EXPECT_EQ(reason_not_to_wait(source(), running_standby("0/5000000")), "");
    EXPECT_EQ(reason_not_to_wait(source(), running_standby("0/5000001")),
              "node 0 diverged: it has WAL up to 0/5000001 on timeline 1, node 1 left that history "
              "at 0/5000000");
    TargetFacts half_a_record = running_standby("0/5000001");
    half_a_record.replay_stands_at = lsn("0/5000000");
    EXPECT_EQ(reason_not_to_wait(source(), half_a_record), "");
    SourceFacts recovering = source();
    recovering.in_recovery = true;
    EXPECT_EQ(reason_not_to_wait(recovering, running_standby("0/5000001")), "");
    TargetFacts unknown = running_standby("0/5000001");
    unknown.end_of_wal = Unknown{"it does not say"};
    EXPECT_EQ(reason_not_to_wait(source(), unknown), "");
}

// --- on the same timeline ---

TargetFacts on_timeline_2(TargetFacts t, const char* history = switched_at_5.c_str()) {
    t.history = TimelineHistory::parse(2, history);
    return t;
}

TEST(Rejoin, R06FollowsWhenARunningStandbyHasOnlyHalfARecordPastTheSwitchpoint) {
    TargetFacts t = running_standby("0/5800000");
    t.replay_stands_at = lsn("0/5000000");
    const RejoinVerdict v = judge_rejoin(source(), t, {});
    EXPECT_EQ(v.rule, "R06");
    EXPECT_EQ(v.action, RejoinAction::follow);
    t.replay_stands_at = lsn("0/4FFFFFF");  // it may stand there for another reason
    EXPECT_EQ(judge_rejoin(source(), t, {}).action, RejoinAction::stop_and_look_again);
}

TEST(Rejoin, R06FollowsOnTheSameTimelineUpToWhatTheSourceFlushed) {
    EXPECT_EQ(judge(on_timeline_2(stopped_standby("0/5000100"))), "R06 follow");
    EXPECT_EQ(judge(on_timeline_2(stopped_standby("0/6000000"))), "R06 follow");
    EXPECT_EQ(judge(on_timeline_2(running_standby("0/6000000"))), "R06 follow");
}

TEST(Rejoin, R05RebuildsWhoeverIsAheadOnTheSameTimeline) {
    EXPECT_EQ(judge(on_timeline_2(stopped_standby("0/6000001"))), "R05 base backup");
    EXPECT_EQ(judge(on_timeline_2(stopped_standby("0/6000001")), never), "R10 refuse");
    EXPECT_EQ(judge(on_timeline_2(running_standby("0/6000001"))), "R05 stop and look again");
}

TEST(Rejoin, R05NamesWhatWillBeLost) {
    EXPECT_EQ(judge_rejoin(source(), on_timeline_2(stopped_standby("0/6000001")), {}).diverged,
              std::pair(lsn("0/6000000"), lsn("0/6000001")))
        << "from where the source is";
    const char* const later = "1\t0/5000060\tno recovery target specified\n";
    EXPECT_EQ(
        judge_rejoin(source(), on_timeline_2(stopped_primary("0/5000100"), later), {}).diverged,
        std::pair(lsn("0/5000000"), lsn("0/5000100")))
        << "from the earlier of two promotions";
}

// pg_rewind would take 0/6400000 for common ground, and the source was never there.
TEST(Rejoin, R05RebuildsWhoeverLeftTheSourcesTimelineAheadOfTheSource) {
    TargetFacts t = stopped_primary("0/6800000");
    t.history = TimelineHistory::parse(3, switched_at_5 + "2\t0/6000000\t\n");
    EXPECT_EQ(judge(t, online), "R08 rewind") << "where the source is: it has all up to there";
    t.history = TimelineHistory::parse(3, switched_at_5 + "2\t0/6400000\t\n");
    EXPECT_EQ(judge(t, online), "R05 base backup");
    EXPECT_EQ(judge(t, online_never), "R10 refuse");
    EXPECT_EQ(judge(t), "R04 refuse") << "nobody asked for it";
    EXPECT_EQ(reason(t, online),
              "node 0 left timeline 2 at 0/6400000, ahead of node 1, which is at 0/6000000");
    EXPECT_EQ(judge_rejoin(source(), t, online).diverged,
              std::pair(lsn("0/6000000"), lsn("0/6800000")));
}

TEST(Rejoin, R05RebuildsWhoeverWasPromotedToTheSameNumberElsewhere) {
    const char* const later = "1\t0/5000060\tno recovery target specified\n";
    EXPECT_EQ(judge(on_timeline_2(stopped_primary("0/5000100"), later)), "R05 base backup");
    EXPECT_EQ(judge(on_timeline_2(stopped_standby("0/5000100"), later)), "R05 base backup");
    EXPECT_EQ(reason(on_timeline_2(stopped_standby("0/5000100"), later)),
              "node 0 and node 1 were both promoted to timeline 2, at 0/5000060 and 0/5000000: "
              "pg_rewind cannot tell them apart");
}

// Two promoted at the same position cannot be told apart by their histories.
TEST(Rejoin, R05RebuildsWhoeverWroteTheSameTimeline) {
    EXPECT_EQ(judge(on_timeline_2(stopped_primary("0/5000100"))), "R05 base backup");
}

// The numbers agree and the beginnings do, but the way there was another one.
TEST(Rejoin, R05RebuildsWhoeverCameToTheSameTimelineByAnotherWay) {
    SourceFacts s = source();
    s.history = TimelineHistory::parse(3, "1\t0/4800000\t\n2\t0/5000000\t\n");
    TargetFacts t = stopped_standby("0/5000100");
    t.history = TimelineHistory::parse(3, "1\t0/5000000\t\n");
    EXPECT_EQ(judge(s, t), "R05 base backup");
    EXPECT_EQ(judge(s, t, never), "R10 refuse");
}

// --- on a timeline that the source does not have ---

TEST(Rejoin, R08RewindsFromAHigherTimelineToTheCommonAncestor) {
    TargetFacts t = stopped_primary("0/5800000");
    t.history = TimelineHistory::parse(3, switched_at_5 + "2\t0/5400000\t\n");
    EXPECT_EQ(judge(t, online), "R08 rewind");
    RejoinVerdict verdict = judge_rejoin(source(), t, online);
    EXPECT_EQ(verdict.switchpoint, lsn("0/5400000"));
    EXPECT_EQ(verdict.diverged, std::pair(lsn("0/5400000"), lsn("0/5800000")));

    t.history = TimelineHistory::parse(3, "1\t0/4C00000\t\n");
    verdict = judge_rejoin(source(), t, {});
    EXPECT_EQ(verdict.rule, "R08");
    EXPECT_EQ(verdict.switchpoint, lsn("0/4C00000")) << "the earlier of the two ends";
}

// Pgpool may call with a primary that a later failover left behind.
TEST(Rejoin, R04StopsNobodyWhoFollowsALaterPromotionOfTheSource) {
    TargetFacts t = running_standby("0/5800000");
    t.history = TimelineHistory::parse(3, switched_at_5 + "2\t0/5400000\t\n");
    EXPECT_EQ(judge(t), "R04 refuse");
    EXPECT_EQ(judge(t, online), "R08 stop and look again") << "a person asked for it";
    t.was_primary = true;
    EXPECT_EQ(judge(t), "R04 refuse") << "it is the one that took over";
    t.history = TimelineHistory::parse(3, "1\t0/4C00000\t\n");
    EXPECT_EQ(judge(t), "R11 stop and look again") << "a higher number alone means nothing";
}

// Stopped, it may have the only copy of what was acknowledged since.
TEST(Rejoin, R04RewindsNobodyToAPrimaryOfThePast) {
    for (TargetFacts t : {stopped_primary("0/5800000"), stopped_standby("0/5800000")}) {
        t.history = TimelineHistory::parse(3, switched_at_5 + "2\t0/5400000\t\n");
        EXPECT_EQ(judge(t), "R04 refuse");
        EXPECT_EQ(judge(t, never), "R04 refuse");
        EXPECT_EQ(judge(t, online), "R08 rewind") << "a person asked for it";
        EXPECT_EQ(reason(t),
                  "node 0 is on timeline 3, which began after the one of node 1: it is node 1 that "
                  "is out of date");
        t.system_identifier = other_cluster;
        EXPECT_EQ(judge(t), "R02 refuse");
    }
    TargetFacts elsewhere = stopped_primary("0/5800000");
    elsewhere.history = TimelineHistory::parse(3, "1\t0/4C00000\t\n");
    EXPECT_EQ(judge(elsewhere), "R08 rewind") << "it did not leave the timeline of the source";
}

TEST(Rejoin, R09RebuildsWhereThereIsNoCommonAncestor) {
    TargetFacts t = stopped_primary("0/5800000");
    t.history = TimelineHistory::parse(3, "");
    EXPECT_EQ(judge(t), "R09 base backup");
    EXPECT_EQ(judge(t, never), "R10 refuse");
    EXPECT_EQ(reason(t),
              "node 0 is on timeline 3, which is not in the history of node 1; no rewind: the two "
              "have no timeline in common");
}

// A promotion by way of two timelines.
TEST(Rejoin, TheSwitchpointIsThatOfTheTargetsOwnTimeline) {
    SourceFacts s = source();
    s.history = TimelineHistory::parse(3, switched_at_5 + "2\t0/5800000\t\n");
    EXPECT_EQ(judge(s, stopped_primary("0/5000000")), "R06 follow");
    EXPECT_EQ(judge(s, stopped_primary("0/5000001")), "R08 rewind");
    EXPECT_EQ(judge(s, on_timeline_2(stopped_primary("0/5800000"))), "R06 follow");
    EXPECT_EQ(judge(s, on_timeline_2(stopped_primary("0/5800001"))), "R08 rewind");
}

// --- is a rewind possible? ---

TEST(Rejoin, R08NamesWhatWillBeLost) {
    const RejoinVerdict verdict = judge_rejoin(source(), stopped_primary("0/5000100"), {});
    EXPECT_EQ(verdict.diverged, std::pair(lsn("0/5000000"), lsn("0/5000100")));
    EXPECT_EQ(verdict.reason,
              "node 0 diverged: it has WAL up to 0/5000100 on timeline 1, node 1 left that history "
              "at 0/5000000");
    EXPECT_EQ(judge_rejoin(source(), stopped_primary("0/5000000"), {}).diverged, std::nullopt);
}

struct Obstacle {
    const char* why;
    void (*place)(SourceFacts&, TargetFacts&, RejoinPolicy&);
};

const Obstacle obstacles[] = {
    {"neither wal_log_hints nor data checksums are on",
     [](SourceFacts&, TargetFacts& t, RejoinPolicy&) {
         ControlData control = *t.control;
         control.wal_log_hints = false;
         t.control = control;
     }},
    {"full_page_writes is off on node 1",
     [](SourceFacts& s, TargetFacts&, RejoinPolicy&) { s.full_page_writes = false; }},
    {"it was tried and failed",
     [](SourceFacts&, TargetFacts&, RejoinPolicy& p) {
         p.rewind_obstacle = "it was tried and failed";
     }},
    {"pg_rewind is not installed there",
     [](SourceFacts&, TargetFacts& t, RejoinPolicy&) { t.pg_rewind_installed = false; }},
    {"pg_rewind is not installed there",
     [](SourceFacts&, TargetFacts& t, RejoinPolicy&) { t.pg_rewind_installed = Unknown{"X"}; }},
    {"node 1 no longer has the WAL from 0/4000028 on that it would need",
     [](SourceFacts& s, TargetFacts&, RejoinPolicy&) { s.oldest_wal = lsn("0/4000029"); }},
    {"node 1 no longer has the WAL from 0/5000000 on that it would need",
     [](SourceFacts& s, TargetFacts& t, RejoinPolicy&) {
         t.redo = lsn("0/5000060");
         s.oldest_wal = lsn("0/5000001");
     }},
};

TEST(Rejoin, R09RebuildsWhereARewindIsNotPossible) {
    for (const Obstacle& obstacle : obstacles) {
        SourceFacts s = source();
        TargetFacts t = stopped_primary("0/5000100");
        RejoinPolicy policy;
        obstacle.place(s, t, policy);
        const RejoinVerdict verdict = judge_rejoin(s, t, policy);
        EXPECT_EQ(judge(s, t, policy), "R09 base backup") << obstacle.why;
        EXPECT_TRUE(verdict.reason.ends_with(std::string("; no rewind: ") + obstacle.why))
            << verdict.reason;
        EXPECT_EQ(verdict.diverged, std::pair(lsn("0/5000000"), lsn("0/5000100")));
        policy.base_backup = false;
        EXPECT_EQ(judge(s, t, policy), "R10 refuse") << obstacle.why;
    }
}

TEST(Rejoin, R08NeedsHintsOrChecksumsNotBoth) {
    TargetFacts t = stopped_primary("0/5000100");
    ControlData control = *t.control;
    control.wal_log_hints = false;
    control.data_checksums = true;
    t.control = control;
    EXPECT_EQ(judge(t), "R08 rewind");
}

TEST(Rejoin, R08NeedsTheWalFromTheRedoPositionOn) {
    SourceFacts s = source();
    s.oldest_wal = lsn("0/4000028");
    EXPECT_EQ(judge(s, stopped_primary("0/5000100")), "R08 rewind");
}

// Its own pg_wal is empty, or damaged: its last page is known, and nothing that leads there.
TEST(Rejoin, R06NeedsTheWalFromTheRedoPositionOnWhereTheTargetsOwnCannotBeRead) {
    SourceFacts s = source();
    TargetFacts t = stopped_standby("0/4800000");
    t.wal_readable = false;
    s.oldest_wal = lsn("0/4000028");
    EXPECT_EQ(judge(s, t), "R06 follow");
    s.oldest_wal = lsn("0/4000029");
    EXPECT_EQ(judge(s, t), "R09 base backup");
    EXPECT_EQ(judge(s, t, never), "R10 refuse");
    t.end_of_wal = lsn("0/5000001");
    EXPECT_EQ(judge(s, t), "R09 base backup") << "nor is it trimmed";
    s.oldest_wal = lsn("0/4000028");
    EXPECT_EQ(judge(s, t), "R07 trim");
}

TEST(Rejoin, R06NeedsTheWalFromTheTargetsEndOn) {
    SourceFacts s = source();
    s.oldest_wal = lsn("0/4800000");
    EXPECT_EQ(judge(s, stopped_standby("0/4800000")), "R06 follow");
    EXPECT_EQ(judge(s, running_standby("0/4800000")), "R06 follow");
    EXPECT_EQ(judge(s, stopped_standby("0/47FFFFF")), "R09 base backup");
    EXPECT_EQ(judge(s, stopped_standby("0/47FFFFF"), never), "R10 refuse");
    EXPECT_EQ(judge(s, running_standby("0/47FFFFF")), "R09 stop and look again");
    EXPECT_EQ(judge(s, running_standby("0/47FFFFF"), never), "R10 refuse")
        << "it is not stopped for nothing";
}

}  // namespace
}  // namespace hooks
