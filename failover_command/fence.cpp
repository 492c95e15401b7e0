// The old primary must not be one beside the new one.
#include <fmt/format.h>

#include <algorithm>

#include "common/app/tombstone.h"
#include "common/app/worker.h"
#include "common/io/poll.h"
#include "failover_command/failover.h"
#include "failover_command/ladder.h"

namespace hooks::failover {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// A primary that shuts down waits for its standbys: what did not come by then rarely comes.
constexpr seconds wal_patience{3};
// For the best candidate, while another has everything.
constexpr milliseconds patience_with_the_best{500};

bool makes_a_standby(const NodeReport& report) {
    return report.major >= 12 ? report.standby_signal : report.recovery_conf;
}

}  // namespace

// Where a note says that a run stopped this one, its host is asked at once, also when it refuses:
// others do not wait for ssh when a server that refuses is gone.
void Failover::look() {
    const Backend* old = env_.pgpool.find(request_.detached);
    std::optional<Ladder> ladder;
    if (request_.detached_was_primary() && old != nullptr && !old_.stopped &&
        old_.host == OldPrimary::Host::unknown) {
        ladder.emplace(*old, env_, note_.has_value());
    }
    const auto host_is_asked = [this](const ServerSeen& seen) {
        return seen.liveness == Liveness::silent || (note_ && seen.liveness == Liveness::refused);
    };
    const Deadline patience = env_.deadline.within(env_.config.connect_timeout);
    looks_ = look_at_servers(env_.pgpool.backends, env_, patience, [&](const ServerSeen& seen) {
        if (ladder && seen.backend.id == request_.detached && !host_is_asked(seen)) {
            ladder->needless();
        }
    });
    if (ladder && host_is_asked(*find(request_.detached))) {
        look_at_the_host(*ladder);
        note_.reset();
    }
}

// A look through the backend_data_directory of another server says nothing about this one.
void Failover::refuse_another_cluster(const Target& target) const {
    const std::uint64_t cluster = common_system_identifier(seen_of(looks_));
    const auto& control = target.report.control;
    if (cluster != 0 && control && control->system_identifier != cluster) {
        throw Error(ErrorKind::refused,
                    fmt::format("{} is of another cluster (system identifier {}, the standbys have "
                                "{})",
                                target.directory(), control->system_identifier, cluster),
                    "Check backend_data_directory of that node in pgpool.conf.");
    }
}

void Failover::look_at_the_host(Ladder& ladder) {
    const bool silent = find(request_.detached)->liveness == Liveness::silent;
    auto target = ladder.reached();
    if (!target) {
        env_.log.warn("the old primary cannot be reached",
                      {{"node", std::to_string(request_.detached)}, {"tried", ladder.how()}});
        old_.how = silent ? ladder.how() : "";
        return;
    }
    const NodeReport& report = target->report;
    try {
        refuse_another_cluster(*target);
    } catch (const Error& error) {
        old_.how = fmt::format("reached {}, but {}", ladder.how(), error.what());
        env_.log.warn("the host of the old primary is reached, and its server not found",
                      {{"node", std::to_string(request_.detached)}, {"why", error.what()}});
        return;
    }
    env_.log.info("the host of the old primary is reached",
                  {{"node", std::to_string(request_.detached)},
                   {"how", ladder.how()},
                   {"server", report.running ? "running" : "not running"}});
    const NotedStop stop = note_ ? noted_stop(report) : NotedStop::none;
    if (stop == NotedStop::none && !silent) {
        return;  // it refuses, and there is nothing to go on with
    }
    old_.how = ladder.how();
    if (stop == NotedStop::none && (!report.data_directory || makes_a_standby(report))) {
        old_.how = fmt::format("reached {}, but {} {}", old_.how, target->directory(),
                               report.data_directory ? "is a standby's" : "is no data directory");
        return;
    }
    old_.host = report.running ? OldPrimary::Host::running : OldPrimary::Host::down;
    fenced_ = std::move(target);
    if (stop == NotedStop::shut_down) {
        go_on_where_it_was_stopped();
    }
}

