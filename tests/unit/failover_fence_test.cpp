// What is decided about an old primary that this run stopped, or looked at on its host.
#include <gtest/gtest.h>

#include "failover_command/decide.h"
#include "tests/unit/decision_support.h"

namespace hooks::failover {
namespace {

constexpr Request primary_lost{0, 1, 0};
const ServerSeen dead = seen(0, Liveness::refused, "connection refused");
const ServerSeen silent = seen(0, Liveness::silent, "no answer within 2000 ms");

Decision decide_on(const std::vector<ServerSeen>& servers, const OldPrimary& old,
                   const Policy& policy = {}, const std::vector<Failed>& failed = {}) {
    return decide(primary_lost, servers, policy, failed, false, old);
}

// It answered, was stopped, and can be started again.
OldPrimary shut_down(const char* end = "0/5000098", TimelineId timeline = 1) {
    OldPrimary old;
    old.how = "from here";
    old.stopped = true;
    old.answered = true;
    old.can_return = true;
    old.end = OldPrimary::End{timeline, lsn(end)};
    return old;
}

OldPrimary not_clean() {
    OldPrimary old = shut_down();
    old.end.reset();
    old.why_no_end = "not shut down cleanly (in production)";
    return old;
}

OldPrimary unreachable_but(OldPrimary old) {
    old.answered = false;
    old.how = "by ssh through node 2";
    return old;
}

OldPrimary waited(OldPrimary old) {
    old.waited = true;
    return old;
}

int promoted(const Decision& decision) {
    return std::get<Promote>(std::get<Plan>(decision).steps.back()).node;
}

TEST(Fence, F04PromotesWhoHasAllOfWhatThePrimaryWrote) {
    const Decision decision =
        decide_on({dead, standby(1, "0/5000098"), standby(2, "0/5000098")}, shut_down());
    expect_golden("failover_switchover", decision);
}

// Delayed ones come last, and pgpool's first, where it is told to: here only the WAL counts.
TEST(Fence, F04PassesOverABetterRankedCandidateThatHasNotAll) {
    const Decision decision = decide_on({dead, standby(1, "0/5000028"), standby(2, "0/5000098")},
                                        shut_down(), {.candidate = CandidateChoice::pgpool});
    EXPECT_EQ(rule_and_outline(decision), "F04: create_slots fence promote");
    EXPECT_EQ(promoted(decision), 2);
}

TEST(Fence, F04WaitsOnceUntilSomebodyHasAll) {
    const std::vector<ServerSeen> servers = {dead, standby(1, "0/5000028"),
                                             standby(2, "0/5000090")};
    const Decision first = decide_on(servers, shut_down());
    EXPECT_EQ(rule_and_outline(first), "F04: wait_for_wal look_again");
    EXPECT_EQ(text(std::get<Plan>(first).steps.front()),
              "wait until a candidate, best node 2, has received timeline 1 up to 0/5000098");
    expect_golden("failover_restored", decide_on(servers, waited(shut_down())));
}

// It can be started again for as long as nobody was asked to take its place.
TEST(Fence, F04StartsTheOldPrimaryAgainWhenNobodyIsLeft) {
    const std::vector<ServerSeen> servers = {dead, standby(1, "0/5000098"),
                                             seen(2, Liveness::refused)};
    EXPECT_EQ(rule_and_outline(decide_on(servers, shut_down(), {}, {{1, "it cannot make a file"}})),
              "F04: start_as_primary");
    EXPECT_EQ(rule_and_outline(decide_on(servers, not_clean(), {}, {{1, "it cannot make a file"}})),
              "F04: start_as_primary");
    OldPrimary asked = shut_down();
    asked.can_return = false;
    EXPECT_EQ(rule_and_outline(decide_on(servers, asked, {}, {{1, "it may still do it"}})),
              "F07: refuse");
}

TEST(Fence, ACrashIsNoReasonToWaitForWalThatNobodySends) {
    const std::vector<ServerSeen> servers = {dead, standby(1, "0/5000028"),
                                             standby(2, "0/5000028")};
    OldPrimary lost_before = not_clean();  // it served nobody when it was stopped
    lost_before.can_return = false;
    for (const OldPrimary& old : {lost_before, unreachable_but(not_clean())}) {
        const Decision decision = decide_on(servers, old);
        EXPECT_EQ(outline(decision), "create_slots fence promote");
        EXPECT_NE(reason_of(decision).find("what it had not sent stays in its files"),
                  std::string::npos);
    }
}

// It served until we ended it: whether anybody has all of its rows is not known.
TEST(Fence, F04StartsAPrimaryAgainThatItEndedWithoutKnowingItsWal) {
    EXPECT_EQ(rule_and_outline(
                  decide_on({dead, standby(1, "0/5000028"), standby(2, "0/5000028")}, not_clean())),
              "F04: start_as_primary");
}

// A shutdown that took too long: its files tell where its WAL ends all the same.
TEST(Fence, F04ComparesTheWalOfAPrimaryThatWasNotShutDownCleanly) {
    OldPrimary old = waited(shut_down());
    old.why_not_clean = "not shut down cleanly (shutting down)";
    const Decision behind =
        decide_on({dead, standby(1, "0/5000028"), standby(2, "0/5000010")}, old);
    EXPECT_EQ(rule_and_outline(behind), "F04: start_as_primary");
    EXPECT_NE(reason_of(behind).find("stopped (not shut down cleanly (shutting down))"),
              std::string::npos);
    const Decision has_all = decide_on(
        {dead, standby(1, "0/5000028"), standby(2, to_string(old.end->lsn).c_str())}, old);
    EXPECT_EQ(rule_and_outline(has_all), "F04: create_slots fence promote");
    EXPECT_EQ(promoted(has_all), 2);
}

TEST(Fence, F06ShutsDownWhatRunsBehindASilentPort) {
    OldPrimary old;
    old.host = OldPrimary::Host::running;
    old.how = "by ssh through node 2";
    for (const UnfencedPrimary unfenced : {UnfencedPrimary::promote, UnfencedPrimary::refuse}) {
        EXPECT_EQ(rule_and_outline(decide_on({silent, standby(1, "0/5"), standby(2, "0/5")}, old,
                                             {.unfenced_primary = unfenced})),
                  "F06: stop look_again");
    }
}

TEST(Fence, F06PromotesWhenItsHostShowsThatNoServerRuns) {
    OldPrimary old;
    old.host = OldPrimary::Host::down;
    old.how = "by ssh";
    for (const UnfencedPrimary unfenced : {UnfencedPrimary::promote, UnfencedPrimary::refuse}) {
        EXPECT_EQ(rule_and_outline(decide_on({silent, standby(1, "0/5"), standby(2, "0/5")}, old,
                                             {.unfenced_primary = unfenced})),
                  "F06: create_slots fence promote");
    }
}

// Pgpool could not use it if it were started again.
TEST(Fence, F06NeverStartsAnUnreachablePrimaryAgain) {
    const std::vector<ServerSeen> servers = {silent, standby(1, "0/5000028"),
                                             standby(2, "0/5000090")};
    const OldPrimary old = unreachable_but(shut_down());
    EXPECT_EQ(rule_and_outline(decide_on(servers, old)), "F06: wait_for_wal look_again");
    const Decision decision = decide_on(servers, waited(old));
    EXPECT_EQ(rule_and_outline(decision), "F06: create_slots fence promote");
    EXPECT_EQ(promoted(decision), 2);
    EXPECT_NE(reason_of(decision).find("the rest stays in its files"), std::string::npos);
}

TEST(Fence, F06SaysWhatWasTriedInVain) {
    OldPrimary old;
    old.how = "ssh: timed out; through node 2: timed out";
    const std::vector<ServerSeen> servers = {silent, standby(1, "0/5"), standby(2, "0/5")};
    for (const UnfencedPrimary unfenced : {UnfencedPrimary::promote, UnfencedPrimary::refuse}) {
        EXPECT_NE(reason_of(decide_on(servers, old, {.unfenced_primary = unfenced}))
                      .find("NOT fenced: ssh: timed out; through node 2: timed out"),
                  std::string::npos);
    }
}

TEST(Fence, AnotherPrimaryEndsItWhateverWasDone) {
    EXPECT_EQ(rule_and_outline(decide_on({dead, primary(1, "0/6", 2), standby(2, "0/6", 2)},
                                         waited(shut_down()))),
              "F03: nothing");
}

TEST(Fence, AServerThatWasStartedAgainIsStoppedAgain) {
    EXPECT_EQ(rule_and_outline(decide_on({primary(0, "0/6"), standby(1, "0/5"), standby(2, "0/5")},
                                         waited(shut_down()))),
              "F04: stop look_again");
}

// A run that was killed while it stopped this server; who crashed, or was never noted, is F05.
TEST(Fence, ARefusingServerThatRunsOnItsHostIsStopped) {
    const std::vector<ServerSeen> servers = {dead, standby(1, "0/5"), standby(2, "0/5")};
    OldPrimary old;
    old.how = "by ssh";
    old.host = OldPrimary::Host::running;
    EXPECT_EQ(rule_and_outline(decide_on(servers, old)), "F04: stop look_again");
    old.host = OldPrimary::Host::unknown;
    EXPECT_EQ(rule_and_outline(decide_on(servers, old)), "F05: create_slots promote");
}

// Everything that can be known of it, with every answer of the three servers.
TEST(FenceSpace, NeverPromotesWithoutAFenceAndNeverStartsBesideAnother) {
    const std::vector<Liveness> answers = {Liveness::rejecting, Liveness::refused, Liveness::denied,
                                           Liveness::silent};
    const std::vector<const char*> positions = {"0/5000028", "0/5000098", "0/6000000"};
    int starts = 0;
    for (std::size_t index = 0;; ++index) {
        Pick pick(index);
        OldPrimary old;
        old.how = "by ssh";
        old.host = pick.of(std::vector{OldPrimary::Host::unknown, OldPrimary::Host::running,
                                       OldPrimary::Host::down});
        old.stopped = pick.yes_or_no();
        old.answered = pick.yes_or_no();
        old.waited = pick.yes_or_no();
        old.can_return = pick.yes_or_no();
        if (pick.yes_or_no()) {
            old.end = OldPrimary::End{1, lsn("0/5000098")};
        }
        std::vector<ServerSeen> servers = {seen(0, pick.of(answers))};
        for (const int node : {1, 2}) {
            const char* position = pick.of(positions);
            const std::size_t kind = pick.of(std::vector<std::size_t>{0, 1, 2});
            servers.push_back(kind == 0   ? standby(node, position)
                              : kind == 1 ? primary(node, position, 2)
                                          : seen(node, Liveness::refused));
        }
        const std::vector<Failed> failed =
            pick.yes_or_no() ? std::vector<Failed>{{1, "it broke"}} : std::vector<Failed>{};
        const Policy policy{.unfenced_primary = pick.yes_or_no() ? UnfencedPrimary::refuse
                                                                 : UnfencedPrimary::promote};
        if (pick.overflowed()) {
            break;
        }
        const Decision decision = decide_on(servers, old, policy, failed);
        const auto* plan = std::get_if<Plan>(&decision);
        if (plan == nullptr) {
            continue;
        }
        const std::string where = std::to_string(index) + ": " + to_string(decision);
        ASSERT_EQ(order_defect(*plan), std::nullopt) << where;
        const bool known_down = old.stopped || old.host == OldPrimary::Host::down;
        if (has<Promote>(plan->steps)) {
            ASSERT_EQ(has<Fence>(plan->steps), known_down) << where;
        }
        if (has<StartAsPrimary>(plan->steps)) {
            ++starts;
            ASSERT_TRUE(old.stopped && old.answered && old.can_return) << where;
            for (const int node : {1, 2}) {
                ASSERT_FALSE(servers[static_cast<std::size_t>(node)].is_primary()) << where;
            }
        }
    }
    EXPECT_GT(starts, 100);
}

}  // namespace
}  // namespace hooks::failover
