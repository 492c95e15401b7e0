// Every decision of failover_command about three nodes, and what holds for all of them.
#include <gtest/gtest.h>

#include <set>

#include "failover_command/decide.h"
#include "tests/unit/decision_support.h"

namespace hooks::failover {
namespace {

enum class Kind { primary, stale_primary, standby, stranger, rejecting, refused, denied, silent };

// A standby's WAL and timeline differ from node to node, so that all ways to rank them occur.
ServerSeen make(int id, Kind kind) {
    const char* const end[] = {"0/5000028", "0/6000028", "0/5000028"};
    switch (kind) {
        case Kind::primary:
            return primary(id, end[id], 3);
        case Kind::stale_primary:
            return primary(id, "0/7000028", 1);
        case Kind::standby:
            return standby(id, end[id], 2);
        case Kind::stranger: {
            ServerSeen other = standby(id, "9/0", 9);
            other.server->system_identifier = other_cluster;
            return other;
        }
        case Kind::rejecting:
            return seen(id, Liveness::rejecting);
        case Kind::refused:
            return seen(id, Liveness::refused);
        case Kind::denied:
            return seen(id, Liveness::denied);
        case Kind::silent:
            return seen(id, Liveness::silent);
    }
    return seen(id, Liveness::silent);
}

struct World {
    std::vector<ServerSeen> servers;
    Request request;
    Policy policy;
    std::vector<Failed> failed;
    bool slots_bounded = false;

