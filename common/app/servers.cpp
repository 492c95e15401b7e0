#include "common/app/servers.h"

#include <fmt/format.h>
#include <unistd.h>

#include <charconv>
#include <future>

#include "common/core/wal_files.h"
#include "common/io/poll.h"

namespace hooks {
namespace {

// One row, one round trip. The timeline of a standby is the highest of which it has WAL: its
// control file may lag behind for a whole checkpoint, and the walreceiver's view is gone when the
// primary is. WAL of a timeline without its history file is none of this server's: a rewind leaves
// such segments behind, and such a standby would seem to be ahead of all others.
// Functions only: a look into the view pg_settings takes a new session as long as all
// of the rest.
constexpr const char* facts_sql = R"sql(
SELECT current_setting('server_version_num'),
       (SELECT system_identifier FROM pg_control_system()),
       pg_is_in_recovery(),
       CASE WHEN pg_is_in_recovery()
            THEN greatest((SELECT timeline_id FROM pg_control_checkpoint()),
                          (SELECT min_recovery_end_timeline FROM pg_control_recovery()),
                          (WITH files AS (SELECT name FROM pg_ls_waldir())
                           SELECT ('x' || max(substr(name, 1, 8)))::bit(32)::int
                           FROM files WHERE name ~ '^[0-9A-F]{{24}}$' AND substr(name, 1, 8) IN
                                (SELECT '00000001' UNION ALL
                                 SELECT substr(name, 1, 8) FROM files
                                 WHERE name ~ '^[0-9A-F]{{8}}\.history$')))
            ELSE ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int END,
       CASE WHEN pg_is_in_recovery() THEN NULL ELSE pg_current_wal_flush_lsn() END,
       pg_last_wal_receive_lsn(),
       pg_last_wal_replay_lsn(),
       CASE WHEN pg_is_in_recovery() THEN pg_is_wal_replay_paused() ELSE false END,
       (extract(epoch FROM current_setting('recovery_min_apply_delay', true)::interval)
        * 1000)::bigint,
       receiver.pid IS NOT NULL,
       {},
       CASE WHEN pg_has_role('pg_read_all_settings', 'USAGE')
            THEN current_setting('primary_conninfo', true) END,
       current_setting('restore_command', true),
       current_setting('synchronous_standby_names'),
       current_setting('cluster_name'),
       current_setting('pgpool_hooks.synchronous_standby_names', true)
FROM pg_stat_get_wal_receiver() AS receiver
)sql";

constexpr const char* sender_columns = "receiver.sender_host, receiver.sender_port";  // 11

template <class Number>
Number number(const std::optional<std::string>& text) {
    Number value{};
    if (text) {
        std::from_chars(text->data(), text->data() + text->size(), value);
    }
    return value;
}

Lsn lsn(const std::optional<std::string>& text) {
    return text ? parse_lsn(*text).value_or(Lsn{}) : Lsn{};
}

Liveness liveness(PgAnswer::Kind kind) {
    switch (kind) {
        case PgAnswer::Kind::serving:
            return Liveness::serving;
        case PgAnswer::Kind::rejecting:
            return Liveness::rejecting;
        case PgAnswer::Kind::refused:
            return Liveness::refused;
        case PgAnswer::Kind::denied:
            return Liveness::denied;
        case PgAnswer::Kind::silent:
            return Liveness::silent;
    }
    return Liveness::silent;
}

ServerLook look(const Backend& backend, const Env& env, Deadline deadline) {
    ServerLook result;
    result.seen.backend = backend;
    PgAnswer answer =
        PgConnection::open(inspection_conninfo(backend, env.config), session_name(env), deadline);
    result.seen.liveness = liveness(answer.kind);
    result.seen.detail = answer.detail;
    result.seen.hint = answer.hint;
    if (answer.kind != PgAnswer::Kind::serving) {
        return result;
    }
    try {
        result.seen.server = read_candidate_facts(*answer.connection, deadline);
        result.connection = std::move(answer.connection);
    } catch (const Error& error) {
        // It let us in and then did not answer, or not what is needed: as good as not there.
        result.seen.liveness = error.kind() == ErrorKind::sql ? Liveness::denied : Liveness::silent;
        result.seen.detail = error.what();
        result.seen.hint = error.hint();
    }
    return result;
}

}  // namespace

