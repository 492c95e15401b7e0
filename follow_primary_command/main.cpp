// follow_primary_command: a node shall follow the new primary. What is quick is done here, the
// rest by a detached worker (this executable again, with --worker), so that pgpool can go on.
#include <fmt/format.h>

#include <algorithm>

#include "common/app/bring_up.h"
#include "common/app/node_lock.h"
#include "common/app/node_steps.h"
#include "common/app/old_primaries.h"
#include "common/app/pool.h"
#include "common/app/rejoin_job.h"
#include "common/app/run_hook.h"
#include "common/app/slot_ledger.h"
#include "common/app/slot_review.h"
#include "common/app/worker.h"
#include "common/core/connections.h"
#include "common/core/held_settings.h"
#include "follow_primary_command/decide.h"

namespace hooks::follow {
namespace {

// How long pgpool's follow loop is held up by one node at most; after that a worker goes on.
constexpr std::chrono::seconds quick_part{10};
constexpr Milliseconds short_look{500};

class Follow {
  public:
    Follow(const Arguments& words, Env& env)
        : env_(env),
          request_(parse_request(words, env.pgpool)),
          target_(*env.pgpool.find(request_.node)),
          source_(*env.pgpool.find(request_.new_primary)),
          quick_(env.deadline.within(quick_part)) {}

    Verdict run() {
        if (env_.worker) {
            return work();
        }
        if (env_.dry_run && !serves()) {
            return run_rejoin({source_, target_, false, true}, env_);
        }
        const Decision decision = env_.timings.measure("inspect", [&] { return inspect(); });
        try {
            const Carried carried =
                carry_out(decision, env_, [&](const Step& step) { return perform(step); });
            Verdict verdict = verdict_of(decision, carried, done_, env_);
            if (verdict.rule == "H03" && !env_.dry_run) {
                give_up(verdict);
            }
            return verdict;
        } catch (const Error& error) {
            if (error.kind() != ErrorKind::timeout && error.kind() != ErrorKind::unreachable) {
                throw;
            }
            env_.log.warn("not done in the time that pgpool should be held up",
                          {{"node", std::to_string(request_.node)}, {"why", error.what()}});
            env_.proving = false;
            hand_over();
            return verdict_of(decision, Carried::out, done_, env_);
        }
    }

  private:
    bool serves() {
        look();
        return find_server(seen_, request_.node)->server.has_value();
    }

    void look() {
        if (!looks_.empty()) {
            return;
        }
        // A worker comes to its own look at both, which waits as long as it takes.
        const Milliseconds patience = env_.worker
                                          ? std::min(env_.config.connect_timeout, short_look)
                                          : env_.config.connect_timeout;
        looks_ = look_at_servers({source_, target_}, env_, env_.deadline.within(patience));
        const ServerSeen& source = looks_.front().seen;
        // Only then somebody else may be the primary.
        if (source.is_standby() || source.liveness == Liveness::refused) {
            looks_ = look_at_servers(env_.pgpool.backends, env_);
        }
        seen_ = seen_of(looks_);
    }

    // The source may be one of the past by now, and pgpool believe in it for ever.
    Verdict work() {
        look();
        const ServerSeen* source = find_server(seen_, source_.id);
        const ServerSeen* instead =
            source->is_primary() ? nullptr : primary_instead(request_, seen_);
        if (instead == nullptr) {
            looks_.clear();
            return run_rejoin({source_, target_, false, true}, env_);
        }
        const Backend primary = instead->backend;
        const TimelineId timeline = instead->server->timeline;
        const bool source_serves = source->server.has_value();
        if (!source_serves) {
            prove_older(timeline);
        }
        looks_.clear();
        env_.log.warn("pgpool called with a primary of the past",
                      {{"named", std::to_string(source_.id)},
                       {"primary", std::to_string(primary.id)},
                       {"timeline", std::to_string(timeline)}});
        attach_primary(primary.id, env_, env_.deadline.within(env_.config.follow_timeout));
        if (!source_serves) {
            bring_back_the_past(primary);
        }
        if (primary.id == target_.id) {
            return {ExitCode::done,
                    "H04",
                    fmt::format("{} is the primary, on timeline {}; pgpool knows it now",
                                primary.label(), timeline),
                    {}};
        }
        return run_rejoin({primary, target_, false, true}, env_);
    }

    // It does not run. Its files tell whether it was the primary after the one that is there now:
    // then it has rows that nobody else has.
    void prove_older(TimelineId timeline) {
        const Deadline deadline = quick_;
        Target files{source_,
                     env_.config.node(source_.id),
                     make_node(source_, env_.config, deadline),
                     {},
                     {}};
        look_at_files(files, 0, deadline);
        const bool older = !files.report.running && files.report.control &&
                           files.report.control->timeline() < timeline;
        if (!older) {
            throw Error(ErrorKind::refused,
                        fmt::format("{} does not run as the primary, and it is not certain that "
                                    "its timeline is older than {}",
                                    source_.label(), timeline),
                        fmt::format("If it was the last primary, start it and attach it with "
                                    "pcp_attach_node; if not, run pcp_recovery_node for node {}.",
                                    target_.id));
        }
    }

