// The look at a node that shall follow, and what is decided for it.
#include <fmt/format.h>

#include <algorithm>

#include "common/app/rejoin_rounds.h"
#include "common/core/connections.h"
#include "common/io/poll.h"

namespace hooks {

using std::chrono::milliseconds;
using std::chrono::seconds;

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
    if (!kept_ && source_->major < 12) {
        kept_ = present_recovery(target_, deadline);
        for (const std::string& line : kept_ ? kept_->left_out : std::vector<std::string>{}) {
            env_.log.warn("not all that recovery.conf says is carried over; look there",
                          {{"node", target_.node->label()}, {"left_out", line}});
        }
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
    if (deadline.remaining() < time_to_ask()) {
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
        bool short_of_time = deadline.remaining() < env_.config.connect_timeout;
        try {
            return look(deadline);
        } catch (const Error& error) {
            short_of_time = short_of_time || (error.kind() == ErrorKind::timeout &&
                                              deadline.remaining() < time_to_ask());
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
    if (source_->major < 11 && policy_.rewind_obstacle.empty() &&
        !is_superuser(*primary_, quick())) {
        policy_.rewind_obstacle =
            "pg_rewind before PostgreSQL 11 reads as a superuser only, which "
            "postgres_user is not";
    }
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
    Decision decision = plan_rejoin(*verdict_, *source_, target, policy_);
    // A primary too many is stopped whether or not it can be started again.
    const bool serves_as_primary = target.running && (!target.was_primary || *target.was_primary);
    if (!serves_as_primary && needs_a_start(decision)) {
        check_unit_may_be_started(target_, env_, quick());
    }
    if (!target.running && !env_.dry_run && std::holds_alternative<Plan>(decision) &&
        put_unit_to_rest(target_, env_, quick())) {
        throw LookAnew{};
    }
    return decision;
}

// Its own configuration files go into what a base backup brings.
bool Rejoin::keeps_configuration() const {
    return target_.report.unfinished_keeps_configuration ||
           (same_cluster_ && target_.report.data_directory);
}

// Before anything is touched: whether a base backup fits, and where.
void Rejoin::forecast_backup() {
    if (!env_.dry_run) {
        remove_incoming(target_, env_, quick());  // it would count as used
    }
    backup_ =
        plan_backup(target_, *primary_, env_.config.base_backup, keeps_configuration(), quick());
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

}  // namespace hooks
