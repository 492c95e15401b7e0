// Whether anybody can confirm the commits of the new primary, and what is done when nobody can:
// relax_synchronous. Its setting is emptied before the promotion, so that not even the first commit
// waits, and says itself what it was (common/core/held_settings.h) until whoever makes enough of
// its standbys follow puts it back.
#include <fmt/format.h>

#include "common/io/poll.h"
#include "failover_command/failover.h"

namespace hooks::failover {

using std::chrono::milliseconds;

namespace {

// Sessions take a reload over when they are between two statements.
constexpr milliseconds time_to_reload{1000};

bool becomes_relaxed(PgConnection& server, Deadline deadline) {
    while (!is_relaxed(server, deadline)) {
        if (deadline.expired()) {
            return false;
        }
        pause_for(milliseconds(5), deadline);
    }
    return true;
}

}  // namespace

void Failover::prepare_synchronous(int node) {
    const auto servers = seen_of(looks_);
    const ServerFacts& facts = *find(node)->server;
    too_few_standbys_ = nobody_can_confirm(
        *find(node), servers, find_candidates(request_, servers, policy_, failed_).left_out);
    relaxed_ = facts.synchronous_is_relaxed();  // when it was the primary once
    const bool relax = !too_few_standbys_.empty() && !relaxed_ &&
                       env_.config.relax_synchronous == RelaxSynchronous::until_standby_returns;
    const bool put_back = too_few_standbys_.empty() && relaxed_;
    if (!relax && !put_back) {
        return;
    }
    held_.insert(node);
    const Deadline deadline = env_.deadline.within(env_.config.connect_timeout);
    PgConnection& candidate = *connection_to(looks_, node);
    try {
        if (relax) {
            relax_synchronous(candidate, deadline);
            env_.effects.push_back(fmt::format("relax synchronous_standby_names on node {}", node));
        } else {
            restore_synchronous(candidate, deadline);
        }
        relaxed_ = relax;
    } catch (const Error& error) {
        env_.log.warn(relax ? "synchronous_standby_names could not be relaxed"
                            : "synchronous_standby_names could not be put back",
                      {{"node", std::to_string(node)}, {"why", error.what()}});
    }
}

// A candidate that is not the new primary, or what an earlier run left.
void Failover::settle_synchronous(int node, PgConnection& server, Deadline deadline) {
    const auto original = restore_synchronous(server, deadline);
    if (original) {
        env_.log.info("synchronous_standby_names put back",
                      {{"node", std::to_string(node)}, {"is", *original}});
        if (!done_.empty()) {
            done_ += fmt::format("; synchronous_standby_names of node {} is '{}' again", node,
                                 *original);
        }
    } else if (relaxation_is_noted(server, deadline)) {
        env_.log.warn("synchronous_standby_names stays relaxed: too few of its standbys stream",
                      {{"node", std::to_string(node)}});
    }
}

void Failover::report_synchronous(int node) {
    if (too_few_standbys_.empty()) {
        return;
    }
    bool goes_on = false;
    try {
        goes_on = relaxed_ && becomes_relaxed(*connection_to(looks_, node),
                                              env_.deadline.within(time_to_reload));
    } catch (const Error& error) {
        env_.log.warn("whether synchronous_standby_names is relaxed could not be seen",
                      {{"node", std::to_string(node)}, {"why", error.what()}});
    }
    if (goes_on) {
        const std::string now = fmt::format(
            "{}: it is empty until enough of them stream again (relax_synchronous), and what is "
            "committed until then is on this node only",
            too_few_standbys_);
        env_.log.warn(now, {{"node", std::to_string(node)}});
        done_ += "; " + now;
        next_ = fmt::format("Bring a standby back soon: what is lost with node {} is lost.", node);
        return;
    }
    const std::string waiting = too_few_standbys_ + ": commits wait until one comes back";
    env_.log.warn(waiting, {{"node", std::to_string(node)}, {"sql", go_on_without_confirmation}});
    done_ += "; " + waiting;
    next_ = fmt::format("Bring a standby back, or go on without: {} on node {}.",
                        go_on_without_confirmation, node);
}

}  // namespace hooks::failover
