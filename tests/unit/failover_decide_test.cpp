// Rules F01 to F09, one by one; the whole space of facts is walked in failover_space_test.cpp.
#include "failover_command/decide.h"

#include <gtest/gtest.h>

#include "tests/unit/decision_support.h"

namespace hooks::failover {
namespace {

// Node 0 was the primary and is detached; %m is node 1.
constexpr Request primary_lost{0, 1, 0};
// Node 2 was a standby and is detached; node 0 is the primary.
constexpr Request standby_lost{2, 0, 0};

const ServerSeen dead = seen(0, Liveness::refused, "connection refused");

Decision decide_on(const std::vector<ServerSeen>& servers, const Request& request = primary_lost,
                   const Policy& policy = {}, const std::vector<Failed>& failed = {}) {
    return decide(request, servers, policy, failed);
}

// The ids of the candidates, best first: "2 1".
std::string ranking(const std::vector<ServerSeen>& servers, const Request& request = primary_lost,
                    const Policy& policy = {}, const std::vector<Failed>& failed = {}) {
    std::string ids;
    for (const ServerSeen* seen : rank_candidates(request, servers, policy, failed)) {
        ids += (ids.empty() ? "" : " ") + std::to_string(seen->backend.id);
    }
    return ids;
}

ServerSeen delayed(ServerSeen standby) {
    standby.server->apply_delay = std::chrono::hours(1);
    return standby;
}

ServerSeen of_another_cluster(ServerSeen server) {
    server.server->system_identifier = other_cluster;
    return server;
}

ServerSeen paused(ServerSeen standby, int version) {
    standby.server->version = version;
    standby.server->replay_paused = true;
    return standby;
}

// --- who is promoted ---

TEST(Ranking, AHigherTimelineBeatsMoreWal) {
    EXPECT_EQ(ranking({dead, standby(1, "0/9000000", 1), standby(2, "0/5000000", 2)}), "2 1");
}

TEST(Ranking, MoreWalBeatsTheNodeThatPgpoolNames) {
    EXPECT_EQ(ranking({dead, standby(1, "0/5000000"), standby(2, "0/5000001")}), "2 1");
}

TEST(Ranking, WalIsComparedAsANumber) {
    EXPECT_EQ(ranking({dead, standby(1, "9/F0000000"), standby(2, "10/0")}), "2 1");
    EXPECT_EQ(ranking({dead, standby(1, "0/FFFFFFFF"), standby(2, "80000000/0")}), "2 1");
}

TEST(Ranking, ReceivedOrReplayedWhicheverIsMore) {
    ServerSeen restarted = standby(2, "0/4000000");
    restarted.server->replayed = lsn("0/6000000");
    EXPECT_EQ(ranking({dead, standby(1, "0/5000000"), restarted}), "2 1");
}

TEST(Ranking, TheNodeThatPgpoolNamesBreaksATie) {
    EXPECT_EQ(ranking({dead, standby(1, "0/5000000"), standby(2, "0/5000000")}, {0, 2, 0}), "2 1");
}

TEST(Ranking, ThenTheLowestId) {
    EXPECT_EQ(ranking({standby(5, "0/5000000"), standby(3, "0/5000000"), dead}, {0, -1, 0}), "3 5");
}

TEST(Ranking, ADelayedStandbyComesLastWhateverItReceived) {
    EXPECT_EQ(ranking({dead, delayed(standby(1, "0/9000000", 2)), standby(2, "0/5000000")}), "2 1");
    EXPECT_EQ(ranking({dead, delayed(standby(1, "0/9000000")), seen(2, Liveness::refused)}), "1");
}

TEST(Ranking, TakesPgpoolsWordWhenItIsToldTo) {
    const Policy policy{.candidate = CandidateChoice::pgpool};
    const std::vector<ServerSeen> servers = {dead, delayed(standby(1, "0/5000000")),
                                             standby(2, "0/9000000", 2)};
    EXPECT_EQ(ranking(servers, primary_lost, policy), "1 2");
    EXPECT_EQ(ranking(servers, {0, 0, 0}, policy), "2 1") << "%m is no candidate";
    EXPECT_EQ(ranking(servers, primary_lost, policy, {{1, "it broke"}}), "2");
}

TEST(Ranking, LeavesOutWhoeverCannotBePromoted) {
    EXPECT_EQ(
        ranking({standby(0, "0/9000000"), seen(1, Liveness::rejecting), seen(2, Liveness::denied),
                 seen(3, Liveness::silent), seen(4, Liveness::refused), standby(5, "0/5000000")}),
        "5")
        << "the detached node itself is none either";
}

TEST(Ranking, LeavesOutTheNodeOfAnotherCluster) {
    const ServerSeen stranger = of_another_cluster(standby(1, "9/0", 7));
    EXPECT_EQ(ranking({dead, stranger, standby(2, "0/5000000"), standby(3, "0/5000000")}), "2 3");
    EXPECT_EQ(ranking({primary(0, "0/5000000"), stranger, standby(2, "0/5000000")}), "2")
        << "the old primary tells which cluster is meant, too";
}

TEST(Ranking, KnowsNobodyWhenTheClustersAreAsFrequent) {
    EXPECT_EQ(ranking({dead, of_another_cluster(standby(1, "0/5000000")), standby(2, "0/5000000")}),
              "");
}

// --- a primary was lost ---

TEST(Failover, F05PromotesWhenTheOldPrimaryDoesNotRun) {
    expect_golden("failover_primary_dead",
                  decide_on({dead, standby(1, "0/5000028"), standby(2, "0/5000028")}));
}

TEST(Failover, F05PromotesTheOtherStandbyWhenPgpoolsIsBehind) {
    expect_golden("failover_other_standby_ahead",
                  decide_on({dead, standby(1, "0/5000028"), standby(2, "0/6000028")}));
}

TEST(Failover, F05PromotesTheThirdNodeWhenPrimaryAndPgpoolsChoiceAreLostTogether) {
    const Decision decision =
        decide_on({dead, seen(1, Liveness::silent), standby(2, "0/5000028")}, {0, 1, 0});
    EXPECT_EQ(rule_and_outline(decision), "F05: create_slots promote");
    const auto& slots = std::get<CreateSlots>(std::get<Plan>(decision).steps[0]);
    EXPECT_EQ(slots.node, 2);
    EXPECT_EQ(slots.slots, (std::vector<std::string>{"pgpool_node_0", "pgpool_node_1"}))
        << "both may come back";
}

TEST(Failover, F05PromotesInAPair) {
    EXPECT_EQ(rule_and_outline(decide_on({dead, standby(1, "0/5000028")})),
              "F05: create_slots promote");
}

TEST(Failover, F05PromotesWhenTheDetachedNodeIsAStandbyByNow) {
    EXPECT_EQ(rule_and_outline(decide_on(
                  {standby(0, "0/5000028"), standby(1, "0/5000028"), standby(2, "0/4000028")})),
              "F05: create_slots promote");
}

TEST(Failover, F05PromotesWhenTheDetachedNodeIsNoLongerInPgpoolConf) {
    const Decision decision = decide_on({standby(1, "0/5000028"), standby(2, "0/5000028")});
    EXPECT_EQ(rule_and_outline(decision), "F05: create_slots promote");
    EXPECT_EQ(std::get<CreateSlots>(std::get<Plan>(decision).steps[0]).slots,
              std::vector<std::string>{"pgpool_node_2"});
}

TEST(Failover, ResumesReplayOnlyWhereAPauseHoldsUpAPromotion) {
    EXPECT_EQ(outline(decide_on({dead, paused(standby(1, "0/5000028"), 120022)})),
              "create_slots resume_replay promote");
    EXPECT_EQ(outline(decide_on({dead, paused(standby(1, "0/5000028"), 130000)})),
              "create_slots promote");
}

TEST(Failover, F04ShutsDownAnOldPrimaryThatIsStillThere) {
    const std::vector<ServerSeen> there = {
        primary(0, "0/5000100"), seen(0, Liveness::rejecting, "the database system is starting up"),
        seen(0, Liveness::denied, "password authentication failed")};
    for (const ServerSeen& old_primary : there) {
        for (const UnfencedPrimary unfenced : {UnfencedPrimary::promote, UnfencedPrimary::refuse}) {
            EXPECT_EQ(rule_and_outline(
                          decide_on({old_primary, standby(1, "0/5000028"), standby(2, "0/5000028")},
                                    primary_lost, {.unfenced_primary = unfenced})),
                      "F04: stop look_again")
                << old_primary.describe();
        }
    }
    expect_golden("failover_primary_alive",
                  decide_on({there[0], standby(1, "0/5000028"), standby(2, "0/5000028")}));
}

TEST(Failover, F04StopsNobodyWhenThereIsNoOneToTakeOver) {
    EXPECT_EQ(rule_and_outline(decide_on({primary(0, "0/5000100"), seen(1, Liveness::refused)})),
              "F07: refuse");
}

TEST(Failover, F04StopsNobodyWhomNoStandbyFollows) {
    EXPECT_EQ(rule_and_outline(decide_on({primary(0, "0/5000100", 3), standby(1, "0/6000000", 2),
                                          standby(2, "0/6000000", 2)})),
              "F04: refuse");
    EXPECT_EQ(rule_and_outline(decide_on({primary(0, "0/5000100", 3), standby(1, "0/4000000", 3),
                                          standby(2, "0/6000000", 2)})),
              "F04: stop look_again");
}

// All health checks fail at once when something is wrong with pgpool's own host.
TEST(Failover, F01LeavesALivingPrimaryAloneWhenPgpoolHasLostEverybody) {
    EXPECT_EQ(rule_and_outline(
                  decide_on({primary(0, "0/5000100"), standby(1, "0/5000100")}, Request{0, -1, 0})),
              "F01: nothing");
    EXPECT_EQ(rule_and_outline(
                  decide_on({primary(0, "0/5000100"), standby(1, "0/5000100")}, Request{0, 1, 0})),
              "F04: stop look_again");
}

TEST(Failover, F09HandsOverASecondPrimaryThatPgpoolHasFound) {
    const Request found{2, 1, 1};  // node 2 was detached, node 1 is the primary
    const ServerSeen now = primary(1, "0/8000000", 3);
    EXPECT_EQ(rule_and_outline(
                  decide_on({standby(0, "0/8000000", 3), now, primary(2, "0/9000000", 2)}, found)),
              "F09: hand_over");
    EXPECT_EQ(
        rule_of(decide_on({standby(0, "0/8000000", 3), now, primary(2, "0/9000000", 3)}, found)),
        "F02")
        << "nobody can tell which of the two is the right one";
    ServerSeen stranger = primary(2, "0/9000000", 2);
    stranger.server->system_identifier = other_cluster;
    EXPECT_EQ(rule_of(decide_on({standby(0, "0/8000000", 3), now, stranger}, found)), "F02");
}

// Of two nodes out of recovery pgpool has detached the wrong one (detach_false_primary).
TEST(Failover, F09StopsAPrimaryOfThePastBesideTheDetachedPresentOne) {
    for (const int believed : {-1, 0, 1}) {
        const Request present_lost{1, 0, believed};
        const std::vector<ServerSeen> both = {primary(0, "0/9000000", 1),
                                              primary(1, "0/5000028", 2)};
        const Decision decision = decide_on(both, present_lost);
        EXPECT_EQ(rule_and_outline(decision), "F09: stop fence look_again");
        EXPECT_EQ(std::get<StopServer>(std::get<Plan>(decision).steps.at(0)).node, 0);
        OldPrimary known;
        known.past_stopped = true;
        EXPECT_EQ(rule_and_outline(decide(present_lost, {seen(0, Liveness::refused), both[1]}, {},
                                          {}, false, known)),
                  "F09: hand_over");
    }
    // The other way round, also for the node that pgpool took for the primary.
    EXPECT_EQ(rule_and_outline(decide_on({primary(0, "0/9000000", 1), primary(1, "0/5000028", 2)},
                                         Request{0, 1, 0})),
              "F09: hand_over");
}

TEST(Failover, F03DoesNotStopADetachedPrimaryOfAnotherCluster) {
    EXPECT_EQ(rule_and_outline(decide_on({of_another_cluster(primary(0, "9/0", 7)),
                                          standby(1, "0/5000028"), standby(2, "0/5000028")})),
              "F03: refuse");
}

// Pgpool was not told of a switchover, and loses whom it took for the primary.
TEST(Failover, F06DoesNotPromoteBesideANodeThatMayBeThePrimaryWhenTheDetachedIsAStandby) {
    for (const Liveness hidden : {Liveness::rejecting, Liveness::denied}) {
        EXPECT_EQ(rule_and_outline(
                      decide_on({standby(0, "0/5"), seen(1, hidden, "no entry"), standby(2, "0/5")},
                                Request{0, 2, 0})),
                  "F06: refuse");
    }
}

TEST(Failover, F06IsDecidedByThePolicyWhenTheOldPrimaryDoesNotAnswer) {
    const std::vector<ServerSeen> servers = {seen(0, Liveness::silent, "no answer within 2000 ms"),
                                             standby(1, "0/5000028"), standby(2, "0/5000028")};
    EXPECT_EQ(rule_and_outline(decide_on(servers)), "F06: create_slots promote");
    expect_golden("failover_primary_silent_refused",
                  decide_on(servers, primary_lost, {.unfenced_primary = UnfencedPrimary::refuse}));
}

TEST(Failover, F03DoesNothingWhenAnotherRunHasPromotedAlready) {
    expect_golden("failover_done_already",
                  decide_on({dead, primary(1, "0/5000100", 2), standby(2, "0/5000100", 2)}));
}

TEST(Failover, F04ShutsDownAPrimaryWhoseTimeIsOverAndDoesNotTakeItForTheNewOne) {
    const Decision decision =
        decide_on({dead, standby(1, "0/7000028", 3), primary(2, "0/9000000", 2)});
    EXPECT_EQ(rule_and_outline(decision), "F04: stop fence look_again");
    EXPECT_EQ(std::get<StopServer>(std::get<Plan>(decision).steps.at(0)).node, 2);
    EXPECT_EQ(
        rule_and_outline(decide_on({dead, primary(1, "0/8000028", 4), primary(2, "0/9000000", 2)})),
        "F03: nothing")
        << "the newer of two";
}

TEST(Failover, F03DoesNotTakeAPrimaryOfAnotherClusterForTheNewOne) {
    EXPECT_EQ(rule_and_outline(decide_on({dead, standby(1, "0/5000028"), standby(2, "0/5000028"),
                                          of_another_cluster(primary(3, "9/0", 7))})),
              "F03: refuse");
}

TEST(Failover, F07RefusesWhenNoStandbyCanBePromoted) {
    expect_golden("failover_nobody_can",
                  decide_on({dead, seen(1, Liveness::silent, "no answer within 2000 ms"),
                             seen(2, Liveness::denied, "no pg_hba.conf entry")}));
}

TEST(Failover, F07TellsWhyEachCandidateFailed) {
    const std::vector<ServerSeen> servers = {dead, standby(1, "0/5000028"),
                                             standby(2, "0/5000028")};
    const Decision next = decide_on(servers, primary_lost, {}, {{1, "it broke"}});
    EXPECT_EQ(std::get<Promote>(std::get<Plan>(next).steps.back()).node, 2);
    EXPECT_EQ(reason_of(decide_on(servers, primary_lost, {}, {{1, "it broke"}, {2, "so did it"}})),
              "no standby can be promoted: node 1 (db1:5432): it broke; node 2 (db2:5432): so did "
              "it");
}

TEST(Failover, F01HasNobodyLeft) {
    EXPECT_EQ(rule_and_outline(decide_on(
                  {dead, seen(1, Liveness::refused), seen(2, Liveness::silent)}, {0, -1, 0})),
              "F01: nothing");
    EXPECT_EQ(reason_of(decide_on({dead}, {0, -1, 0})),
              "no node is left to promote: there is no other node");
}

// --- pgpool does not say who was the primary ---

class UnknownOldPrimary : public testing::TestWithParam<int> {
  protected:
    const Request request_{0, 1, GetParam()};
};

TEST_P(UnknownOldPrimary, CountsAsTheDetachedNodeWhenAllOthersAreStandbysOrDown) {
    EXPECT_EQ(rule_and_outline(
                  decide_on({dead, standby(1, "0/5"), seen(2, Liveness::refused)}, request_)),
              "F05: create_slots promote");
    EXPECT_EQ(rule_and_outline(decide_on({primary(0, "0/5"), standby(1, "0/5")}, request_)),
              "F04: stop look_again");
}

TEST_P(UnknownOldPrimary, IsWhoeverIsAPrimary) {
    EXPECT_EQ(rule_and_outline(decide_on({dead, primary(1, "0/5"), standby(2, "0/5")}, request_)),
              "F03: nothing");
}

TEST_P(UnknownOldPrimary, MayBeANodeThatRunsAndDoesNotLetUsIn) {
    for (const Liveness hidden : {Liveness::rejecting, Liveness::denied}) {
        const Decision decision =
            decide_on({dead, standby(1, "0/5"), seen(2, hidden, "no entry")}, request_);
        EXPECT_EQ(rule_and_outline(decision), "F06: refuse");
        EXPECT_EQ(std::get<Refuse>(decision).next,
                  "Make sure that node 2 is no primary, then run pcp_promote_node for node 1.");
    }
}

TEST_P(UnknownOldPrimary, MayBeASilentNodeForWhoTakesNoChances) {
    const std::vector<ServerSeen> servers = {dead, standby(1, "0/5"), seen(2, Liveness::silent)};
    EXPECT_EQ(outline(decide_on(servers, request_)), "create_slots promote");
    EXPECT_EQ(rule_and_outline(
                  decide_on(servers, request_, {.unfenced_primary = UnfencedPrimary::refuse})),
              "F06: refuse");
}

TEST_P(UnknownOldPrimary, IsNotACandidateThatWasPutDown) {
    EXPECT_EQ(outline(decide_on({dead, standby(1, "0/5"), seen(2, Liveness::rejecting)}, request_,
                                {}, {{2, "it was stopped"}})),
              "create_slots promote");
}

INSTANTIATE_TEST_SUITE_P(NoneAndNever, UnknownOldPrimary, testing::Values(-1, -2),
                         [](const auto& each) { return each.param == -1 ? "None" : "Never"; });

// --- a standby was lost ---

TEST(StandbyLost, F02KeepsItsSlotWhereItCannotFillTheDisk) {
    const std::vector<ServerSeen> servers = {primary(0, "0/5"), standby(1, "0/5"),
                                             seen(2, Liveness::refused)};
    const struct {
        FailedStandbySlot policy;
        bool bounded;
        const char* outcome;
    } cases[] = {
        {FailedStandbySlot::keep_if_bounded, true, "F02: nothing"},
        {FailedStandbySlot::keep_if_bounded, false, "F02: drop_slot"},
        {FailedStandbySlot::keep, true, "F02: nothing"},
        {FailedStandbySlot::keep, false, "F02: nothing"},
        {FailedStandbySlot::drop, true, "F02: drop_slot"},
        {FailedStandbySlot::drop, false, "F02: drop_slot"},
    };
    for (const auto& [policy, bounded, outcome] : cases) {
        const Decision decision =
            decide(standby_lost, servers, {.failed_standby_slot = policy}, {}, bounded);
        EXPECT_EQ(rule_and_outline(decision), outcome) << static_cast<int>(policy) << bounded;
        if (const auto* plan = std::get_if<Plan>(&decision)) {
            const auto& drop = std::get<DropSlot>(plan->steps.at(0));
            EXPECT_EQ(drop.node, 0);
            EXPECT_EQ(drop.slot, "pgpool_node_2");
        }
    }
    expect_golden("failover_standby_lost", decide(standby_lost, servers, {}));
}

TEST(StandbyLost, F02AsksTheNodeThatIsThePrimaryNow) {
    const Decision decision =
        decide_on({seen(0, Liveness::refused), primary(1, "0/5", 2), seen(2, Liveness::refused)},
                  standby_lost);
    EXPECT_EQ(std::get<DropSlot>(std::get<Plan>(decision).steps.at(0)).node, 1);
}

// Whatever is wrong with the primary: pgpool has not detached it.
TEST(StandbyLost, F08NeverPromotes) {
    for (const ServerSeen& old_primary : {seen(0, Liveness::refused), seen(0, Liveness::silent),
                                          seen(0, Liveness::rejecting), standby(0, "0/5")}) {
        EXPECT_EQ(rule_and_outline(decide_on(
                      {old_primary, standby(1, "0/9"), seen(2, Liveness::refused)}, standby_lost)),
                  "F08: nothing");
    }
    EXPECT_EQ(rule_and_outline(decide_on({standby(1, "0/9")}, standby_lost)), "F08: nothing")
        << "not in pgpool.conf";
}

// Nothing was to be done, but the next call may be the one that counts.
TEST(StandbyLost, F08SaysSoWhenThePrimaryDoesNotLetUsIn) {
    const std::vector<ServerSeen> servers = {seen(0, Liveness::denied, "no pg_hba.conf entry"),
                                             standby(1, "0/9"), seen(2, Liveness::refused)};
    expect_golden("failover_primary_denies", decide_on(servers, standby_lost));
    std::vector<ServerSeen> hinted = servers;
    hinted[0].hint = "Add a line.";
    EXPECT_EQ(std::get<Refuse>(decide_on(hinted, standby_lost)).next, "Add a line.");
}

}  // namespace
}  // namespace hooks::failover