bool is_superuser(PgConnection& server, Deadline deadline) {
    return server.value("SELECT current_setting('is_superuser')", deadline) == "on";
}

std::string session_name(const Env& env) {
    char host[256] = {};
    ::gethostname(host, sizeof(host) - 1);
    // pg_stat_activity truncates at 63 bytes: what can be long comes last.
    return fmt::format("{}{} pid {} on {}", env.hook, env.worker ? " worker" : "", ::getpid(),
                       host);
}

std::vector<ServerLook> look_at_servers(const std::vector<Backend>& backends, const Env& env) {
    return look_at_servers(backends, env, env.deadline.within(env.config.connect_timeout));
}

std::vector<ServerLook> look_at_servers(const std::vector<Backend>& backends, const Env& env,
                                        Deadline deadline,
                                        const std::function<void(const ServerSeen&)>& on_answer) {
    std::vector<std::future<ServerLook>> futures;
    futures.reserve(backends.size());
    for (const Backend& backend : backends) {
        futures.push_back(std::async(std::launch::async, [&backend, &env, &on_answer, deadline] {
            ServerLook result = look(backend, env, deadline);
            if (on_answer) {
                on_answer(result.seen);
            }
            return result;
        }));
    }
    std::vector<ServerLook> looks;
    looks.reserve(futures.size());
    for (auto& future : futures) {
        looks.push_back(future.get());
    }
    for (const ServerLook& look : looks) {
        env.log.info("server", {{"node", std::to_string(look.seen.backend.id)},
                                {"seen", look.seen.describe()}});
    }
    return looks;
}

std::vector<ServerSeen> seen_of(const std::vector<ServerLook>& looks) {
    std::vector<ServerSeen> seen;
    seen.reserve(looks.size());
    for (const ServerLook& look : looks) {
        seen.push_back(look.seen);
    }
    return seen;
}

PgConnection* connection_to(const std::vector<ServerLook>& looks, int node_id) {
    for (const ServerLook& look : looks) {
        if (look.seen.backend.id == node_id) {
            return look.connection.get();
        }
    }
    return nullptr;
}

ServerFacts read_server_facts(PgConnection& connection, Deadline deadline) {
    const PgRow row =
        connection
            .query(fmt::format(facts_sql,
                               connection.major_version() >= 11 ? sender_columns : "NULL, NULL"),
                   deadline)
            .at(0);
    ServerFacts facts;
    facts.version = number<int>(row.at(0));
    facts.system_identifier = number<std::uint64_t>(row.at(1));
    facts.in_recovery = row.at(2) == "t";
    facts.timeline = number<TimelineId>(row.at(3));
    facts.flushed = lsn(row.at(4));
    facts.received = lsn(row.at(5));
    facts.replayed = lsn(row.at(6));
    facts.replay_paused = row.at(7) == "t";
    facts.apply_delay = std::chrono::milliseconds(number<long>(row.at(8)));
    facts.receiving = row.at(9) == "t";
    facts.sender_host = row.at(10).value_or("");
    facts.sender_port = number<int>(row.at(11));
    facts.primary_conninfo = row.at(12).value_or("");
    facts.restore_command = row.at(13).value_or("");
    facts.synchronous_standby_names = row.at(14).value_or("");
    facts.cluster_name = row.at(15).value_or("");
    facts.synchronous_held = row.at(16).value_or("");
    return facts;
}

