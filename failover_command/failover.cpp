#include "failover_command/failover.h"

#include <fmt/format.h>

#include <algorithm>

#include "common/app/run_hook.h"
#include "common/app/slot_ledger.h"
#include "common/app/slot_review.h"
#include "common/app/worker.h"
#include "common/io/poll.h"
#include "common/io/signals.h"

namespace hooks::failover {

Failover::Failover(const Arguments& words, Env& env)
    : env_(env), request_(parse_request(words, env.pgpool)) {
    policy_.candidate = env.config.candidate;
    policy_.unfenced_primary = env.config.unfenced_primary;
    policy_.failed_standby_slot = env.config.failed_standby_slot;
}

Verdict Failover::run() {
    read_note();
    try {
        Verdict verdict = run_or_restore();
        put_everything_back();
        if (verdict.code == ExitCode::done || old_.restored) {
            remove_note();
        }
        if (!done_.empty() && verdict.code == ExitCode::done) {
            verdict.text = done_;
            verdict.next = next_;
        }
        review_slots(verdict);
        return verdict;
    } catch (...) {
        put_everything_back();
        throw;
    }
}

Verdict Failover::run_or_restore() {
    std::string why;
    try {
        Verdict verdict = run_to_the_end();
        if (verdict.code == ExitCode::done || !can_restore()) {
            return verdict;
        }
        why = verdict.text;
    } catch (const Error& error) {
        if (!can_restore()) {
            throw;
        }
        why = error.what();
    } catch (const Interrupted&) {
        // Pgpool is stopped, and calls nobody again for a primary that is down by our hand.
        if (can_restore()) {
            const FinishFirst finish_first;
            start_old_primary();
            env_.log.warn("interrupted; the old primary was started again",
                          {{"node", std::to_string(request_.detached)}});
        }
        throw;
    }
    start_old_primary();
    return restored(why);
}

Verdict Failover::run_to_the_end() {
    for (;;) {
        looks_.clear();  // with the sessions go their locks, which would be in our own way
        env_.timings.measure("inspect", [&] { look(); });
        Decision decision =
            decide(request_, seen_of(looks_), policy_, failed_, slots_bounded(), old_);
        if (promotes(decision) && !env_.dry_run) {
            doubt_refusal();
            if (!stand_still()) {
                if (env_.deadline.expired()) {
                    throw Error(ErrorKind::timeout,
                                "another run promotes a node, or hangs in that: " + who_promotes_,
                                "Look at its log.");
                }
                continue;
            }
            decision = decide(request_, seen_of(looks_), policy_, failed_, false, old_);
        }
        if (worth_waiting(decision)) {
            env_.log.warn("nobody can be promoted yet, looking again",
                          {{"why", reason_of(decision)}});
            failed_.clear();
            pause_for(look_pause, env_.deadline);
            continue;
        }
        const Carried carried =
            carry_out(decision, env_, [&](const Step& step) { return perform(step); });
        if (old_.restored) {
            return restored(reason_of(decision));
        }
        if (carried != Carried::interrupted_for_new_look) {
            if (promoted_ >= 0) {
                fence_in_the_background();
                done_ += fence_text();
            }
            return verdict_of(decision, carried, done_, env_);
        }
        if (env_.deadline.expired()) {
            throw Error(
                ErrorKind::timeout,
                fmt::format("nobody was promoted within failover_timeout: {}", decide_again_text()),
                "Look at the log lines above; promote a standby with "
                "pcp_promote_node or by hand.");
        }
    }
}

// There is no candidate. A server that starts, or comes back after a crash, may be one at the
// next look, and what failed once may work then; pgpool would wait longer for nobody.
bool Failover::worth_waiting(const Decision& decision) const {
    if (env_.dry_run || !std::holds_alternative<Refuse>(decision) ||
        !rank_candidates(request_, seen_of(looks_), policy_, failed_).empty() ||
        env_.deadline.remaining() <= look_pause + env_.config.connect_timeout) {
        return false;
    }
    const auto may_come = [this](const ServerLook& look) {
        return look.seen.backend.id != request_.detached && !look.seen.server &&
               look.seen.liveness != Liveness::denied;
    };
    return !failed_.empty() || std::any_of(looks_.begin(), looks_.end(), may_come);
}

bool Failover::slots_bounded() {
    if (request_.detached_was_primary()) {
        return false;
    }
    const ServerSeen* primary = primary_of_lost_standby();
    return primary != nullptr &&
           slots_are_bounded(*connection_to(looks_, primary->backend.id), env_.deadline);
}

// As decide() has it; nullptr when it is none now.
const ServerSeen* Failover::primary_of_lost_standby() const {
    const auto servers = seen_of(looks_);
    const ServerSeen* primary = primary_of_standby(request_, servers);
    return primary != nullptr && primary->is_primary() ? find(primary->backend.id) : nullptr;
}

// Last of all: the promotion is over, and the standbys have their settings back.
void Failover::review_slots(Verdict& verdict) {
    const ServerSeen* primary = promoted_ >= 0          ? find(promoted_)
                                : verdict.rule == "F02" ? primary_of_lost_standby()
                                                        : nullptr;
    if (primary == nullptr || verdict.code != ExitCode::done || env_.dry_run) {
        return;
    }
    SlotsToReview what;
    what.primary = primary->backend;
    what.down = down_of(looks_);
    if (promoted_ >= 0 && wants_rejoin(env_)) {
        what.expected = {request_.detached};
    }
    const SlotReview slots = env_.timings.measure("slots", [&] {
        return hooks::review_slots(*connection_to(looks_, primary->backend.id), what, env_,
                                   env_.deadline.within(env_.config.connect_timeout));
    });
    verdict.text += slots.text;
    verdict.next = verdict.next.empty() ? slots.next : verdict.next;
}

std::string Failover::decide_again_text() const {
    std::string out;
    for (const ServerLook& look : looks_) {
        out += (out.empty() ? "" : "; ") + look.seen.describe();
    }
    return out;
}

bool Failover::perform(const Step& step) {
    if (const auto* slots = std::get_if<CreateSlots>(&step)) {
        return prepare(*slots);
    }
    if (const auto* drop = std::get_if<DropSlot>(&step)) {
        const SlotDrop end =
            drop_slot_noted({*connection_to(looks_, drop->node), backend(drop->node),
                             find(drop->node)->server->system_identifier},
                            drop->slot, "F02: its standby was lost", env_, env_.deadline);
        done_ = fmt::format("node {} was a standby; its slot {} on node {} {}", request_.detached,
                            drop->slot, drop->node,
                            end == SlotDrop::in_use ? "is in use and was kept" : "was dropped");
        return true;
    }
    if (const auto* resume = std::get_if<ResumeReplay>(&step)) {
        try {
            connection_to(looks_, resume->node)
                ->query("SELECT pg_wal_replay_resume()", env_.deadline);
        } catch (const Error& error) {
            return candidate_failed(resume->node, error.what());
        }
        return true;
    }
    if (const auto* stop = std::get_if<StopServer>(&step)) {
        stop_old_primary(stop->node);
        return true;
    }
    if (const auto* wait = std::get_if<WaitForWal>(&step)) {
        wait_for_wal(*wait);
        return true;
    }
    if (const auto* tombstone = std::get_if<Fence>(&step)) {
        return fence(*tombstone);
    }
    if (std::holds_alternative<StartAsPrimary>(step)) {
        start_old_primary();
        return true;
    }
    if (const auto* chosen = std::get_if<Promote>(&step)) {
        return promote_node(chosen->node);
    }
    if (std::holds_alternative<LookAgain>(step)) {
        return false;
    }
    if (std::holds_alternative<HandOver>(step)) {
        if (find(request_.detached)->is_primary() && old_.past_stopped) {
            attach_in_the_background();
            return true;
        }
        fence_in_the_background();
        done_ = fmt::format("node {} was a second primary; a worker stops it", request_.detached);
        return true;
    }
    throw Error(ErrorKind::internal, "not a step of a failover: " + text(step));
}

bool Failover::candidate_failed(int node, std::string why) {
    env_.log.error("candidate failed, taking the next",
                   {{"node", std::to_string(node)}, {"why", why}});
    failed_.push_back({node, std::move(why)});
    asked_ = asked_ == node ? -1 : asked_;
    return false;
}

Target Failover::target_of(int node) {
    return {backend(node),
            env_.config.node(node),
            make_node(backend(node), env_.config, env_.deadline),
            {},
            {}};
}

const ServerSeen* Failover::find(int node) const {
    for (const ServerLook& look : looks_) {
        if (look.seen.backend.id == node) {
            return &look.seen;
        }
    }
    return nullptr;
}

}  // namespace hooks::failover
