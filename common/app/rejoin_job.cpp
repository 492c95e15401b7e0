#include "common/app/rejoin_job.h"

#include <fmt/format.h>

#include "common/app/bring_up.h"
#include "common/app/node_steps.h"
#include "common/app/old_primaries.h"
#include "common/app/pool.h"
#include "common/app/primary_session.h"
#include "common/app/run_hook.h"
#include "common/app/slot_ledger.h"
#include "common/app/slot_review.h"
#include "common/core/connections.h"
#include "common/io/poll.h"
#include "common/io/signals.h"

namespace hooks {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

class Rejoin {
  public:
    Rejoin(const RejoinJob& job, Env& env)
        : job_(job),
          env_(env),
          primary_(job.source, job.target.id, job.wait_for_host, env),
          target_{job.target, env.config.node(job.target.id), nullptr, {}, {}},
          copy_deadline_(env.config.recovery_timeout
                             ? env.deadline.within(*env.config.recovery_timeout)
                             : env.deadline) {
        target_.still_wanted = [this] { primary_.check(quick()); };
        policy_.base_backup = env.config.base_backup != BaseBackupPolicy::never;
        policy_.stop_running_primary = env.config.rejoin_old_primary;
        policy_.online_recovery = job.online_recovery;
    }

    Verdict run();

  private:
    // Everything but copying is bounded by follow_timeout.
    Deadline quick() const { return env_.deadline.within(env_.config.follow_timeout); }

    void check_port_is_free(Deadline deadline);
    TargetFacts look(Deadline deadline);
    TargetFacts look_when_reachable();
    Decision decide();
    void forecast_backup();
    bool perform(const Step& step);
    void look_at(PgConnection& repointed);
    RecoverySettings settings() const;
    bool look_again_after(int rewinds);
    std::string summary(const Decision& decision) const;
    Verdict run_to_the_end();
    SlotReview review();