namespace {

// The settings of the primary as a standby's control file knows them: where they stand in
// ControlFileData is the same for the layouts 1300, 1700 and 1800, which are those of 14 to 18.
std::string settings_short_of_primary(PgConnection& standby, Deadline deadline) {
    struct Setting {
        const char* name;
        std::size_t offset;
    };
    constexpr Setting settings[] = {{"max_connections", 180},
                                    {"max_worker_processes", 184},
                                    {"max_wal_senders", 188},
                                    {"max_prepared_transactions", 192},
                                    {"max_locks_per_transaction", 196}};
    const PgRow row =
        standby
            .query(
                "SELECT encode(pg_read_binary_file('global/pg_control', 0, 200, false), 'hex'),"
                " current_setting('max_connections'), current_setting('max_worker_processes'),"
                " current_setting('max_wal_senders'), current_setting('max_prepared_transactions'),"
                " current_setting('max_locks_per_transaction')",
                deadline)
            .at(0);
    const std::string bytes = row.at(0).value_or("");
    const auto little_endian = [&](std::size_t offset) {
        int value = 0;
        for (std::size_t i = 4; i-- > 0;) {
            int byte = 0;
            const char* at = bytes.data() + 2 * (offset + i);
            std::from_chars(at, at + 2, byte, 16);
            value = (value << 8) | byte;
        }
        return value;
    };
    std::string out;
    if (bytes.size() < 400) {
        return out;
    }
    const int layout = little_endian(8);
    if (layout != 1300 && layout != 1700 && layout != 1800) {
        return out;
    }
    for (std::size_t i = 0; i < std::size(settings); ++i) {
        const int here = number<int>(row.at(i + 1));
        const int there = little_endian(settings[i].offset);
        if (here < there) {
            out += fmt::format("{}{} ({}, the primary has {})", out.empty() ? "" : ", ",
                               settings[i].name, here, there);
        }
    }
    return out;
}

// As a walreceiver gets it. Before 11 the functions that read files are a superuser's alone.
TimelineHistory read_history_as_a_standby(PgConnection& server, TimelineId timeline,
                                          Deadline deadline) {
    try {
        const auto rows = server.open_walsender(deadline)->query(
            fmt::format("TIMELINE_HISTORY {}", timeline), deadline);
        return TimelineHistory::parse(timeline, rows.at(0).at(1).value_or(""));
    } catch (const Error& error) {
        if (error.kind() != ErrorKind::unreachable) {
            throw;
        }
        // It serves: this is not about the server, but about what the role may, or walsenders.
        throw Error(ErrorKind::sql,
                    fmt::format("{}: the history of timeline {}: {}; needed: REPLICATION",
                                server.label(), timeline, error.message()),
                    "Run examples/roles.sql for postgres_user on the primary, and keep "
                    "max_wal_senders above the number of nodes.");
    }
}

TimelineHistory read_history(PgConnection& server, TimelineId timeline, Deadline deadline) {
    if (timeline <= 1) {
        return TimelineHistory::parse(timeline, "");
    }
    if (server.major_version() < 11 && !is_superuser(server, deadline)) {
        return read_history_as_a_standby(server, timeline, deadline);
    }
    // By the function that pg_rewind needs anyway: a role that is no superuser is granted those.
    const auto rows = server.query(
        fmt::format("SELECT encode(pg_read_binary_file('pg_wal/{:08X}.history', 0, 1048576, true),"
                    " 'escape')",
                    timeline),
        deadline);
    if (rows.empty() || rows[0].empty() || !rows[0][0]) {
        throw Error(ErrorKind::sql, fmt::format("{} has no history file of its timeline {}",
                                                server.label(), timeline));
    }
    return TimelineHistory::parse(timeline, *rows[0][0]);
}

}  // namespace