// The same session for all that is done to one node.
Target& Failover::reach(int node) {
    if (!fenced_ || fenced_->backend.id != node) {
        fenced_ = std::make_unique<Target>(target_of(node));
    }
    return *fenced_;
}

void Failover::stop_old_primary(int node) {
    const bool detached = node == request_.detached;
    const Liveness liveness = find(node)->liveness;
    if (detached && liveness != Liveness::silent) {
        reserve_time_to_restore();
    }
    Target& target = reach(node);
    // What is left must be enough for the promotion.
    const Deadline deadline = env_.deadline.within(env_.deadline.remaining() * 2 / 3);
    look_at_files(target, 0, deadline);
    refuse_another_cluster(target);
    if (liveness == Liveness::serving) {
        checkpoint_before_stop(node);
    }
    const bool ran = target.report.running;
    const bool was_primary = !makes_a_standby(target.report);
    if (!ran && ++stops_in_vain_ > 2) {
        throw Error(ErrorKind::refused,
                    fmt::format("{} answers, but no server runs in {}: whatever it is, it "
                                "cannot be stopped, and nobody was promoted beside it",
                                backend(node).label(), target.directory()),
                    "Check its backend_port and backend_data_directory in pgpool.conf.");
    }
    if (!ran) {
        pause_for(look_pause, env_.deadline);  // it may just have ended by itself
    }
    if (detached && ran) {
        old_.stopped = true;
        old_.answered = find(node)->liveness != Liveness::silent;
        old_.end.reset();
        old_.waited = false;
        old_.why_no_end = "it was no primary";
        if (old_.answered) {
            old_.how = "from here";
        }
    }
    if (detached && ran && was_primary) {
        leave_note();
    }
    stop_server(target, env_, deadline);
    if (detached && ran && was_primary) {
        judge_stopped(target, env_.deadline.within(env_.deadline.remaining() / 2));
        if (liveness == Liveness::rejecting && !old_.why_not_clean.empty()) {
            // It served nobody and was lost to its clients before we came: to start it again would
            // only begin its recovery anew.
            point_of_no_restore();
        }
    }
    old_.past_stopped = old_.past_stopped || !detached;
}

// The shutdown has a few seconds; a checkpoint of its own that takes longer would turn it into a
// crash. Best effort.
void Failover::checkpoint_before_stop(int node) {
    try {
        const PgOutcome outcome = checkpoint(*connection_to(looks_, node),
                                             env_.deadline.within(env_.deadline.remaining() / 4));
        if (!outcome.ok) {
            env_.log.debug("no checkpoint before the shutdown", {{"why", outcome.message}});
        }
    } catch (const Error& error) {
        env_.log.warn("no checkpoint before the shutdown", {{"why", error.what()}});
    }
}

// What a primary that was shut down cleanly wrote last is the checkpoint of its shutdown. Who has
// received that has everything. One that had to be ended otherwise tells by its files.
void Failover::judge_stopped(Target& target, Deadline deadline) {
    const NodeReport& report = target.report;
    if (!report.control) {
        old_.why_not_clean = old_.why_no_end = report.control.why();
        return;
    }
    const bool clean = report.control->state == ClusterState::shut_down;
    old_.why_not_clean =
        clean ? "" : fmt::format("not shut down cleanly ({})", to_string(report.control->state));
    old_.why_no_end = old_.why_not_clean;
    if (clean) {
        // Beyond its begin, in case its end cannot be read.
        old_.end =
            OldPrimary::End{report.control->timeline(), Lsn{report.control->checkpoint.value + 1}};
    }
    std::string why;
    try {
        look_at_wal(target, deadline);
        const TargetFacts facts = target_facts(target.backend.id, report, target.waldump);
        if (facts.end_of_wal) {
            old_.end = OldPrimary::End{report.control->timeline(), *facts.end_of_wal};
            return;
        }
        why = facts.end_of_wal.why();
    } catch (const Error& error) {
        why = error.what();
    }
    env_.log.warn(clean ? "the end of its WAL is not known; taking that of its checkpoint"
                        : "the end of its WAL is not known",
                  {{"node", target.node->label()}, {"why", why}});
}