    const RejoinJob& job_;
    Env& env_;
    PrimarySession primary_;  // holds the lock
    Target target_;
    Deadline copy_deadline_;
    RejoinPolicy policy_;
    std::optional<SourceFacts> source_;
    Conninfo present_;  // the target's primary_conninfo before anything was changed
    bool same_cluster_ = false;
    std::optional<BackupPlan> backup_;
    std::optional<RejoinVerdict> verdict_;
    std::optional<RescuedWal> rescued_;  // in any round
    std::optional<Proof> proof_;
    bool repointed_ = false;  // in this round, by reload
    bool rewinding_ = false;  // a step that a base backup can take the place of
    int rewinds_ = 0;         // that somebody ended
    int lost_connections_ = 0;
    bool given_up_ = false;  // its host was waited for, in vain
};

// A server that answers where none should run is one that was started just now, or one of another
// directory: then the one that pgpool.conf names must not be filled.
void Rejoin::check_port_is_free(Deadline deadline) {
    const PgAnswer answer =
        PgConnection::open(inspection_conninfo(job_.target, env_.config), env_.hook,
                           deadline.within(env_.config.connect_timeout));
    if (answer.kind == PgAnswer::Kind::refused || answer.kind == PgAnswer::Kind::silent) {
        return;
    }
    look_at_files(target_, source_->major, deadline);
    if (!target_.report.running) {
        throw Error(
            ErrorKind::refused,
            fmt::format("{} answers, but no server runs in {}", job_.target.label(),
                        target_.directory()),
            fmt::format("Check backend_port{0} and backend_data_directory{0} in pgpool.conf; "
                        "SHOW data_directory tells where the server is.",
                        job_.target.id));
    }
}

TargetFacts Rejoin::look(Deadline deadline) {
    target_.node =
        target_.node ? std::move(target_.node) : make_node(job_.target, env_.config, deadline);
    if (!env_.dry_run) {
        end_leftovers(target_, env_, deadline);
    }
    if (!env_.dry_run) {
        wait_for_rewind(target_, env_, copy_deadline_);
    }
    look_at_files(target_, source_->major, deadline);
    if (target_.report.interrupted_swap && !env_.dry_run) {
        finish_swap(target_, env_, deadline);
        look_at_files(target_, source_->major, deadline);
    }
    if (target_.report.unfinished_marker && !env_.dry_run) {
        settle_rewind(target_, source_->major, env_, deadline);
        look_at_files(target_, source_->major, deadline);
    }
    if (present_.empty()) {
        present_ = present_primary_conninfo(target_, deadline);
    }
    if (!target_.report.running) {
        check_port_is_free(deadline);
    }
    if (!target_.report.running) {
        look_at_wal(target_, deadline);
        return target_facts(job_.target.id, target_.report, target_.waldump);
    }
    // A server that does not let us in will be stopped. That must not be for want of time here: one
    // that has just been started may not be ready yet, and one that hangs must be stopped, too.
    const milliseconds fair = std::min(env_.config.connect_timeout, env_.config.follow_timeout / 4);
    if (deadline.remaining() < 2 * fair) {
        throw Error(ErrorKind::timeout,
                    fmt::format("{}: no time is left to see whether its server lets anybody in",
                                job_.target.label()),
                    "Run it again, with a longer follow_timeout if need be.");
    }
    const Deadline patience =
        deadline.within(std::min<milliseconds>(seconds(10), deadline.remaining() / 2));
    for (;;) {
        PgAnswer answer =
            PgConnection::open(inspection_conninfo(job_.target, env_.config), env_.hook,
                               patience.within(env_.config.connect_timeout));
        if (answer.kind == PgAnswer::Kind::serving) {
            TargetFacts facts = read_running_target(*answer.connection, job_.target.id, deadline);
            facts.unfinished_marker = target_.report.unfinished_marker;
            return facts;
        }
        if (answer.kind == PgAnswer::Kind::denied) {
            throw Error(ErrorKind::unreachable,
                        fmt::format("{}: {}", job_.target.label(), answer.detail),
                        !answer.hint.empty()
                            ? answer.hint
                            : "Check postgres_user, the passfile and pg_hba.conf of that node.");
        }
        if (patience.expired()) {
            TargetFacts facts;
            facts.node = job_.target.id;
            facts.running = true;
            facts.major = target_.report.major;
            if (target_.report.control) {
                facts.system_identifier = target_.report.control->system_identifier;
                facts.was_primary = files_of_a_primary(target_.report);
            }
            return facts;
        }
        pause_for(milliseconds(200), patience);
    }
}

TargetFacts Rejoin::look_when_reachable() {
    const Deadline deadline = quick();
    std::optional<Error> last;
    // Short pauses: the attempt itself takes connect_timeout while the host is silent, and a node
    // that is back shall not stay away for longer than that.
    for (milliseconds wait{250};; wait = std::min<milliseconds>(wait * 2, seconds(1))) {
        // The deadline would end this attempt, and hide what the one before it found.
        const bool short_of_time = deadline.remaining() < env_.config.connect_timeout;
        try {
            return look(deadline);
        } catch (const Error& error) {
            // What an earlier run left at work, for a primary that is gone perhaps, ends by itself.
            const bool busy = error.kind() == ErrorKind::refused && !target_.report.busy.empty();
            const bool retry = error.kind() == ErrorKind::unreachable ||
                               error.kind() == ErrorKind::timeout || busy;
            if (!retry || !job_.wait_for_host || env_.dry_run) {
                throw;
            }
            if (deadline.expired()) {
                given_up_ = true;
                throw last && short_of_time ? *last : error;
            }
            if (!last || last->message() != error.message()) {
                env_.log.warn("node cannot be looked at yet, trying again until follow_timeout",
                              {{"node", std::to_string(job_.target.id)},
                               {"why", error.what()},
                               {"next", error.hint()}});
            }
            if (!last || !short_of_time) {
                last = error;
            }
        }
        pause_for(wait, deadline);
        primary_.check(quick());
    }
}

Decision Rejoin::decide() {
    repointed_ = false;
    const auto look_at_source = [&] {
        primary_.check(quick());
        in_context("asking the primary, " + job_.source.label(),
                   [&] { source_ = read_source_facts(*primary_, job_.source.id, quick()); });
        primary_.expect(*source_);
    };
    look_at_source();
    const TargetFacts target = env_.timings.measure("inspect", [&] {
        return in_context("looking at the node", [&] { return look_when_reachable(); });
    });
    // While it was looked at, or waited for, it went on to stream, or a rewind to copy: compared
    // with where the primary was before, it would seem to be ahead, and its history another one.
    look_at_source();
    same_cluster_ = target.system_identifier &&
                    *target.system_identifier == source_->system_identifier &&
                    target.major == source_->major;
    verdict_ = judge_rejoin(*source_, target, policy_);
    std::optional<RejoinVerdict> possible_rewind;
    if (verdict_->action == RejoinAction::rewind) {
        possible_rewind = verdict_;
        read_copy_sizes(*primary_, *source_, quick());
        verdict_ = judge_rejoin(*source_, target, policy_);
    }
    if (verdict_->action == RejoinAction::base_backup) {
        forecast_backup();
        if (possible_rewind && (backup_->choice.refused || backup_->choice.in_place)) {
            verdict_ = possible_rewind;  // it copies as much, and keeps the node's own files
        }
    }
    if (verdict_->diverged && (verdict_->action == RejoinAction::rewind ||
                               verdict_->action == RejoinAction::base_backup)) {
        env_.log.warn("the target has WAL that the primary does not have; it will be lost",
                      {{"node", std::to_string(job_.target.id)},
                       {"from", to_string(verdict_->diverged->first)},
                       {"to", to_string(verdict_->diverged->second)},
                       {"bytes", std::to_string(verdict_->diverged->second.value -
                                                verdict_->diverged->first.value)}});
    }
    return plan_rejoin(*verdict_, *source_, target, policy_);
}

// Before anything is touched: whether a base backup fits, and where.
void Rejoin::forecast_backup() {
    if (!env_.dry_run) {
        remove_incoming(target_, env_, quick());  // it would count as used
    }
    backup_ = plan_backup(target_, *primary_, env_.config.base_backup, quick());
    policy_.backup_in_place = backup_->choice.in_place;
    if (backup_->choice.refused) {
        verdict_->rule = "R10";
        verdict_->action = RejoinAction::refuse;
        verdict_->reason += "; " + backup_->choice.reason;
        verdict_->next = backup_->choice.next;
        return;
    }
    env_.log.info("base backup",
                  {{"node", std::to_string(job_.target.id)},
                   {"forecast", backup_->choice.reason},
                   {"old_data", backup_->choice.in_place ? "removed when the copy begins to arrive"
                                                         : "kept until the new one is proved"}});
    verdict_->reason += " (" + backup_->choice.reason + ")";
}

RecoverySettings Rejoin::settings() const {
    RecoverySettings settings;
    settings.primary_conninfo =
        primary_conninfo_for(job_.target, job_.source, env_.config, present_, source_->major);
    settings.primary_slot_name = slot_name(job_.target.id);
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
        checkpoint_on_new_timeline(*primary_, quick());
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
                    slot_name(job_.target.id),
                    target_.report.unfinished_keeps_configuration ||
                        (same_cluster_ && target_.report.data_directory),
                    source_->major, env_, copy_deadline_);
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

}  // namespace

Verdict run_rejoin(const RejoinJob& job, Env& env) {
    return Rejoin(job, env).run();
}

}  // namespace hooks