ServerFacts read_candidate_facts(PgConnection& server, Deadline deadline) {
    ServerFacts facts = read_server_facts(server, deadline);
    if (!facts.in_recovery) {
        return facts;
    }
    const auto or_unknown = [&](auto&& read) {
        try {
            read();
        } catch (const Error& error) {
            if (error.kind() != ErrorKind::sql && error.kind() != ErrorKind::command) {
                throw;
            }
            return std::string(error.what());
        }
        return std::string();
    };
    const std::string why =
        or_unknown([&] { facts.history = read_history(server, facts.timeline, deadline); });
    if (!why.empty()) {
        facts.history = Unknown{why};
    }
    if (facts.replay_paused && facts.major() >= 14) {
        or_unknown([&] { facts.short_of = settings_short_of_primary(server, deadline); });
    }
    return facts;
}

SourceFacts read_source_facts(PgConnection& primary, int node_id, Deadline deadline) {
    const ServerFacts server = read_server_facts(primary, deadline);
    SourceFacts facts{node_id,
                      server.major(),
                      server.in_recovery,
                      server.system_identifier,
                      read_history(primary, server.timeline, deadline),
                      server.flushed,
                      false,
                      Unknown{"not looked at"}};
    const PgRow row = primary
                          .query(
                              "SELECT current_setting('full_page_writes'),"
                              " (SELECT string_agg(name, ' ') FROM pg_ls_waldir()"
                              "  WHERE name ~ '^[0-9A-F]{24}$'),"
                              " (SELECT bytes_per_wal_segment FROM pg_control_init())",
                              deadline)
                          .at(0);
    facts.full_page_writes = row.at(0) == "on";
    if (const auto oldest = oldest_wal(row.at(1).value_or(""), facts.history, facts.flushed,
                                       number<std::uint64_t>(row.at(2)))) {
        facts.oldest_wal = *oldest;
    } else {
        facts.oldest_wal =
            Unknown{fmt::format("its pg_wal does not have the segment of {}", facts.flushed)};
    }
    return facts;
}

void read_copy_sizes(PgConnection& primary, SourceFacts& facts, Deadline deadline) {
    // Where this takes too long, a rewind is the better choice anyway.
    primary.query("SET statement_timeout = '10s'", deadline);
    const PgOutcome sizes = primary.execute(
        "SELECT (SELECT sum(pg_database_size(oid)) FROM pg_database),"
        " (SELECT sum(size) FROM pg_ls_waldir())",
        deadline);
    primary.query("SET statement_timeout = 0", deadline);
    if (!sizes.ok) {
        facts.data_size = Unknown{sizes.message};
        facts.wal_size = Unknown{sizes.message};
        return;
    }
    facts.data_size = number<std::uint64_t>(sizes.rows.at(0).at(0));
    facts.wal_size = number<std::uint64_t>(sizes.rows.at(0).at(1));
}

TargetFacts read_running_target(PgConnection& target, int node_id, Deadline deadline) {
    const ServerFacts server = read_server_facts(target, deadline);
    TargetFacts facts;
    facts.node = node_id;
    facts.running = true;
    facts.serving = true;
    facts.major = server.major();
    facts.system_identifier = server.system_identifier;
    facts.was_primary = !server.in_recovery;
    facts.end_of_wal = server.end_of_wal();
    if (server.in_recovery && server.received > server.replayed && !server.replay_paused &&
        server.apply_delay.count() == 0) {
        // Replay takes every complete record at once.
        pause_for(std::chrono::milliseconds(100), deadline);
        const ServerFacts later = read_server_facts(target, deadline);
        if (later.received == server.received && later.replayed == server.replayed) {
            facts.replay_stands_at = server.replayed;
        }
    }
    // Before 15 a superuser alone may ALTER SYSTEM; from then on the error names the grant.
    facts.reload_possible = server.major() >= 17
                                ? target.value("SHOW allow_alter_system", deadline) != "off"
                                : server.major() >= 15 || is_superuser(target, deadline);
    facts.history = read_history(target, server.timeline, deadline);
    return facts;
}

}  // namespace hooks
