// Making one standby the primary, and knowing whether it is.
#include <fmt/format.h>

#include "common/io/poll.h"
#include "failover_command/failover.h"

namespace hooks::failover {

// A share of the time, so that the next candidate has some too.
Deadline Failover::promotion_deadline() const {
    const auto servers = seen_of(looks_);
    const bool last = rank_candidates(request_, servers, policy_, failed_).size() <= 1;
    return last ? env_.deadline : env_.deadline.within(env_.deadline.remaining() / 2);
}

bool Failover::promote_node(int node) {
    const ServerFacts before = *find(node)->server;
    const bool could_return = old_.can_return;
    try {
        hold_archive(node);
        prepare_synchronous(node);
    } catch (const Error& error) {
        return candidate_failed(node, error.what());  // nothing was asked of it yet
    }
    point_of_no_restore();
    if (could_return) {
        leave_note();
    }
    asked_ = node;
    Promotion promotion = ask_to_promote(node);
    if (promotion.end == Promotion::End::pending && may_use_an_archive(before)) {
        promotion = watch_archive(node, std::move(promotion));
    }
    if (promotion.end == Promotion::End::promoted) {
        return promoted(node, before, promotion.timeline);
    }
    if (promotion.end == Promotion::End::not_begun) {
        if (could_return) {
            old_.can_return = true;
            env_.deadline = *reserved_;
            leave_note();
        }
        return candidate_failed(node, promotion.detail);
    }
    return put_down(node, before, promotion.detail);
}

Promotion Failover::ask_to_promote(int node) {
    PgConnection& candidate = *connection_to(looks_, node);
    const ServerFacts& before = *find(node)->server;
    const Deadline deadline = may_use_an_archive(before)
                                  ? promotion_deadline().within(patience_with_archive)
                                  : promotion_deadline();
    return before.major() >= 12 ? promote(candidate, before.timeline, deadline)
                                : promote_by_pg_ctl(node, candidate, before.timeline, deadline);
}

bool Failover::promoted(int node, const ServerFacts& before, TimelineId timeline) {
    promoted_ = node;
    promoted_timeline_ = timeline;
    done_ = fmt::format(
        "{} is the primary now, on timeline {}; before it was a standby on timeline {} with "
        "WAL up to {}",
        backend(node).label(), timeline, before.timeline, before.end_of_wal());
    done_ += find_candidates(request_, seen_of(looks_), policy_, failed_).remarks();
    report_synchronous(node);
    return true;
}

// It was asked and did not say that it did. Before anybody else is promoted it must be certain
// that it never will: two nodes on the same new timeline can never be told apart again.
bool Failover::put_down(int node, const ServerFacts& before, const std::string& detail) {
    env_.log.warn("promotion asked for and not seen",
                  {{"node", std::to_string(node)}, {"why", detail}});
    const bool somebody_else =
        rank_candidates(request_, seen_of(looks_), policy_, failed_).size() > 1;
    for (;;) {
        if (env_.deadline.expired()) {
            throw Error(ErrorKind::timeout,
                        fmt::format("{} was asked to promote and has not by the deadline ({}); "
                                    "it may still become the primary",
                                    backend(node).label(), detail),
                        "Look in its server log for what it replays or waits for. Promote no "
                        "other node while it may: there would be two primaries.");
        }
        const auto now = look_at_servers({backend(node)}, env_);
        const std::optional<ServerFacts>& facts = now.front().seen.server;
        if (facts && !facts->in_recovery) {
            return facts->timeline > before.timeline ? promoted(node, before, facts->timeline)
                                                     : false;
        }
        if (now.front().seen.liveness == Liveness::refused) {
            return candidate_failed(node, "its server ended during the promotion: " + detail);
        }
        if (somebody_else) {
            break;
        }
        // To stop the last one would only make things worse.
        if (facts) {
            promote(*now.front().connection, before.timeline,
                    env_.deadline.within(env_.config.connect_timeout));
        }
        pause_for(look_pause, env_.deadline);
    }
    Target target = target_of(node);
    look_at_files(target, before_major(node), env_.deadline);
    stop_server(target, env_, env_.deadline);
    return candidate_failed(
        node, "it was asked to promote and did not in time; it was stopped: " + detail);
}

Promotion Failover::promote_by_pg_ctl(int node, PgConnection& candidate, TimelineId before,
                                      Deadline deadline) {
    Target target = target_of(node);
    Promotion promotion;
    try {
        look_at_files(target, before_major(node), env_.deadline);
    } catch (const Error& error) {
        promotion.end = Promotion::End::not_begun;
        promotion.detail = error.what();
        return promotion;
    }
    const Outcome outcome = target.node->run(
        {{target.report.bin_dir + "/pg_ctl", "-D", target.directory(), "-W", "promote"}, {}, {}},
        env_.deadline);
    if (!outcome.ok()) {
        promotion.end = Promotion::End::not_begun;
        promotion.detail = outcome.describe();
        return promotion;
    }
    return wait_for_promotion(candidate, before, deadline);
}

}  // namespace hooks::failover