    Decision inspect() {
        look();
        Policy policy;
        policy.rejoin_old_primary = env_.config.rejoin_old_primary;
        policy.rejoin.base_backup = env_.config.base_backup != BaseBackupPolicy::never;
        policy.rejoin.stop_running_primary = env_.config.rejoin_old_primary;
        std::optional<SourceFacts> source;
        std::optional<TargetFacts> target;
        PgConnection* primary = connection_to(looks_, source_.id);
        PgConnection* standby = connection_to(looks_, target_.id);
        if (primary != nullptr && standby != nullptr &&
            find_server(seen_, source_.id)->is_primary()) {
            try {
                // In this order: a standby that streams would seem to be ahead of where its
                // primary was before.
                target = read_running_target(*standby, target_.id, quick_);
                source = read_source_facts(*primary, source_.id, quick_);
            } catch (const Error& error) {
                env_.log.warn("facts could not be read", {{"why", error.what()}});
            }
        }
        return decide(request_, seen_, source, target, policy);
    }

    bool perform(const Step& step) {
        PgConnection* primary = connection_to(looks_, source_.id);
        PgConnection* standby = connection_to(looks_, target_.id);
        if (const auto* slots = std::get_if<CreateSlots>(&step)) {
            lock_node(*primary, target_.id, quick_);
            make_slots(
                {*primary, source_, find_server(seen_, source_.id)->server->system_identifier},
                slots->slots, "before the node follows", env_, quick_);
        } else if (std::holds_alternative<Repoint>(step)) {
            const auto present = standby->query(
                "SELECT setting FROM pg_settings WHERE name = 'primary_conninfo'", quick_);
            const Conninfo conninfo = primary_conninfo_for(
                target_, source_, env_.config,
                present.empty()
                    ? Conninfo()
                    : Conninfo::parse(conninfo_without_hold(present[0].at(0).value_or(""))),
                standby->major_version());
            repoint(*standby, conninfo.str(), slot_name(target_.id), quick_);
        } else if (std::holds_alternative<ProveStreaming>(step)) {
            const auto look = [&](PgConnection& repointed) {
                const std::string why =
                    why_it_cannot_follow(*primary, source_.id, repointed, target_.id, quick_);
                if (!why.empty()) {
                    // What it takes now, a worker does.
                    throw Error(ErrorKind::timeout,
                                fmt::format("{}: it got more WAL before it was re-pointed: {}",
                                            target_.label(), why));
                }
            };
            const Proof proof = prove_streaming(*primary, *standby, quick_, look);
            settle_standby(*standby, target_, env_, quick_);
            done_ = fmt::format(
                "{} follows {} on timeline {}, streams and {}; its server was not restarted",
                target_.label(), source_.label(), proof.timeline, proof.reached);
            if (relaxation_was_seen()) {
                done_ += settle_synchronous(*primary, *standby, env_, quick_);
            }
        } else if (std::holds_alternative<AttachNode>(step)) {
            end_old_primaries(source_, target_.id, env_, quick_);
            attach_node(target_.id, env_, quick_);
            done_ += "; it is attached";
        } else if (std::holds_alternative<HandOver>(step)) {
            hand_over();
        } else {
            throw Error(ErrorKind::internal, "not a step of a quick follow: " + text(step));
        }
        return true;
    }

    // Nobody brings it back by itself: what becomes of its slot, and how it comes back.
    void give_up(Verdict& verdict) {
        SlotsToReview what;
        what.primary = source_;
        what.given_up = target_.id;
        what.down = down_of(looks_);
        const SlotReview slots =
            review_slots(*connection_to(looks_, source_.id), what, env_, quick_);
        verdict.text += slots.text;
        verdict.next = fmt::format("pcp_recovery_node -n {} makes it a standby.{}{}", target_.id,
                                   slots.next.empty() ? "" : " ", slots.next);
    }

    bool relaxation_was_seen() const {
        return std::any_of(seen_.begin(), seen_.end(), [](const ServerSeen& seen) {
            return seen.server && !seen.server->synchronous_held.empty();
        });
    }

    void hand_over() {
        looks_.clear();  // with the connection goes the lock, which the worker takes
        const Worker worker =
            spawn_worker(env_, {"--worker"}, fmt::format("worker-node{}.log", target_.id));
        done_ = fmt::format(
            "{}: handed over to a worker, pid {}, which attaches the node when it is "
            "a standby of {}; its log is {}",
            target_.label(), worker.pid, source_.label(), worker.log);
    }

    // Pgpool's call for the primary of the past would be to follow itself.
    void bring_back_the_past(const Backend& primary) {
        if (!wants_rejoin(env_)) {
            return;
        }
        const Worker worker = spawn_rejoin_worker(env_, source_, primary);
        env_.log.info("the primary of the past is brought back by another worker",
                      {{"node", std::to_string(source_.id)},
                       {"pid", std::to_string(worker.pid)},
                       {"log", worker.log}});
    }

    Env& env_;
    Request request_;
    Backend target_;
    Backend source_;
    Deadline quick_;
    std::vector<ServerLook> looks_;  // primary and target, or all
    std::vector<ServerSeen> seen_;
    std::string done_;
};

}  // namespace
}  // namespace hooks::follow

int main(int argc, char** argv) {
    using namespace hooks;
    HookSpec spec{hook_text("follow_primary_command")};
    // The steps have deadlines of their own; a base backup takes what it takes.
    spec.deadline = [](const Config&) { return Deadline::never(); };
    spec.body = [](const Arguments& words, Env& env) { return follow::Follow(words, env).run(); };
    return run_hook(spec, argc, argv);
}
