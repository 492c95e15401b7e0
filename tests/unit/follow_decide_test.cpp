// What follow_primary_command does itself, and what it hands to a worker: rules H01 to H04, and
// those of rejoin for a standby that runs.
#include "follow_primary_command/decide.h"

#include <gtest/gtest.h>

#include "tests/unit/rejoin_support.h"

namespace hooks::follow {
namespace {

// Node 1 was promoted after node 2 was lost; node 0 shall follow it.
constexpr Request request{0, 1, 2};
// The same for the node that was the primary.
constexpr Request old_primary{0, 1, 0};

const ServerSeen new_primary = hooks::primary(1, "0/6000000", 2);

Policy rejoin_off() {
    Policy policy;
    policy.rejoin_old_primary = false;
    policy.rejoin.stop_running_primary = false;
    return policy;
}

Decision decide_on(const ServerSeen& target, const std::optional<TargetFacts>& facts,
                   const Request& asked = request, const Policy& policy = {}) {
    return decide(asked, {new_primary, target}, source(), facts, policy);
}

TEST(Follow, R06RepointsARunningStandbyItself) {
    EXPECT_EQ(rule_and_outline(decide_on(standby(0, "0/4FFFFD8"), running_standby("0/4FFFFD8"))),
              "R06: create_slots repoint prove attach");
}

TEST(Follow, R06RepointsAnOldPrimaryThatIsAStandbyByNow) {
    EXPECT_EQ(rule_and_outline(decide_on(standby(0, "0/4FFFFD8"), running_standby("0/4FFFFD8"),
                                         old_primary, rejoin_off())),
              "R06: create_slots repoint prove attach");
}

TEST(Follow, R04DoesNothingAgainstANodeThatIsNoPrimary) {
    for (const ServerSeen& not_primary :
         {standby(1, "0/6000000"), seen(1, Liveness::refused), seen(1, Liveness::silent),
          seen(1, Liveness::rejecting), seen(1, Liveness::denied)}) {
        EXPECT_EQ(rule_and_outline(decide(request, {not_primary, standby(0, "0/4000000")}, source(),
                                          running_standby("0/4000000"), {})),
                  "R04: refuse")
            << not_primary.describe();
    }
    expect_golden(
        "follow_no_primary",
        decide(request, {seen(1, Liveness::refused, "connection refused"), standby(0, "0/4000000")},
               {}, {}, {}));
}

TEST(Follow, H01HandsOverWhoeverDoesNotServe) {
    for (const Liveness liveness :
         {Liveness::refused, Liveness::silent, Liveness::rejecting, Liveness::denied}) {
        EXPECT_EQ(rule_and_outline(decide_on(seen(0, liveness), std::nullopt)), "H01: hand_over");
        EXPECT_EQ(rule_and_outline(decide_on(seen(0, liveness), std::nullopt, old_primary)),
                  "H01: hand_over");
    }
    expect_golden("follow_dead_node",
                  decide_on(seen(0, Liveness::refused, "connection refused"), std::nullopt));
}

TEST(Follow, H03LeavesTheOldPrimaryDownWhenToldTo) {
    EXPECT_EQ(rule_and_outline(
                  decide_on(seen(0, Liveness::refused), std::nullopt, old_primary, rejoin_off())),
              "H03: nothing");
    EXPECT_EQ(rule_and_outline(
                  decide_on(seen(0, Liveness::refused), std::nullopt, request, rejoin_off())),
              "H01: hand_over")
        << "the setting is not about other nodes";
}

TEST(Follow, H02HandsOverWhatCouldNotBeReadInSql) {
    EXPECT_EQ(rule_and_outline(decide_on(standby(0, "0/4000000"), std::nullopt)), "H02: hand_over");
    EXPECT_EQ(rule_and_outline(decide(request, {new_primary, standby(0, "0/4000000")}, std::nullopt,
                                      running_standby("0/4000000"), {})),
              "H02: hand_over");
}

TEST(Follow, H02HandsOverWhatTakesMoreThanAReload) {
    const Decision ahead = decide_on(standby(0, "0/5000100"), running_standby("0/5000100"));
    EXPECT_EQ(rule_and_outline(ahead), "H02: hand_over");
    EXPECT_TRUE(reason_of(ahead).starts_with("R08: ")) << "the worker's rule is told";

    TargetFacts second_primary = running_standby("0/5000100");
    second_primary.was_primary = true;
    EXPECT_EQ(rule_and_outline(decide_on(hooks::primary(0, "0/5000100"), second_primary)),
              "H02: hand_over");

    SourceFacts old = source();
    old.major = 12;
    TargetFacts restart = running_standby("0/4000000");
    restart.major = 12;
    EXPECT_EQ(
        rule_and_outline(decide(request, {new_primary, standby(0, "0/4000000")}, old, restart, {})),
        "H02: hand_over");
}

TEST(Follow, RefusesByItselfWhatTheWorkerWouldRefuse) {
    TargetFacts stranger = running_standby("0/4000000");
    stranger.system_identifier = other_cluster;
    EXPECT_EQ(rule_and_outline(decide_on(standby(0, "0/4000000"), stranger)), "R02: refuse");

    TargetFacts second_primary = running_standby("0/5000100");
    second_primary.was_primary = true;
    EXPECT_EQ(rule_and_outline(
                  decide_on(hooks::primary(0, "0/5000100"), second_primary, request, rejoin_off())),
              "R10: refuse");
}

// A second failover while pgpool's loop over the standbys of the first one went on.
TEST(Follow, H04HandsOverWhereAnotherNodeIsThePrimaryByNow) {
    const ServerSeen latest = hooks::primary(2, "0/7000000", 3);
    for (const ServerSeen& not_primary : {standby(1, "0/6000000", 2), seen(1, Liveness::refused)}) {
        for (const ServerSeen& target :
             {standby(0, "0/6000000", 2), seen(0, Liveness::refused), seen(0, Liveness::silent)}) {
            EXPECT_EQ(rule_and_outline(decide(request, {not_primary, target, latest}, {}, {}, {})),
                      "H04: hand_over")
                << not_primary.describe() << target.describe();
        }
    }
    expect_golden("follow_primary_of_the_past",
                  decide(request,
                         {seen(1, Liveness::refused, "connection refused"),
                          standby(0, "0/4000000", 2), latest},
                         {}, {}, {}));
    // The call may be for that node itself.
    EXPECT_EQ(rule_and_outline(decide(Request{2, 1, 0},
                                      {seen(1, Liveness::refused), standby(0, "0/6000000"), latest},
                                      {}, {}, {})),
              "H04: hand_over");
}

TEST(Follow, H04BelievesInNoOtherPrimaryWhileTheOneOfTheCallMayBeOne) {
    const ServerSeen target = standby(0, "0/6000000", 2);
    const ServerSeen latest = hooks::primary(2, "0/7000000", 3);
    for (const Liveness liveness : {Liveness::silent, Liveness::rejecting, Liveness::denied}) {
        EXPECT_EQ(
            rule_and_outline(decide(request, {seen(1, liveness), target, latest}, {}, {}, {})),
            "R04: refuse");
    }
    const ServerSeen gone = seen(1, Liveness::refused);
    const auto with = [&](const std::vector<ServerSeen>& others) {
        std::vector<ServerSeen> servers = {gone};
        servers.insert(servers.end(), others.begin(), others.end());
        return rule_and_outline(decide(request, servers, {}, {}, {}));
    };
    EXPECT_EQ(with({target, latest, hooks::primary(3, "0/7000000", 3)}), "R04: refuse")
        << "two primaries";
    EXPECT_EQ(with({target, latest, standby(3, "0/7000000", 4)}), "R04: refuse")
        << "somebody follows a later one";
    ServerSeen stranger = latest;
    stranger.server->system_identifier = other_cluster;
    EXPECT_EQ(with({target, stranger}), "R04: refuse");
    EXPECT_EQ(with({target, standby(2, "0/7000000", 3)}), "R04: refuse") << "no primary at all";
}

// Pgpool waits for it, so no step of it may take long, nor leave the node half done.
TEST(Follow, DoesNothingSlowItself) {
    for (const char* end : {"0/4000000", "0/5000000", "0/5000001", "0/6000001"}) {
        for (const int major : {10, 12, 13, 15, 18}) {
            for (const bool was_primary : {false, true}) {
                SourceFacts s = source();
                s.major = major;
                TargetFacts t = running_standby(end);
                t.major = major;
                t.was_primary = was_primary;
                const std::string steps =
                    outline(decide(request, {new_primary, standby(0, end)}, s, t, {}));
                EXPECT_TRUE(steps == "hand_over" || steps == "create_slots repoint prove attach")
                    << steps;
            }
        }
    }
}

}  // namespace
}  // namespace hooks::follow
