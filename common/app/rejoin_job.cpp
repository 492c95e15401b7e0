// Carrying out what is decided for a node that shall follow.
#include "common/app/rejoin_job.h"

#include <fmt/format.h>

#include "common/app/old_primaries.h"
#include "common/app/pool.h"
#include "common/app/rejoin_rounds.h"
#include "common/app/run_hook.h"
#include "common/app/slot_ledger.h"
#include "common/core/connections.h"

namespace hooks {

RecoverySettings Rejoin::settings() const {
    RecoverySettings settings;
    settings.primary_conninfo =
        primary_conninfo_for(job_.target, job_.source, env_.config, present_, source_->major);
    settings.primary_slot_name = slot_name(job_.target.id);
    // That of another cluster would clean up another archive.
    if (kept_ && (keeps_configuration() || target_.report.unfinished_marker)) {
        settings.kept = *kept_;
    }
    return settings;
}

// Killed or stalled, and nothing was changed: once more. Then whatever it is that ends it is taken
// for an obstacle.
bool Rejoin::look_again_after(int rewinds) {
    if (rewinds >= 2) {
        throw Error(ErrorKind::command,
                    fmt::format("pg_rewind on {} was ended twice", target_.node->label()));
    }
    rewinding_ = false;
    return false;
}

void Rejoin::look_at(PgConnection& repointed) {
    const std::string why =
        why_it_cannot_follow(*primary_, job_.source.id, repointed, job_.target.id, quick());
    if (!why.empty()) {
        env_.log.warn("it got more WAL before it was re-pointed; looking again",
                      {{"node", std::to_string(job_.target.id)}, {"why", why}});
        throw LookAnew{};
    }
}

bool Rejoin::perform(const Step& step) {
    primary_.check(quick());
    if (const auto* s = std::get_if<CreateSlots>(&step)) {
        make_slots({*primary_, job_.source, source_->system_identifier}, s->slots,
                   "before the node is made a standby", env_, quick());
    } else if (std::holds_alternative<StopServer>(step)) {
        stop_server(target_, env_, quick());
    } else if (std::holds_alternative<LookAgain>(step)) {
        return false;
    } else if (std::holds_alternative<Checkpoint>(step)) {
        checkpoint_on_new_timeline(*primary_, env_, quick());
    } else if (std::holds_alternative<SettleCrash>(step)) {
        rewinding_ = true;
        settle_crash(target_, env_, copy_deadline_);
        rewinding_ = false;
    } else if (const auto* trim = std::get_if<TrimWal>(&step)) {
        trim_wal(target_, trim->timeline, trim->from, quick());
    } else if (const auto* rescue = std::get_if<RescueWal>(&step)) {
        rescued_ = rescue_wal(
            target_, rescue->stretches,
            fmt::format("{}, timeline {}", job_.source.label(), source_->history.timeline()), env_,
            copy_deadline_);
    } else if (std::holds_alternative<Rewind>(step)) {
        rewinding_ = true;
        const RewindEnd end = rewind(
            target_,
            read_rewind_source(*primary_, rewind_source(job_.source, env_.config, source_->major),
                               source_->history.timeline(), env_, quick()),
            settings(), env_, copy_deadline_);
        if (end == RewindEnd::ended_from_outside) {
            return look_again_after(++rewinds_);
        }
        rewinding_ = false;
    } else if (std::holds_alternative<BaseBackup>(step)) {
        base_backup(target_, *backup_, backup_source(job_.source, env_.config, source_->major),
                    slot_name(job_.target.id), keeps_configuration(), source_->major, env_,
                    copy_deadline_);
    } else if (std::holds_alternative<WriteRecoverySettings>(step)) {
        write_recovery_settings(target_, settings(), source_->major, quick());
    } else if (std::holds_alternative<Repoint>(step)) {
        // The worker met a standby that the hook could not re-point in time.
        const auto standby = PgConnection::connect(inspection_conninfo(job_.target, env_.config),
                                                   env_.hook, quick());
        const RecoverySettings wanted = settings();
        repoint(*standby, wanted.primary_conninfo.str(), wanted.primary_slot_name, quick());
        repointed_ = true;
    } else if (std::holds_alternative<StartServer>(step)) {
        bring_up(target_, source_->major, env_, quick());
    } else if (std::holds_alternative<ProveStreaming>(step)) {
        proof_ = repointed_ ? prove_standby(target_, *primary_, env_, quick(),
                                            [this](PgConnection& standby) { look_at(standby); })
                            : prove_standby(target_, *primary_, env_, quick());
    } else if (std::holds_alternative<AttachNode>(step)) {
        if (env_.worker) {
            know_primary(job_.source.id, env_, quick());
        }
        end_old_primaries(job_.source, job_.target.id, env_, quick());
        attach_node(job_.target.id, env_, quick());
    } else {
        throw Error(ErrorKind::internal, "not a step of a rejoin: " + text(step));
    }
    return true;
}

std::string Rejoin::summary(const Decision& decision) const {
    std::string out = fmt::format("{} is ready to be started as a standby of {}",
                                  job_.target.label(), job_.source.label());
    if (proof_) {
        out = fmt::format("{} is a standby of {} on timeline {}, streams and {}; it is attached",
                          job_.target.label(), job_.source.label(), proof_->timeline,
                          proof_->reached);
        out += proof_->remark;
    }
    out += fmt::format(" (why so: {})", reason_of(decision));
    if (rescued_) {
        out += "; " + text(*rescued_);
    }
    return out;
}

// What the slots on the primary keep back, this node's among them when it is given up.
SlotReview Rejoin::review() {
    SlotsToReview what;
    what.primary = job_.source;
    if (given_up_) {
        what.given_up = job_.target.id;
    }
    return review_slots(*primary_, what, env_, quick());
}

Verdict Rejoin::run() {
    try {
        Verdict verdict = run_to_the_end();
        if (!job_.online_recovery && verdict.code == ExitCode::done) {
            const SlotReview slots = review();
            verdict.text += slots.text;
            verdict.next = verdict.next.empty() ? slots.next : verdict.next;
        }
        return verdict;
    } catch (const Error& error) {
        if (!given_up_) {
            throw;
        }
        try {
            primary_.check(quick());
        } catch (const LookAnew&) {
            // The session is a new one, on the same primary.
        } catch (const Error&) {
            throw error;  // its slots are nobody's concern any more
        }
        const SlotReview slots = review();
        throw Error(error.kind(),
                    fmt::format("{}; it was waited for until follow_timeout and is given up{}",
                                error.what(), slots.text),
                    fmt::format("{}{}When it can be reached again: pcp_recovery_node -n {}.{}{}",
                                error.hint(), error.hint().empty() ? "" : " ", job_.target.id,
                                slots.next.empty() ? "" : " ", slots.next));
    }
}

Verdict Rejoin::run_to_the_end() {
    primary_.open(quick());
    // A look, a stop, a look, a rewind that fails, a look, a base backup: more rounds than that
    // mean that somebody else changes the node at the same time.
    for (int round = 0; round < 6; ++round) {
        std::optional<Decision> decision;
        try {
            decision = decide();
            const Carried carried =
                carry_out(*decision, env_, [&](const Step& step) { return perform(step); });
            if (carried == Carried::interrupted_for_new_look) {
                continue;
            }
            if (carried == Carried::out) {
                remove_incoming(target_, env_, quick());
                if (!job_.online_recovery) {
                    remove_previous(target_, env_, quick());
                }
            }
            return verdict_of(*decision, carried, carried == Carried::out ? summary(*decision) : "",
                              env_);
        } catch (const LookAnew&) {
            rewinding_ = false;
        } catch (const Error& error) {
            const bool lost =
                error.kind() == ErrorKind::unreachable || error.kind() == ErrorKind::timeout;
            if (rewinding_ && lost && job_.wait_for_host && !copy_deadline_.expired() &&
                ++lost_connections_ <= 2) {
                env_.log.warn("the connection was lost during a rewind, which goes on by itself",
                              {{"node", std::to_string(job_.target.id)}, {"why", error.what()}});
                rewinding_ = false;
                target_.node.reset();
                continue;
            }
            if (!rewinding_ || error.kind() != ErrorKind::command || !policy_.base_backup) {
                throw;
            }
            env_.log.warn("the rewind failed; looking again",
                          {{"node", std::to_string(job_.target.id)}, {"why", error.what()}});
            rewinding_ = false;
            policy_.rewind_obstacle = "it was tried and failed: " + error.message();
        }
    }
    throw Error(ErrorKind::refused,
                fmt::format("{} was different at every look", job_.target.label()),
                "Look who else starts, stops or changes it, then run this again.");
}

Verdict run_rejoin(const RejoinJob& job, Env& env) {
    return Rejoin(job, env).run();
}

}  // namespace hooks
