#include "failover_command/jobs.h"

#include <fmt/format.h>

#include "common/app/node_lock.h"
#include "common/app/pool.h"
#include "common/app/servers.h"
#include "common/app/tombstone.h"
#include "common/app/worker.h"
#include "common/io/poll.h"
#include "failover_command/request.h"

namespace hooks::failover {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// Between two looks whether what is done still makes sense.
constexpr seconds round{20};
// All that is done under the node's lock: a worker that makes the node a standby waits for that.
constexpr seconds longest_hold{10};

Backend detached_node(const Arguments& words, const Env& env) {
    const int node = parse_request(words, env.pgpool).detached;
    const Backend* backend = env.pgpool.find(node);
    if (backend == nullptr) {
        throw Error(ErrorKind::usage, fmt::format("node {} is not in pgpool.conf", node));
    }
    return *backend;
}

class Job {
  public:
    Job(const Arguments& words, Env& env)
        : env_(env),
          backend_(detached_node(words, env)),
          target_{backend_, env.config.node(backend_.id), nullptr, {}, {}} {
        env_.deadline = Deadline::after(env.config.follow_timeout);
    }

    Verdict attach();
    Verdict fence();

  private:
    const ServerSeen* newest_primary(const std::vector<ServerSeen>& seen) const;
    std::unique_ptr<PgConnection> find_new_primary();
    void reach();
    std::string needless();
    std::string bury_it(PgConnection& primary);

    Verdict done(std::string text) const { return {ExitCode::done, "F05", std::move(text), {}}; }

