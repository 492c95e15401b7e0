// Rules R01 to R11, as far as they ask for more than where the WAL of the two ends: those that come
// before the histories are compared.
#include "common/core/rejoin.h"

#include <gtest/gtest.h>

#include "tests/unit/rejoin_support.h"

namespace hooks {
namespace {

TEST(Rejoin, R01RefusesAnotherMajorVersion) {
    TargetFacts t = stopped_primary("0/5000000");
    t.major = 14;
    EXPECT_EQ(judge(t), "R01 refuse");
    EXPECT_EQ(reason(t), "node 0 holds a cluster of PostgreSQL 14, node 1 runs 15");
    t = running_standby("0/4000000");
    t.major = 16;
    EXPECT_EQ(judge(t), "R01 refuse");
    EXPECT_EQ(judge(t, online), "R01 refuse") << "a server that runs is not taken away";
}

TEST(Rejoin, OnlineRecoveryReplacesAnotherMajorVersion) {
    TargetFacts t = stopped_primary("0/5000000");
    t.major = 14;
    EXPECT_EQ(judge(t, online), "R09 base backup");
    EXPECT_EQ(judge(t, online_never), "R10 refuse");
}

struct UnknownFact {
    const char* what;
    void (*forget)(TargetFacts&);
    bool of_running_too;
};

const UnknownFact unknown_facts[] = {
    {"its system identifier", [](TargetFacts& t) { t.system_identifier = Unknown{"X"}; }, true},
    {"whether it was a primary", [](TargetFacts& t) { t.was_primary = Unknown{"X"}; }, true},
    {"its timeline history", [](TargetFacts& t) { t.history = Unknown{"X"}; }, true},
    {"the end of its WAL", [](TargetFacts& t) { t.end_of_wal = Unknown{"X"}; }, true},
    {"its control file", [](TargetFacts& t) { t.control = Unknown{"X"}; }, false},
    {"the newest page on its disk", [](TargetFacts& t) { t.on_disk = Unknown{"X"}; }, false},
    {"its redo position", [](TargetFacts& t) { t.redo = Unknown{"X"}; }, false},
};

TEST(Rejoin, R01RefusesWhatIsNotKnownAndNamesIt) {
    for (const UnknownFact& fact : unknown_facts) {
        TargetFacts t = stopped_standby("0/5000000");
        fact.forget(t);
        EXPECT_EQ(judge(t), "R01 refuse") << fact.what;
        EXPECT_EQ(reason(t), std::string("node 0: ") + fact.what + " is not known: X");
        EXPECT_EQ(judge_rejoin(source(), t, {}).next,
                  "Run pcp_recovery_node for node 0 to rebuild it.");
    }
}

TEST(Rejoin, OnlineRecoveryReplacesADirectoryThatNobodyCanMakeSenseOf) {
    for (const UnknownFact& fact : unknown_facts) {
        TargetFacts t = stopped_standby("0/5000000");
        fact.forget(t);
        EXPECT_EQ(judge(t, online), "R09 base backup") << fact.what;
        EXPECT_EQ(judge(t, online_never), "R10 refuse");
    }
}

TEST(Rejoin, R01RefusesWhereItIsNotKnownWhatWalTheSourceHas) {
    SourceFacts s = source();
    s.oldest_wal = Unknown{"X"};
    for (const TargetFacts& t :
         {stopped_primary("0/5000000"), stopped_primary("0/5000008"), stopped_standby("0/5000008"),
          stopped_standby("0/4000000"), running_standby("0/5000000")}) {
        EXPECT_EQ(judge(s, t), "R01 refuse");
        EXPECT_EQ(judge_rejoin(s, t, {}).reason,
                  "node 0: the oldest WAL that its primary has is not known: X");
    }
    EXPECT_EQ(judge(s, stopped_primary("0/5000000"), online), "R09 base backup");
    EXPECT_EQ(judge(s, running_standby("0/5000000"), online), "R11 stop and look again");
}

TEST(Rejoin, OfARunningNodeOnlyWhatSqlTellsIsNeeded) {
    for (const UnknownFact& fact : unknown_facts) {
        TargetFacts t = running_standby("0/5000000");
        fact.forget(t);
        EXPECT_EQ(judge(t), fact.of_running_too ? "R01 refuse" : "R06 follow") << fact.what;
        EXPECT_EQ(judge(t, online), fact.of_running_too ? "R11 stop and look again" : "R06 follow");
    }
}

TEST(Rejoin, R02NeverTouchesAnotherCluster) {
    TargetFacts t = stopped_primary("0/5000000");
    t.system_identifier = other_cluster;
    EXPECT_EQ(judge(t), "R02 refuse");
    EXPECT_EQ(reason(t), "node 0 holds another cluster (system identifier 7002, node 1 has 7001)");
    t = running_standby("0/5000000");
    t.system_identifier = other_cluster;
    EXPECT_EQ(judge(t), "R02 refuse");
    EXPECT_EQ(judge(t, online), "R02 refuse") << "somebody uses that server";
}

TEST(Rejoin, R02OnlineRecoveryReplacesTheDirectoryOfAnotherCluster) {
    TargetFacts t = stopped_primary("0/5000000");
    t.system_identifier = other_cluster;
    EXPECT_EQ(judge(t, online), "R02 base backup");
    EXPECT_EQ(judge(t, online_never), "R10 refuse");
}

TEST(Rejoin, R02RefusesAPlaceThatHoldsSomethingElse) {
    TargetFacts t;
    t.data_directory = false;
    t.foreign_files = "photos";
    EXPECT_EQ(judge(t), "R02 refuse");
    EXPECT_EQ(judge(t, online), "R02 refuse");
    EXPECT_EQ(judge(t, online_never), "R02 refuse");
}

TEST(Rejoin, R03ReplacesWhatAnUnfinishedRewindLeft) {
    TargetFacts t = stopped_standby("0/5000000");
    t.unfinished_marker = true;
    EXPECT_EQ(judge(t), "R03 base backup");
    EXPECT_EQ(judge(t, online), "R03 base backup");
    EXPECT_EQ(judge(t, never), "R10 refuse");
}

TEST(Rejoin, R03ComesBeforeWhateverTheFilesSay) {
    TargetFacts t;
    t.unfinished_marker = true;
    EXPECT_EQ(judge(t), "R03 base backup");
}

TEST(Rejoin, R11StopsWhatSomebodyStartedInSpiteOfARewindThatDidNotEnd) {
    TargetFacts t = running_standby("0/5000000");
    t.unfinished_marker = true;
    EXPECT_EQ(judge(t), "R11 stop and look again");
    EXPECT_EQ(judge(t, online), "R11 stop and look again");
    EXPECT_EQ(judge(t, never), "R10 refuse") << "it is not stopped for nothing";
    t.was_primary = true;
    EXPECT_EQ(judge(t, no_rejoin), "R10 refuse");
    t.history = TimelineHistory::parse(3, switched_at_5 + "2\t0/5400000\t\n");
    EXPECT_EQ(judge(t), "R04 refuse");
}

TEST(Rejoin, R04WaitsForASourceThatIsStillInRecovery) {
    SourceFacts s = source();
    s.in_recovery = true;
    for (const TargetFacts& t :
         {stopped_primary("0/5000000"), running_standby("0/4000000"), TargetFacts{}}) {
        EXPECT_EQ(judge(s, t), "R04 wait");
        EXPECT_EQ(judge(s, t, online), "R04 wait");
    }
}

TEST(Rejoin, R09MakesADataDirectoryWhereThereIsNone) {
    TargetFacts t;
    t.data_directory = false;
    EXPECT_EQ(judge(t), "R09 base backup");
    EXPECT_EQ(judge(t, online), "R09 base backup");
    EXPECT_EQ(judge(t, never), "R10 refuse");
}

TEST(Rejoin, R11StopsAServerThatLetsNobodyIn) {
    TargetFacts t;
    t.running = true;
    t.system_identifier = this_cluster;
    EXPECT_EQ(judge(t), "R11 stop and look again");
    EXPECT_EQ(judge(t, online), "R11 stop and look again");
    t.system_identifier = Unknown{"X"};
    EXPECT_EQ(judge(t), "R02 refuse") << "it may be anybody's";
    EXPECT_EQ(judge(t, online), "R02 refuse");
}

// Its files tell what it is even then.
TEST(Rejoin, AServerThatLetsNobodyInIsLeftAloneLikeOneThatDoes) {
    TargetFacts t = stopped_primary("0/5000000");
    t.running = true;
    EXPECT_EQ(judge(t), "R11 stop and look again");
    EXPECT_EQ(judge(t, no_rejoin), "R10 refuse");
    t.was_primary = false;
    EXPECT_EQ(judge(t, no_rejoin), "R11 stop and look again");
    t.system_identifier = other_cluster;
    EXPECT_EQ(judge(t), "R02 refuse");
    EXPECT_EQ(judge(t, online), "R02 refuse");
}

TEST(Rejoin, R11StopsASecondPrimary) {
    TargetFacts t = running_standby("0/5000100");
    t.was_primary = true;
    EXPECT_EQ(judge(t), "R11 stop and look again");
    EXPECT_EQ(judge(t, online), "R11 stop and look again");
    EXPECT_EQ(judge(t, never), "R11 stop and look again");
}

TEST(Rejoin, R10LeavesASecondPrimaryAloneWhenToldTo) {
    TargetFacts t = running_standby("0/5000100");
    t.was_primary = true;
    EXPECT_EQ(judge(t, no_rejoin), "R10 refuse");
}

TEST(Rejoin, R02NeverStopsThePrimaryOfAnotherCluster) {
    TargetFacts t = running_standby("0/5000100");
    t.was_primary = true;
    t.system_identifier = other_cluster;
    EXPECT_EQ(judge(t), "R02 refuse");
    EXPECT_EQ(judge(t, online), "R02 refuse");
    t.system_identifier = Unknown{"X"};
    EXPECT_EQ(judge(t), "R02 refuse");
}

}  // namespace
}  // namespace hooks
