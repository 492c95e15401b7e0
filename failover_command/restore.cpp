// Nobody takes the place of a primary that was shut down for it: then it is the primary again.
#include <fmt/format.h>

#include <algorithm>

#include "common/app/tombstone.h"
#include "common/app/worker.h"
#include "common/io/poll.h"
#include "failover_command/failover.h"

namespace hooks::failover {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// Its commit proves that it takes writes.
void prove_primary(PgConnection& server, TimelineId timeline, Deadline deadline) {
    const ServerFacts facts = read_server_facts(server, deadline);
    if (facts.in_recovery || (timeline != 0 && facts.timeline != timeline)) {
        throw Error(ErrorKind::command,
                    fmt::format("it is a {} on timeline {}",
                                facts.in_recovery ? "standby" : "primary", facts.timeline));
    }
    server.query("SELECT pg_logical_emit_message(true, 'pgpool-hooks', 'restored')", deadline);
}

}  // namespace

// A server that is stopped must be started again within failover_timeout, if need be.
void Failover::reserve_time_to_restore() {
    if (!whole_) {
        whole_ = env_.deadline;
        const milliseconds left = env_.deadline.remaining();
        reserved_ = env_.deadline.within(left - std::min<milliseconds>(seconds(8), left / 3));
        env_.deadline = *reserved_;
        old_.can_return = true;
    }
}

// Somebody is asked to be the primary. Whatever is heard of that, the old one must stay down.
void Failover::point_of_no_restore() {
    old_.can_return = false;
    if (whole_) {
        env_.deadline = *whole_;
    }
}

bool Failover::can_restore() const {
    return old_.stopped && old_.answered && old_.can_return && !env_.dry_run;
}

// Every standby that can be reached is locked, so that no other run promotes one meanwhile.
bool Failover::another_took_over() {
    for (;;) {
        looks_.clear();
        looks_ = look_at_servers(env_.pgpool.backends, env_);
        for (const ServerLook& look : looks_) {
            if (look.seen.is_primary() && look.seen.backend.id != request_.detached) {
                return true;
            }
        }
        if (lock_standbys(-1)) {
            return false;
        }
        if (env_.deadline.expired()) {
            throw Error(ErrorKind::timeout, "another run promotes a node, or hangs in that",
                        "Look at its log.");
        }
    }
}

void Failover::start_old_primary() {
    env_.deadline = *whole_;
    old_.can_return = false;
    Target& target = reach(request_.detached);
    try {
        if (another_took_over()) {
            throw Error(ErrorKind::refused, "another run promoted a node meanwhile",
                        "Pgpool finds the new primary by itself.");
        }
        exhume(target, env_.deadline);
        tombstone_ = false;
        look_at_files(target, 0, env_.deadline);
        const TimelineId timeline =
            target.report.control ? target.report.control->timeline() : TimelineId{0};
        // One that was told to stop and did not in time may still be about to.
        bool started = false;
        for (Deadline next_look = Deadline::after(milliseconds(0));;) {
            if (next_look.expired() && !server_is_running(target, env_.deadline)) {
                if (started) {
                    throw Error(ErrorKind::command, "it ended again");
                }
                start_server(target, env_, env_.deadline, StartWhere::anywhere);
                started = true;
            }
            next_look = next_look.expired() ? Deadline::after(seconds(1)) : next_look;
            const PgAnswer answer =
                PgConnection::open(inspection_conninfo(target.backend, env_.config), env_.hook,
                                   env_.deadline.within(env_.config.connect_timeout));
            if (answer.kind == PgAnswer::Kind::serving) {
                prove_primary(*answer.connection, timeline, env_.deadline);
                old_.restored = true;
                return;
            }
            if (env_.deadline.expired()) {
                throw Error(ErrorKind::timeout, "it does not serve: " + answer.detail);
            }
            pause_for(milliseconds(20), env_.deadline);
        }
    } catch (const Error& error) {
        throw Error(
            error.kind(),
            fmt::format("nobody could take the place of {}, which was stopped, and it could not be "
                        "started again as the primary: {}\n{}",
                        target.backend.label(), error.what(),
                        end_of_server_log(target, Deadline::after(seconds(2)))),
            !error.hint().empty()
                ? error.hint()
                : fmt::format("Start it by hand (remove recovery.conf in {} if its first line says "
                              "that pgpool-hooks wrote it), then pcp_attach_node -n {}.",
                              target.directory(), request_.detached));
    }
}

Verdict Failover::restored(const std::string& why) {
    Verdict verdict;
    verdict.code = ExitCode::refused;
    verdict.rule = "F04";
    verdict.text =
        fmt::format("refused, and all is as it was: {}; {} was started again and is the primary",
                    why, backend(request_.detached).label());
    verdict.next =
        "See that a standby streams from it and can be promoted (the lines above name each), then "
        "repeat what you wanted.";
    try {
        const Worker worker = spawn_worker(env_, {"--job", "attach"},
                                           fmt::format("attach-node{}.log", request_.detached));
        verdict.text += fmt::format(
            "; a worker, pid {}, attaches it to pgpool when that has ended "
            "its search for a primary; its log is {}",
            worker.pid, worker.log);
    } catch (const Error& error) {
        verdict.text += fmt::format("; it is not attached to pgpool: {}", error.what());
        verdict.next = fmt::format("pcp_attach_node -n {}. ", request_.detached) + verdict.next;
    }
    return verdict;
}

// It was the primary all along, and pgpool believed in another.
void Failover::attach_in_the_background() {
    const Worker worker = spawn_worker(env_, {"--job", "attach"},
                                       fmt::format("attach-node{}.log", request_.detached));
    done_ = fmt::format(
        "{} is the primary, and the one of the past beside it was shut down; a worker, pid {}, "
        "attaches it to pgpool when that has ended its search for a primary; its log is {}",
        backend(request_.detached).label(), worker.pid, worker.log);
}

}  // namespace hooks::failover