    bool has_failed(int node) const {
        return std::any_of(failed.begin(), failed.end(),
                           [node](const Failed& f) { return f.node == node; });
    }
    int count(std::uint64_t cluster) const {
        return static_cast<int>(
            std::count_if(servers.begin(), servers.end(), [cluster](const ServerSeen& seen) {
                return seen.server && seen.server->system_identifier == cluster;
            }));
    }
    // Of the cluster that more of the nodes belong to than to any other.
    bool of_the_majority(const ServerSeen& seen) const {
        const int ours = count(this_cluster);
        const int theirs = count(other_cluster);
        return seen.server &&
               (seen.server->system_identifier == this_cluster ? ours > theirs : theirs > ours);
    }
    bool can_be_promoted(const ServerSeen& seen) const {
        return seen.backend.id != request.detached && seen.is_standby() && of_the_majority(seen) &&
               !has_failed(seen.backend.id);
    }
    bool newest_primary_is(const ServerSeen& primary) const {
        return primary.backend.id != request.detached && primary.is_primary() &&
               std::none_of(servers.begin(), servers.end(), [&](const ServerSeen& seen) {
                   return seen.backend.id != request.detached && seen.is_primary() &&
                          seen.server->timeline > primary.server->timeline;
               });
    }
    bool another_primary() const {
        return std::any_of(servers.begin(), servers.end(), [this](const ServerSeen& seen) {
            return seen.backend.id != request.detached && seen.is_primary();
        });
    }
    // A node that can be promoted follows a later promotion than that of this primary.
    bool is_stale_primary(int node) const {
        const ServerSeen& primary = servers[static_cast<std::size_t>(node)];
        return primary.is_primary() && of_the_majority(primary) &&
               std::any_of(servers.begin(), servers.end(), [&](const ServerSeen& seen) {
                   return can_be_promoted(seen) && seen.server->timeline > primary.server->timeline;
               });
    }
    // Pgpool lost all nodes; this one is a primary whose time is not over.
    bool alive_and_no_use(int node) const {
        return servers[static_cast<std::size_t>(node)].is_primary() && !is_stale_primary(node);
    }
    std::string text() const {
        std::string out = "%d " + std::to_string(request.detached) + " %m " +
                          std::to_string(request.main_node) + " %P " +
                          std::to_string(request.old_primary) + " failed " +
                          std::to_string(failed.size());
        for (const ServerSeen& seen : servers) {
            out += "; " + seen.describe();
        }
        return out;
    }
    // A primary whose place the detached node has taken.
    bool is_past_beside(int node) const {
        const ServerSeen& present = servers[static_cast<std::size_t>(request.detached)];
        const ServerSeen& past = servers[static_cast<std::size_t>(node)];
        return present.is_primary() && past.is_primary() &&
               past.server->timeline < present.server->timeline &&
               past.server->system_identifier == present.server->system_identifier;
    }
};

// False behind the last world.
bool make_world(std::size_t index, World& world) {
    static const std::vector<Kind> kinds = {Kind::primary,  Kind::stale_primary, Kind::standby,
                                            Kind::stranger, Kind::rejecting,     Kind::refused,
                                            Kind::denied,   Kind::silent};
    static const std::vector<std::vector<Failed>> failures = {
        {}, {{1, "it broke"}}, {{1, "it broke"}, {2, "so did it"}}};
    Pick pick(index);
    world.servers = {make(0, pick.of(kinds)), make(1, pick.of(kinds)), make(2, pick.of(kinds))};
    world.request.detached = pick.of(std::vector{0, 1, 2});
    world.request.main_node = pick.of(std::vector{-1, 0, 1, 2});
    world.request.old_primary = pick.of(std::vector{-2, -1, 0, 1, 2});
    world.policy.candidate =
        pick.yes_or_no() ? CandidateChoice::pgpool : CandidateChoice::most_advanced;
    world.policy.unfenced_primary =
        pick.yes_or_no() ? UnfencedPrimary::refuse : UnfencedPrimary::promote;
    world.failed = pick.of(failures);
    // The slot policy matters for lost standbys only, the candidate for lost primaries only.
    world.policy.failed_standby_slot =
        world.policy.candidate == CandidateChoice::pgpool
            ? (world.policy.unfenced_primary == UnfencedPrimary::refuse ? FailedStandbySlot::drop
                                                                        : FailedStandbySlot::keep)
            : FailedStandbySlot::keep_if_bounded;
    world.slots_bounded = world.policy.unfenced_primary == UnfencedPrimary::refuse;
    return !pick.overflowed();
}

std::string defect_of_promotion(const World& world, const Plan& plan, int node) {
    const Request& request = world.request;
    if (!request.detached_was_primary()) {
        return "promotes although a standby was lost";
    }
    if (world.another_primary()) {
        return "promotes beside a primary";
    }
    if (!world.can_be_promoted(world.servers[static_cast<std::size_t>(node)])) {
        return "promotes a node that is no candidate";
    }
    const ServerSeen& detached = world.servers[static_cast<std::size_t>(request.detached)];
    if (detached.is_primary() || detached.liveness == Liveness::rejecting ||
        detached.liveness == Liveness::denied) {
        return "promotes although the old primary is there";
    }
    if (detached.liveness == Liveness::silent &&
        world.policy.unfenced_primary == UnfencedPrimary::refuse) {
        return "promotes although the old primary may be there";
    }
    for (const ServerSeen& seen : world.servers) {
        if (request.old_primary < 0 && seen.backend.id != request.detached &&
            !world.has_failed(seen.backend.id) &&
            (seen.liveness == Liveness::rejecting || seen.liveness == Liveness::denied)) {
            return "promotes beside a node that may be the primary";
        }
    }
    const auto* slots = std::get_if<CreateSlots>(&plan.steps.front());
    if (slots == nullptr || slots->node != node || slots->slots.size() != 2) {
        return "promotes without slots for all others";
    }
    if (!std::holds_alternative<Promote>(plan.steps.back())) {
        return "goes on after the promotion";
    }
    return "";
}

// What is wrong with this decision; empty when nothing is.
std::string defect_of(const World& world, const Decision& decision) {
    if (reason_of(decision).empty()) {
        return "gives no reason";
    }
    if (const auto* refuse = std::get_if<Refuse>(&decision)) {
        return refuse->next.empty() ? "refuses without a word of what to do" : "";
    }
    const Request& request = world.request;
    const bool possible =
        request.detached_was_primary() && !world.another_primary() &&
        std::any_of(world.servers.begin(), world.servers.end(),
                    [&](const ServerSeen& seen) { return world.can_be_promoted(seen); });
    if (std::holds_alternative<Nothing>(decision)) {
        for (const ServerSeen& seen : world.servers) {
            if (rule_of(decision) == "F03" && world.newest_primary_is(seen) &&
                world.is_stale_primary(seen.backend.id)) {
                return "takes a primary whose time is over for the new one";
            }
        }
        if (possible && request.main_node < 0 && world.alive_and_no_use(request.detached)) {
            return rule_of(decision) == "F01" ? "" : "does not say that nobody is left";
        }
        return possible ? "does nothing although the primary is lost and a standby is there" : "";
    }
    const Plan& plan = std::get<Plan>(decision);
    if (const auto defect = order_defect(plan)) {
        return *defect;
    }
    for (const Step& step : plan.steps) {
        if (const auto* promote = std::get_if<Promote>(&step)) {
            return defect_of_promotion(world, plan, promote->node);
        }
        if (const auto* stop = std::get_if<StopServer>(&step)) {
            if (stop->node == request.detached
                    ? !possible
                    : !world.is_stale_primary(stop->node) && !world.is_past_beside(stop->node)) {
                return "stops a server that is not to be replaced";
            }
        }
        if (const auto* drop = std::get_if<DropSlot>(&step)) {
            if (request.detached_was_primary() ||
                !world.servers[static_cast<std::size_t>(drop->node)].is_primary() ||
                drop->slot != "pgpool_node_" + std::to_string(request.detached)) {
                return "drops a slot that is not the lost standby's";
            }
        }
    }
    return "";
}

TEST(FailoverSpace, HasNoWorldWithoutASafeDecision) {
    std::set<std::string> rules;
    World world;
    int defects = 0;
    for (std::size_t index = 0; make_world(index, world); ++index) {
        const Decision decision =
            decide(world.request, world.servers, world.policy, world.failed, world.slots_bounded);
        rules.insert(rule_of(decision));
        const std::string defect = defect_of(world, decision);
        if (!defect.empty() && ++defects <= 5) {
            ADD_FAILURE() << defect << "\n" << world.text() << "\n" << to_string(decision);
        }
    }
    EXPECT_EQ(defects, 0);
    EXPECT_EQ(rules, (std::set<std::string>{"F01", "F02", "F03", "F04", "F05", "F06", "F07", "F08",
                                            "F09"}));
}

// A lost primary costs every client; nothing but a reason that has a name keeps a standby down.
TEST(FailoverSpace, PromotesWheneverTheOldPrimaryIsCertainlyDownAndAStandbyIsThere) {
    World world;
    int promotions = 0;
    for (std::size_t index = 0; make_world(index, world); ++index) {
        const Request& request = world.request;
        const bool clear =
            request.detached == request.old_primary && !world.another_primary() &&
            world.servers[static_cast<std::size_t>(request.detached)].liveness ==
                Liveness::refused &&
            std::any_of(world.servers.begin(), world.servers.end(),
                        [&](const ServerSeen& seen) { return world.can_be_promoted(seen); });
        if (clear) {
            const Decision decision =
                decide(request, world.servers, world.policy, world.failed, world.slots_bounded);
            ASSERT_EQ(rule_of(decision), "F05") << world.text();
            ASSERT_TRUE(has<Promote>(std::get<Plan>(decision).steps)) << world.text();
            ++promotions;
        }
    }
    EXPECT_GT(promotions, 100);
}

// Two pgpools that see the same decide the same, whatever the order of their answers.
TEST(FailoverSpace, DoesNotDependOnTheOrderOfTheAnswers) {
    World world;
    for (std::size_t index = 0; make_world(index, world); index += 7) {
        const Decision decision = decide(world.request, world.servers, world.policy, world.failed);
        std::rotate(world.servers.begin(), world.servers.begin() + 1, world.servers.end());
        const Decision again = decide(world.request, world.servers, world.policy, world.failed);
        ASSERT_EQ(rule_and_outline(decision), rule_and_outline(again)) << world.text();
        if (const auto* plan = std::get_if<Plan>(&decision)) {
            ASSERT_EQ(text(plan->steps.back()), text(std::get<Plan>(again).steps.back()))
                << world.text();
        }
    }
}

}  // namespace
}  // namespace hooks::failover
