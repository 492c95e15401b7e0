#include "common/app/primary_session.h"

#include <fmt/format.h>

#include <optional>

#include "common/app/node_lock.h"
#include "common/app/servers.h"
#include "common/core/connections.h"
#include "common/io/poll.h"

namespace hooks {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

bool lost(const Error& error) {
    return error.kind() == ErrorKind::unreachable || error.kind() == ErrorKind::timeout;
}

}  // namespace

void PrimarySession::connect(Deadline deadline) {
    connection_ = in_context("asking the primary, " + backend_.label(), [&] {
        return PgConnection::connect(inspection_conninfo(backend_, env_.config), session_name(env_),
                                     deadline.within(seconds(10)));
    });
    if (env_.dry_run) {
        return;
    }
    if (patient_) {
        wait_for_lock(*connection_, node_id_, env_, deadline, deadline);
    } else {
        lock_node(*connection_, node_id_, deadline);
    }
}

void PrimarySession::open(Deadline deadline) {
    // Who waits at a terminal is told at once; a session that was there is worth some time.
    const Deadline patience = deadline.within(seconds(patient_ || expected_ ? 10 : 0));
    std::optional<Error> cause;
    for (;;) {
        // The deadline would end this attempt, and hide what the one before it found.
        const bool short_of_time = patience.remaining() < env_.config.connect_timeout;
        try {
            return connect(deadline);
        } catch (const Error& error) {
            if (!lost(error)) {
                throw;
            }
            const std::string next = successor();
            if (!next.empty()) {
                throw Error(ErrorKind::refused,
                            fmt::format("{} does not answer any more{}", backend_.label(), next),
                            "Nothing more is done for it; pgpool calls again after each failover.");
            }
            if (patience.expired()) {
                throw cause && short_of_time ? *cause : error;
            }
            if (!cause || !short_of_time) {
                cause = error;
            }
        }
        pause_for(milliseconds(500), patience);
    }
}

void PrimarySession::expect(const SourceFacts& facts) {
    expected_.reset();
    if (!facts.in_recovery) {  // for a rule to refuse
        expected_ = facts;
    }
}

void PrimarySession::check(Deadline deadline) {
    if (!expected_) {
        return;
    }
    const auto look = [&] {
        const ServerFacts now = read_server_facts(*connection_, deadline.within(seconds(10)));
        if (now.in_recovery || now.timeline != expected_->history.timeline()) {
            throw Error(ErrorKind::refused,
                        fmt::format("{} is no longer the primary on timeline {}{}",
                                    backend_.label(), expected_->history.timeline(), successor()),
                        "Nothing more is done for it; pgpool calls again after each failover.");
        }
    };
    try {
        return look();
    } catch (const Error& error) {
        if (!lost(error)) {
            throw;
        }
        env_.log.warn("the session that holds the lock of a node is lost; opening it anew",
                      {{"node", std::to_string(node_id_)}, {"why", error.what()}});
    }
    open(deadline);
    look();
    throw LookAnew();
}

// "; the primary is node 2 (10.0.0.3:5432) now, on timeline 3", where another one is seen.
std::string PrimarySession::successor() {
    std::vector<Backend> others;
    for (const Backend& backend : env_.pgpool.backends) {
        const bool self = backend.id == backend_.id ||
                          (backend.host == backend_.host && backend.port == backend_.port);
        if (!self && backend.id != node_id_) {
            others.push_back(backend);
        }
    }
    for (const ServerLook& look : look_at_servers(others, env_)) {
        if (look.seen.is_primary() &&
            (!expected_ || (look.seen.server->system_identifier == expected_->system_identifier &&
                            look.seen.server->timeline > expected_->history.timeline()))) {
            return fmt::format("; the primary is {} now, on timeline {}", look.seen.backend.label(),
                               look.seen.server->timeline);
        }
    }
    return {};
}

}  // namespace hooks