    Env& env_;
    Backend backend_;
    Target target_;
    Backend primary_;
    ServerFacts primary_facts_;
    bool is_newest_ = false;  // nobody has taken its place
    bool ran_ = false;        // as a second primary
};

const ServerSeen* Job::newest_primary(const std::vector<ServerSeen>& seen) const {
    const ServerSeen* newest = nullptr;
    for (const ServerSeen& server : seen) {
        if (server.is_primary() &&
            (newest == nullptr || server.server->timeline > newest->server->timeline)) {
            newest = &server;
        }
    }
    return newest;
}

// Pgpool takes it back when it has given up its search for another primary.
Verdict Job::attach() {
    for (;;) {
        const auto seen = seen_of(look_at_servers(env_.pgpool.backends, env_));
        const ServerSeen* primary = newest_primary(seen);
        if (primary == nullptr && !env_.deadline.expired()) {
            // A moment without an answer is no answer.
            env_.log.info("it is not seen as the primary now, looking again",
                          {{"is", find_server(seen, backend_.id)->describe()}});
            pause_for(seconds(1), env_.deadline);
            continue;
        }
        if (primary == nullptr || primary->backend.id != backend_.id) {
            return {ExitCode::refused, "F04",
                    fmt::format("not attached: {} is not the primary any more: {}",
                                backend_.label(), find_server(seen, backend_.id)->describe()),
                    "Look which node is the primary, and attach that one with pcp_attach_node."};
        }
        try {
            attach_node(backend_.id, env_, env_.deadline.within(round));
            return {ExitCode::done,
                    "F04",
                    fmt::format("{} is the primary as before, and attached", backend_.label()),
                    {}};
        } catch (const Error& error) {
            if (env_.deadline.expired()) {
                throw;
            }
            env_.log.info("not attached yet, trying again", {{"why", error.what()}});
        }
        pause_for(seconds(1), env_.deadline);
    }
}

std::unique_ptr<PgConnection> Job::find_new_primary() {
    auto looks = look_at_servers(env_.pgpool.backends, env_);
    const auto seen = seen_of(looks);
    const ServerSeen* newest = newest_primary(seen);
    is_newest_ = newest != nullptr && newest->backend.id == backend_.id;
    if (newest == nullptr || is_newest_) {
        return nullptr;
    }
    primary_ = newest->backend;
    primary_facts_ = *newest->server;
    for (ServerLook& look : looks) {
        if (look.seen.backend.id == primary_.id) {
            return std::move(look.connection);
        }
    }
    return nullptr;
}

// Without the lock: a host that is gone may stay so for long, and a worker that waits for it in
// order to make the node a standby has the lock then.
void Job::reach() {
    target_.node = make_node(backend_, env_.config, env_.deadline);
    for (milliseconds wait{500};; wait = std::min<milliseconds>(wait * 2, seconds(5))) {
        try {
            return look_at_files(target_, 0, env_.deadline.within(longest_hold));
        } catch (const Error& error) {
            const bool later =
                error.kind() == ErrorKind::unreachable || error.kind() == ErrorKind::timeout;
            if (!later || env_.deadline.expired()) {
                throw;
            }
            env_.log.debug("not reached yet", {{"why", error.what()}});
        }
        pause_for(wait, env_.deadline);
    }
}

// Why the files need no tombstone; empty when they do.
std::string Job::needless() {
    const NodeReport& report = target_.report;
    if (!report.data_directory) {
        return "it has no data directory";
    }
    if (report.standby_signal || (report.major < 12 && report.recovery_conf)) {
        return "it is a standby's data directory";
    }
    if (report.control && report.control->timeline() > primary_facts_.timeline) {
        return "it is on a later timeline than that primary";
    }
    if (report.control && report.control->system_identifier != primary_facts_.system_identifier) {
        return "it is of another cluster";
    }
    return {};
}

// The lock is held.
std::string Job::bury_it(PgConnection& primary) {
    const Deadline deadline = env_.deadline.within(longest_hold);
    for (int round = 0; round < 3; ++round) {
        look_at_files(target_, 0, deadline);
        if (const std::string why = needless(); !why.empty()) {
            return "nothing to do: " + why;
        }
        const ServerFacts now = read_server_facts(primary, deadline);
        if (now.in_recovery || now.timeline != primary_facts_.timeline) {
            return fmt::format("nothing to do: {} is no longer the primary", primary_.label());
        }
        const bool ran = target_.report.running;
        ran_ = ran_ || ran;
        // On the old timeline and without the file that makes a standby: a second primary.
        stop_server(target_, env_, deadline);
        Tombstone tombstone;
        tombstone.successor = primary_.label();
        tombstone.what = ran ? "It was started again and was stopped" : "Its server did not run";
        switch (bury(target_, std::move(tombstone), env_, deadline)) {
            case Grave::written:
                return ran ? "it ran as a second primary, was stopped and has a tombstone"
                           : "it does not run, and has a tombstone";
            case Grave::standby:
                return "nothing to do: it is a standby's data directory";
            case Grave::nothing:
                return "nothing to do: it has no data directory";
            case Grave::running:
                break;
        }
    }
    throw Error(ErrorKind::command, fmt::format("{} is started again and again", backend_.label()),
                "Stop whatever starts it there, then run pcp_recovery_node for it.");
}

Verdict Job::fence() {
    reach();
    auto primary = find_new_primary();
    while (!primary && !is_newest_ && !env_.deadline.expired()) {
        // The new one may be silent for a moment, and the old one must not outlive that.
        pause_for(seconds(1), env_.deadline);
        primary = find_new_primary();
    }
    if (!primary) {
        return {
            is_newest_ ? ExitCode::done : ExitCode::not_verified, "F05",
            fmt::format("{}: not fenced, {}", backend_.label(),
                        is_newest_ ? "it is the newest primary" : "nobody else is the primary"),
            is_newest_ ? "" : "See which node is the primary; no other may be out of recovery."};
    }
    try {
        lock_node(*primary, backend_.id, env_.deadline.within(seconds(10)));
    } catch (const Error& error) {
        if (error.kind() != ErrorKind::refused) {
            throw;
        }
        return done(fmt::format("{}: nothing to do: {}", backend_.label(), error.message()));
    }
    std::string text = bury_it(*primary);
    if (ran_ && wants_rejoin(env_)) {
        // Pgpool may take it for one that is up, and then calls for it never again.
        primary.reset();  // and with it the lock
        text += fmt::format("; a worker, pid {}, makes it a standby",
                            spawn_rejoin_worker(env_, backend_, primary_).pid);
    }
    return done(fmt::format("{}: {}", backend_.label(), text));
}

}  // namespace

Verdict run_job(const Arguments& words, Env& env) {
    if (env.job == "attach") {
        return Job(words, env).attach();
    }
    if (env.job == "fence") {
        return Job(words, env).fence();
    }
    throw Error(ErrorKind::usage, fmt::format("there is no job \"{}\"", env.job),
                "Workers are started by the hook itself.");
}

}  // namespace hooks::failover
