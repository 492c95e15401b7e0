// failover_command: a node was detached. If it was the primary, the best standby takes its place.
#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "common/app/node_steps.h"
#include "common/app/run_hook.h"
#include "common/app/servers.h"
#include "common/io/poll.h"
#include "failover_command/decide.h"

namespace hooks::failover {
namespace {

using std::chrono::milliseconds;

// One lock for promotions, whoever runs them; node ids are never negative.
constexpr int promotion_lock = -1;
// Between two looks when nothing can be done yet.
constexpr milliseconds look_pause{500};

class Failover {
  public:
    Failover(const Arguments& words, Env& env)
        : env_(env), request_(parse_request(words, env.pgpool)) {
        policy_.candidate = env.config.candidate;
        policy_.unfenced_primary = env.config.unfenced_primary;
        policy_.failed_standby_slot = env.config.failed_standby_slot;
    }

    Verdict run() {
        for (;;) {
            looks_.clear();  // with the sessions go their locks, which would be in our own way
            looks_ = env_.timings.measure(
                "inspect", [&] { return look_at_servers(env_.pgpool.backends, env_); });
            const Decision decision =
                decide(request_, seen_of(looks_), policy_, failed_, slots_bounded());
            if (worth_waiting(decision)) {
                env_.log.warn("nobody can be promoted yet, looking again",
                              {{"why", reason_of(decision)}});
                failed_.clear();
                pause_for(look_pause, env_.deadline);
                continue;
            }
            const Carried carried =
                carry_out(decision, env_, [&](const Step& step) { return perform(step); });
            if (carried != Carried::interrupted_for_new_look) {
                return verdict_of(decision, carried, done_, env_);
            }
            if (env_.deadline.expired()) {
                throw Error(ErrorKind::timeout,
                            fmt::format("nobody was promoted within failover_timeout: {}",
                                        decide_again_text()),
                            "Look at the log lines above; promote a standby with "
                            "pcp_promote_node or by hand.");
            }
        }
    }

