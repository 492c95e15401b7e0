#include "common/app/node_lock.h"

#include <fmt/format.h>

#include "common/io/poll.h"
#include "common/io/signals.h"
#include "common/io/socket_options.h"

namespace hooks {
namespace {

constexpr int lock_class = 0x70676868;  // "pghh", so that it does not meet other people's locks

// The server drops the session, and the lock with it, soon after the holder's host has gone: by
// default it would ask after two hours for the first time. And it must not drop it for being idle
// through hours of a base backup.
std::string session_settings(int major) {
    std::string sql = fmt::format(
        "SET tcp_keepalives_idle = {}; SET tcp_keepalives_interval = {}; "
        "SET tcp_keepalives_count = {}; ",
        kKeepaliveIdleSeconds, kKeepaliveIntervalSeconds, kKeepaliveCount);
    if (major >= 12) {
        sql += fmt::format("SET tcp_user_timeout = {}; ", kTcpUserTimeoutMs);
    }
    if (major >= 14) {
        // A statement that is still busy does not outlive its client for long either.
        sql += "SET idle_session_timeout = 0; SET client_connection_check_interval = '2s'; ";
    }
    return sql;
}

// Asked for only by those who did not get it: the two views take a new session ten times as long
// as the lock.
std::string holders(PgConnection& server, int node_id, Deadline deadline) {
    const auto rows = server.query(
        fmt::format(
            "SELECT string_agg(format('%s, backend %s, from %s, since %s', "
            "a.application_name, a.pid, coalesce(host(a.client_addr), 'a local socket'), "
            "to_char(a.backend_start AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')), "
            "'; ') FROM pg_locks l JOIN pg_stat_activity a USING (pid) "
            "WHERE l.locktype = 'advisory' AND l.granted AND l.classid = {} "
            "AND l.objid = {} AND l.objsubid = 2 AND a.pid <> pg_backend_pid() "
            "AND l.database = (SELECT oid FROM pg_database WHERE "
            "datname = current_database())",
            lock_class, static_cast<unsigned>(node_id)),
        deadline);
    return rows.at(0).at(0).value_or("it ended just now");
}

}  // namespace

void lock_node(PgConnection& server, int node_id, Deadline deadline) {
    const std::string lock_sql =
        fmt::format("SELECT pg_try_advisory_lock({}, {})", lock_class, node_id);
    // One round trip. A server that does not know one of the settings gives the lock all the same.
    PgOutcome outcome =
        server.execute(session_settings(server.major_version()) + lock_sql, deadline);
    const bool locked =
        outcome.ok ? outcome.rows.at(0).at(0) == "t" : server.value(lock_sql, deadline) == "t";
    if (locked) {
        return;
    }
    throw Error(ErrorKind::refused,
                fmt::format("another run {}: {}",
                            node_id == promotion_lock ? "promotes a node"
                                                      : fmt::format("works on node {}", node_id),
                            holders(server, node_id, deadline)),
                fmt::format("Wait until it has ended, and look at its verdict in the log of its "
                            "host. If that host is gone, {} gives the lock up by itself within "
                            "{} s.",
                            server.label(), lock_outlives_its_host.count()));
}

void wait_for_lock(PgConnection& server, int node_id, Env& env, Deadline patience,
                   Deadline deadline) {
    std::string said;
    for (;;) {
        try {
            return lock_node(server, node_id, deadline);
        } catch (const Error& error) {
            if (error.kind() != ErrorKind::refused || patience.expired()) {
                throw;
            }
            if (error.message() != said &&
                error.message().find("it ended just now") == std::string::npos) {
                said = error.message();
                env.log.info(
                    "waiting for the lock of a node",
                    {{"node", std::to_string(node_id)}, {"server", server.label()}, {"why", said}});
            }
        }
        throw_if_cancelled();
        pause_for(std::chrono::milliseconds(100), patience);
    }
}

std::string nobody_holds(int node_id) {
    return fmt::format("pg_try_advisory_xact_lock({}, {})", lock_class, node_id);
}

}  // namespace hooks