void Failover::wait_for_wal(const WaitForWal& step) {
    old_.waited = true;
    const Deadline patience =
        env_.deadline.within(std::min<milliseconds>(wal_patience, env_.deadline.remaining() / 3));
    std::optional<Deadline> best_only;
    for (;;) {
        bool somebody = false;
        for (const int node : standbys()) {
            try {
                const PgRow row = connection_to(looks_, node)
                                      ->query(
                                          "SELECT pg_last_wal_receive_lsn(), "
                                          "pg_last_wal_replay_lsn()",
                                          env_.deadline.within(env_.config.connect_timeout))
                                      .at(0);
                const Lsn received = parse_lsn(row.at(0).value_or("")).value_or(Lsn{});
                const Lsn replayed = parse_lsn(row.at(1).value_or("")).value_or(Lsn{});
                if (std::max(received, replayed) >= step.upto) {
                    somebody = true;
                    if (node == step.node) {
                        return;
                    }
                }
            } catch (const Error& error) {
                env_.log.warn("a standby was lost since it was looked at",
                              {{"node", std::to_string(node)}, {"why", error.what()}});
            }
        }
        if (somebody && !best_only) {
            best_only = patience.within(patience_with_the_best);
        }
        if (patience.expired() || (best_only && best_only->expired())) {
            return;
        }
        pause_for(milliseconds(20), patience);
    }
}

bool Failover::fence(const Fence& step) {
    const bool detached = step.node == request_.detached;
    try {
        const Deadline deadline = env_.deadline.within(env_.config.connect_timeout + seconds(1));
        Target& target = reach(step.node);
        if (!target.report.data_directory) {
            look_at_files(target, before_major(step.successor), deadline);
        }
        Tombstone tombstone;
        tombstone.successor = backend(step.successor).label();
        tombstone.what = detached && !old_.stopped ? "Its server did not run and did not answer"
                                                   : "Its server was stopped first";
        const Grave grave = bury(target, std::move(tombstone), env_, deadline);
        if (grave == Grave::running) {
            env_.log.warn("a server runs there again", {{"node", std::to_string(step.node)}});
            return false;
        }
        tombstone_ = tombstone_ || (detached && grave == Grave::written);
    } catch (const Error& error) {
        // Its server is seen to be stopped. The rest is tried again after the promotion.
        env_.log.warn("no tombstone could be written; a reboot there could start a second primary",
                      {{"node", std::to_string(step.node)}, {"why", error.what()}});
    }
    return true;
}

// For the verdict.
std::string Failover::fence_text() const {
    if (promoted_ < 0 || !request_.detached_was_primary()) {
        return {};
    }
    std::string text = fmt::format("; node {}: ", request_.detached);
    if (old_.stopped) {
        text += fmt::format("fenced {}, ", old_.how);
        text += old_.end ? fmt::format("{} with WAL up to {}",
                                       old_.why_not_clean.empty()
                                           ? "shut down"
                                           : "stopped (" + old_.why_not_clean + ")",
                                       old_.end->lsn)
                         : fmt::format("stopped, but {}", old_.why_no_end);
    } else if (old_.host == OldPrimary::Host::down) {
        text += fmt::format("its host answers and no server runs, seen {}", old_.how);
    } else if (!old_.how.empty()) {
        text += "NOT fenced: " + old_.how;
    } else {
        return {};
    }
    return text + (tombstone_ ? ", tombstone written" : "");
}

// It does not run, or nobody knows whether it does, and pgpool's clients wait for this hook: a
// worker sees to it that it does not come up again as a primary.
void Failover::fence_in_the_background() {
    const ServerSeen* old = find(request_.detached);
    if (tombstone_ || old == nullptr || old->is_standby()) {
        return;
    }
    try {
        const Worker worker = spawn_worker(env_, {"--job", "fence"},
                                           fmt::format("fence-node{}.log", request_.detached));
        env_.log.info("the old primary is fenced in the background",
                      {{"node", std::to_string(request_.detached)},
                       {"pid", std::to_string(worker.pid)},
                       {"log", worker.log}});
    } catch (const Error& error) {
        env_.log.warn("the old primary is not fenced", {{"why", error.what()}});
    }
}

}  // namespace hooks::failover