  private:
    // There is no candidate. A server that starts, or comes back after a crash, may be one at the
    // next look, and what failed once may work then; pgpool would wait longer for nobody.
    bool worth_waiting(const Decision& decision) const {
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

    bool slots_bounded() {
        if (request_.detached_was_primary()) {
            return false;
        }
        PgConnection* primary = connection_to(looks_, request_.old_primary);
        return primary != nullptr && slots_are_bounded(*primary, env_.deadline);
    }

    std::string decide_again_text() const {
        std::string out;
        for (const ServerLook& look : looks_) {
            out += (out.empty() ? "" : "; ") + look.seen.describe();
        }
        return out;
    }

    const Backend& backend(int id) const { return *env_.pgpool.find(id); }

    bool perform(const Step& step) {
        if (const auto* slots = std::get_if<CreateSlots>(&step)) {
            return prepare(*slots);
        }
        if (const auto* drop = std::get_if<DropSlot>(&step)) {
            const bool gone =
                drop_slot(*connection_to(looks_, drop->node), drop->slot, env_.deadline);
            done_ = fmt::format("node {} was a standby; its slot {} on node {} {}",
                                request_.detached, drop->slot, drop->node,
                                gone ? "was dropped" : "is in use and was kept");
            return true;
        }
        if (const auto* resume = std::get_if<ResumeReplay>(&step)) {
            connection_to(looks_, resume->node)
                ->query("SELECT pg_wal_replay_resume()", env_.deadline);
            return true;
        }
        if (const auto* stop = std::get_if<StopServer>(&step)) {
            stop_old_primary(stop->node);
            return true;
        }
        if (const auto* chosen = std::get_if<Promote>(&step)) {
            return promote_node(chosen->node);
        }
        if (std::holds_alternative<LookAgain>(step)) {
            return false;
        }
        throw Error(ErrorKind::internal, "not a step of a failover: " + text(step));
    }

    // Slots first: with the promotion comes a checkpoint, and with that the WAL that the other
    // nodes need may go. Missing slots cost a base backup later, a missing primary costs more.
    bool prepare(const CreateSlots& step) {
        if (!lock_standbys(step.node)) {
            return false;
        }
        PgConnection& candidate = *connection_to(looks_, step.node);
        try {
            create_slots(candidate, step.slots, env_.deadline.within(env_.config.connect_timeout));
        } catch (const Error& error) {
            if (error.kind() != ErrorKind::sql) {
                return candidate_failed(step.node, error.what());
            }
            env_.log.warn("no slots for the other nodes, which may need a base backup later",
                          {{"node", std::to_string(step.node)}, {"why", error.what()}});
        }
        return true;
    }

    // Two pgpools that look at different moments may find different candidates the best. So the
    // lock is taken on every standby, always in the same order, and what counts is seen under it.
    bool lock_standbys(int chosen) {
        for (const int node : standbys()) {
            PgConnection& standby = *connection_to(looks_, node);
            const Deadline share = env_.deadline.within(env_.config.connect_timeout);
            try {
                lock_node(standby, promotion_lock, share);
                if (!read_server_facts(standby, share).in_recovery) {
                    return false;  // another run promoted it since we looked
                }
            } catch (const Error& error) {
                if (error.kind() == ErrorKind::refused) {
                    env_.log.info("another run promotes a node; looking again",
                                  {{"node", std::to_string(node)}, {"who", error.message()}});
                    pause_for(milliseconds(100), env_.deadline);
                    return false;
                }
                if (node == chosen) {
                    return candidate_failed(node, error.what());
                }
                env_.log.warn("a standby was lost since it was looked at",
                              {{"node", std::to_string(node)}, {"why", error.what()}});
            }
        }
        return true;
    }

    // Of this cluster, lowest id first.
    std::vector<int> standbys() const {
        const auto servers = seen_of(looks_);
        std::vector<int> ids;
        for (const ServerSeen* seen : rank_candidates(request_, servers, policy_, {})) {
            ids.push_back(seen->backend.id);
        }
        std::sort(ids.begin(), ids.end());
        return ids;
    }

    bool candidate_failed(int node, std::string why) {
        env_.log.error("candidate failed, taking the next",
                       {{"node", std::to_string(node)}, {"why", why}});
        failed_.push_back({node, std::move(why)});
        return false;
    }

    // A share of the time, so that the next candidate has some too.
    Deadline promotion_deadline() const {
        const auto servers = seen_of(looks_);
        const bool last = rank_candidates(request_, servers, policy_, failed_).size() <= 1;
        return last ? env_.deadline : env_.deadline.within(env_.deadline.remaining() / 2);
    }

    bool promote_node(int node) {
        PgConnection& candidate = *connection_to(looks_, node);
        const ServerFacts before = *find(node)->server;
        Promotion promotion;
        if (before.major() >= 12) {
            promotion = promote(candidate, before.timeline, promotion_deadline());
        } else {
            promotion = promote_by_pg_ctl(node, candidate, before.timeline);
        }
        if (promotion.end == Promotion::End::promoted) {
            return promoted(node, before, promotion.timeline);
        }
        if (promotion.end == Promotion::End::not_begun) {
            return candidate_failed(node, promotion.detail);
        }
        return put_down(node, before, promotion.detail);
    }

    bool promoted(int node, const ServerFacts& before, TimelineId timeline) {
        done_ = fmt::format(
            "{} is the primary now, on timeline {}; before it was a standby on timeline {} with "
            "WAL up to {}",
            backend(node).label(), timeline, before.timeline, before.end_of_wal());
        return true;
    }

    // It was asked and did not say that it did. Before anybody else is promoted it must be certain
    // that it never will: two nodes on the same new timeline can never be told apart again.
    bool put_down(int node, const ServerFacts& before, const std::string& detail) {
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
        Target target{backend(node),
                      env_.config.node(node),
                      make_node(backend(node), env_.config, env_.deadline),
                      {},
                      {}};
        look_at_files(target, before_major(node), env_.deadline);
        stop_server(target, env_, env_.deadline);
        return candidate_failed(
            node, "it was asked to promote and did not in time; it was stopped: " + detail);
    }

    Promotion promote_by_pg_ctl(int node, PgConnection& candidate, TimelineId before) {
        Target target{backend(node),
                      env_.config.node(node),
                      make_node(backend(node), env_.config, env_.deadline),
                      {},
                      {}};
        Promotion promotion;
        try {
            look_at_files(target, before_major(node), env_.deadline);
        } catch (const Error& error) {
            promotion.end = Promotion::End::not_begun;
            promotion.detail = error.what();
            return promotion;
        }
        const Outcome outcome = target.node->run(
            {{target.report.bin_dir + "/pg_ctl", "-D", target.directory(), "-W", "promote"},
             {},
             {}},
            env_.deadline);
        if (!outcome.ok()) {
            promotion.end = Promotion::End::not_begun;
            promotion.detail = outcome.describe();
            return promotion;
        }
        return wait_for_promotion(candidate, before, promotion_deadline());
    }

    void stop_old_primary(int node) {
        Target target{backend(node),
                      env_.config.node(node),
                      make_node(backend(node), env_.config, env_.deadline),
                      {},
                      {}};
        // What is left must be enough for the promotion.
        const Deadline deadline = env_.deadline.within(env_.deadline.remaining() * 2 / 3);
        look_at_files(target, 0, deadline);
        if (!target.report.running && ++stops_in_vain_ > 3) {
            throw Error(ErrorKind::refused,
                        fmt::format("{} answers, but no server runs in {}: whatever it is, it "
                                    "cannot be stopped, and nobody was promoted beside it",
                                    backend(node).label(), target.directory()),
                        "Check its backend_port and backend_data_directory in pgpool.conf.");
        }
        if (!target.report.running) {
            pause_for(look_pause, env_.deadline);  // it may just have ended by itself
        }
        stop_server(target, env_, deadline);
    }

    const ServerSeen* find(int node) const {
        for (const ServerLook& look : looks_) {
            if (look.seen.backend.id == node) {
                return &look.seen;
            }
        }
        return nullptr;
    }
    int before_major(int node) const { return find(node)->server->major(); }

    Env& env_;
    Request request_;
    Policy policy_;
    std::vector<ServerLook> looks_;
    std::vector<Failed> failed_;
    int stops_in_vain_ = 0;
    std::string done_;
};

}  // namespace
}  // namespace hooks::failover

int main(int argc, char** argv) {
    using namespace hooks;
    HookSpec spec;
    spec.name = "failover_command";
    spec.summary = "a node was detached; if it was the primary, promote the best standby";
    spec.arguments = "%d %h %p \"%D\" %m %H %M %P %r \"%R\" %N %S";
    const std::string line = pool_command_line("failover_command");
    spec.called_as = line.c_str();
    spec.deadline = [](const Config& config) { return Deadline::after(config.failover_timeout); };
    spec.body = [](const Arguments& words, Env& env) {
        return failover::Failover(words, env).run();
    };
    return run_hook(spec, argc, argv);
}
