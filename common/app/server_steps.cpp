// What is done to a server in SQL.
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "common/app/node_lock.h"
#include "common/app/servers.h"
#include "common/io/poll.h"

namespace hooks {
namespace {

using std::chrono::milliseconds;

// The pause before the next poll, a tenth of the time so far: what is over soon is seen soon, and
// what takes long is not asked for all the time.
milliseconds pause_after(std::chrono::steady_clock::time_point start, milliseconds longest) {
    const auto so_far =
        std::chrono::duration_cast<milliseconds>(std::chrono::steady_clock::now() - start);
    return std::clamp(so_far / 10, milliseconds(2), longest);
}

bool lost(const Error& error) {
    return error.kind() == ErrorKind::unreachable || error.kind() == ErrorKind::timeout;
}

// A slot without restart_lsn holds nothing back. One that was invalidated never will again, and
// nobody can use it: it may still show a restart_lsn (idle_replication_slot_timeout of 18).
const char* sound_slot(int major) {
    return major >= 13 ? "restart_lsn IS NOT NULL AND wal_status <> 'lost'"
                       : "restart_lsn IS NOT NULL";
}

}  // namespace

void create_slots(PgConnection& server, const std::vector<std::string>& slots, Deadline deadline,
                  SlotChanges* changes) {
    SlotChanges unwanted;
    SlotChanges& done = changes != nullptr ? *changes : unwanted;
    std::string names;
    for (const std::string& slot : slots) {
        names += (names.empty() ? "" : ", ") + quote_sql_literal(slot);
    }
    const std::string sound = sound_slot(server.major_version());
    const std::string present_sql = fmt::format(
        "SELECT slot_name, slot_type = 'physical' AND NOT active AND NOT ({}) "
        "FROM pg_replication_slots WHERE slot_name IN ({})",
        sound, names);
    std::set<std::string> before;
    for (const PgRow& row : server.query(present_sql, deadline)) {
        const std::string slot = row.at(0).value_or("");
        if (row.at(1) == "t" && drop_slot(server, slot, deadline) == SlotDrop::dropped) {
            done.dropped.push_back(slot);
        } else {
            before.insert(slot);
        }
    }
    const auto note_new = [&](const std::vector<PgRow>& rows) {
        for (const PgRow& row : rows) {
            const std::string slot = row.at(0).value_or("");
            if (before.count(slot) == 0) {
                done.made.push_back(slot);
            }
        }
    };
    try {
        note_new(server.query(
            fmt::format("SELECT wanted, pg_create_physical_replication_slot(wanted, true) FROM "
                        "unnest(ARRAY[{}]::name[]) AS wanted WHERE wanted NOT IN "
                        "(SELECT slot_name FROM pg_replication_slots)",
                        names),
            deadline));
    } catch (const Error& error) {
        if (error.kind() == ErrorKind::sql) {
            // Those that were made before the one that failed are there all the same.
            note_new(server.query(present_sql, deadline));
        }
        throw;
    }
    const auto missing =
        server.query(fmt::format("SELECT wanted FROM unnest(ARRAY[{}]::name[]) AS wanted WHERE "
                                 "wanted NOT IN (SELECT slot_name FROM pg_replication_slots "
                                 "WHERE slot_type = 'physical' AND {})",
                                 names, sound),
                     deadline);
    if (!missing.empty()) {
        throw Error(ErrorKind::sql,
                    fmt::format("slot {} on {} reserves no WAL", missing[0].at(0).value_or("?"),
                                server.label()),
                    "Look at pg_replication_slots there; a logical slot of that name must go.");
    }
}

SlotDrop drop_slot(PgConnection& server, const std::string& slot, Deadline deadline,
                   std::optional<int> unless_held) {
    const PgOutcome outcome = server.execute(
        fmt::format("SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE "
                    "slot_name = {} AND NOT active{}",
                    quote_sql_literal(slot),
                    unless_held ? " AND " + nobody_holds(*unless_held) : ""),
        deadline);
    if (!outcome.ok && outcome.sqlstate != "55006") {  // object_in_use
        throw Error(ErrorKind::sql,
                    fmt::format("{}: dropping slot {}: {}", server.label(), slot, outcome.message));
    }
    if (outcome.ok && !outcome.rows.empty()) {
        return SlotDrop::dropped;
    }
    return server.query(fmt::format("SELECT 1 FROM pg_replication_slots WHERE slot_name = {}",
                                    quote_sql_literal(slot)),
                        deadline)
                   .empty()
               ? SlotDrop::none
               : SlotDrop::in_use;
}

std::vector<std::string> drop_unused_node_slots(PgConnection& standby, Deadline deadline) {
    std::vector<std::string> dropped;
    for (const PgRow& row : standby.query(
             "SELECT slot_name FROM pg_replication_slots WHERE slot_type = 'physical' AND "
             "NOT active AND slot_name ~ '^pgpool_node_[0-9]+$'",
             deadline)) {
        const std::string slot = row.at(0).value_or("");
        if (drop_slot(standby, slot, deadline) == SlotDrop::dropped) {
            dropped.push_back(slot);
        }
    }
    return dropped;
}

std::vector<std::string> unused_logical_slots(PgConnection& standby, Deadline deadline) {
    std::vector<std::string> unused;
    for (const PgRow& row : standby.query(
             fmt::format("SELECT slot_name FROM pg_replication_slots WHERE slot_type = 'logical' "
                         "AND NOT active AND {}{}",
                         sound_slot(standby.major_version()),
                         standby.major_version() >= 17 ? " AND NOT synced" : ""),
             deadline)) {
        unused.push_back(row.at(0).value_or(""));
    }
    return unused;
}

bool slots_are_bounded(PgConnection& server, Deadline deadline) {
    return server.major_version() >= 13 &&
           server.value("SELECT setting FROM pg_settings WHERE name = 'max_slot_wal_keep_size'",
                        deadline) != "-1";
}

Promotion wait_for_promotion(PgConnection& server, TimelineId before, Deadline deadline) {
    // Out of recovery, and on a timeline of its own: a server that was restarted without its
    // signal file is a primary on the old one, and nobody can be rewound to it.
    constexpr const char* poll_sql =
        "SELECT CASE WHEN pg_is_in_recovery() THEN NULL ELSE "
        "('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int END";
    Promotion result;
    try {
        const auto start = std::chrono::steady_clock::now();
        Deadline ask_again = Deadline::after(milliseconds(100));
        for (;;) {
            const PgOutcome polled = server.execute(poll_sql, deadline);
            if (!polled.ok) {
                result.detail = polled.message;
            } else if (polled.rows.at(0).at(0)) {
                result.timeline = static_cast<TimelineId>(std::stoul(*polled.rows[0][0]));
                if (result.timeline > before) {
                    result.end = Promotion::End::promoted;
                    return result;
                }
                result.detail =
                    fmt::format("out of recovery, but still on timeline {}", result.timeline);
            } else {
                result.detail = "still in recovery";
                // A startup process that sees the request after one failed attempt to stream, and
                // before the next one runs, sleeps first, for what is left of
                // wal_retrieve_retry_interval (5 s). To be asked again wakes it.
                if (ask_again.expired() && server.major_version() >= 12) {
                    server.execute("SELECT pg_promote(false)", deadline);
                    ask_again = Deadline::after(milliseconds(100));
                }
            }
            if (deadline.expired()) {
                return result;
            }
            pause_for(pause_after(start, milliseconds(20)), deadline);
        }
    } catch (const Error& error) {
        if (!lost(error)) {
            throw;
        }
        result.detail = error.what();
        return result;
    }
}

Promotion promote(PgConnection& server, TimelineId before, Deadline deadline) {
    Promotion result;
    try {
        const PgOutcome asked = server.execute("SELECT pg_promote(false)", deadline);
        // "recovery is not in progress": an earlier call, or another pgpool's, got there first.
        if (!asked.ok && asked.sqlstate != "55000") {
            result.end = Promotion::End::not_begun;
            result.detail = asked.message;
            return result;
        }
        if (asked.ok && asked.rows.at(0).at(0) == "f") {  // up to 16: its postmaster is gone
            result.end = Promotion::End::not_begun;
            result.detail = "pg_promote() returned false";
            return result;
        }
    } catch (const Error& error) {
        if (!lost(error)) {
            throw;
        }
        // Whether the request got there is not known.
        result.detail = error.what();
        return result;
    }
    return wait_for_promotion(server, before, deadline);
}

PgOutcome checkpoint(PgConnection& primary, Deadline deadline) {
    if (primary.major_version() >= 15 || is_superuser(primary, deadline)) {
        return primary.execute("CHECKPOINT", deadline);
    }
    // A base backup begins with an immediate checkpoint, and to begin one can be granted. It is no
    // exclusive one, so it is in nobody's way, and ends with this session at the latest.
    PgOutcome begun = primary.execute(
        "SELECT pg_start_backup('checkpoint for pgpool-hooks', true, false)", deadline);
    if (begun.ok) {
        primary.query("SELECT pg_stop_backup(false, false)", deadline);
    }
    return begun;
}

void checkpoint_on_new_timeline(PgConnection& primary, Env& env, Deadline deadline) {
    constexpr const char* shown =
        "SELECT (SELECT timeline_id FROM pg_control_checkpoint()) = "
        "('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int";
    if (primary.value(shown, deadline) == "t") {
        return;
    }
    const PgOutcome asked = checkpoint(primary, deadline);
    if (!asked.ok && asked.sqlstate != "42501") {
        throw Error(ErrorKind::sql, fmt::format("{}: {}", primary.label(), asked.message));
    }
    if (!asked.ok) {
        env.log.warn("waiting for the checkpoint of the promotion: none may be asked for",
                     {{"node", primary.label()}, {"why", asked.message}});
    }
    while (primary.value(shown, deadline) != "t") {
        if (deadline.expired()) {
            throw Error(
                ErrorKind::timeout,
                fmt::format("{}: the control file still shows the old timeline{}", primary.label(),
                            asked.ok ? " after a checkpoint" : ": " + asked.message));
        }
        pause_for(milliseconds(20), deadline);
    }
}

void repoint(PgConnection& standby, const std::string& primary_conninfo, const std::string& slot,
             Deadline deadline) {
    quiet_log(standby, deadline);
    standby.query("ALTER SYSTEM SET primary_slot_name = " + quote_sql_literal(slot), deadline);
    standby.query("ALTER SYSTEM SET primary_conninfo = " + quote_sql_literal(primary_conninfo),
                  deadline);
    if (standby.value("SELECT pg_reload_conf()", deadline) != "t") {
        throw Error(ErrorKind::sql, fmt::format("{}: pg_reload_conf() said no", standby.label()));
    }
}

namespace {

// Why a standby does not replay what it has; empty where it does.
std::string replay_held_back(const std::optional<std::string>& paused,
                             const std::optional<std::string>& delay) {
    if (paused == "t") {
        return "its replay is paused";
    }
    if (delay && *delay != "0") {
        return fmt::format("recovery_min_apply_delay is {} ms", *delay);
    }
    return "";
}

}  // namespace

std::string why_it_cannot_follow(PgConnection& primary, int primary_id, PgConnection& standby,
                                 int standby_id, Deadline deadline) {
    // In this order: one that does stream would seem to be ahead of where its primary was before.
    const TargetFacts target = read_running_target(standby, standby_id, deadline);
    const SourceFacts source = read_source_facts(primary, primary_id, deadline);
    return reason_not_to_wait(source, target);
}

Proof prove_streaming(PgConnection& primary, PgConnection& standby, Deadline deadline,
                      const std::function<void(PgConnection& standby)>& look,
                      const std::string& apply_delay) {
    // Transactional, so that its commit is flushed at once: only flushed WAL is sent.
    primary.query("SELECT pg_logical_emit_message(true, 'pgpool-hooks', 'marker')", deadline);
    const PgRow written =
        primary
            .query(
                "SELECT pg_current_wal_flush_lsn(), "
                "('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int",
                deadline)
            .at(0);
    Proof proof;
    proof.marker = parse_lsn(written.at(0).value_or("")).value_or(Lsn{});
    proof.timeline = static_cast<TimelineId>(std::stoul(written.at(1).value_or("0")));

    std::string missing = "it says nothing";
    std::string held_back;
    const auto start = std::chrono::steady_clock::now();
    Deadline next_look = Deadline::after(milliseconds(500));
    const auto not_proved = [&] {
        return Error(ErrorKind::timeout,
                     fmt::format("{} does not stream from {}: {}", standby.label(), primary.label(),
                                 missing),
                     held_back.empty()
                         ? "Look at the server log of the standby for what its walreceiver says."
                         : "When it streams, attach it with pcp_attach_node; to have it replay at "
                           "once: SELECT pg_wal_replay_resume(), or recovery_min_apply_delay = 0.");
    };
    // A statement that the deadline interrupts says less than the answers before it.
    const auto ask = [&](PgConnection& server, const std::string& sql) {
        try {
            return server.query(sql, deadline);
        } catch (const Error& error) {
            if (error.kind() != ErrorKind::timeout) {
                throw;
            }
            throw not_proved();
        }
    };
    for (;;) {
        const PgRow row =
            ask(standby,
                "SELECT pg_is_in_recovery(), pg_last_wal_replay_lsn(), r.status, r.received_tli, "
                "r.slot_name, r.pid, pg_last_wal_receive_lsn(), "
                "CASE WHEN pg_is_in_recovery() THEN pg_is_wal_replay_paused() END, "
                "(extract(epoch FROM current_setting('recovery_min_apply_delay', true)::interval) "
                "* 1000)::bigint FROM (SELECT 1) AS one LEFT JOIN pg_stat_wal_receiver AS r ON "
                "true")
                .at(0);
        const Lsn replayed = parse_lsn(row.at(1).value_or("")).value_or(Lsn{});
        const Lsn received = parse_lsn(row.at(6).value_or("")).value_or(Lsn{});
        held_back = replay_held_back(row.at(7), row.at(8));
        if (held_back.empty() && !apply_delay.empty()) {
            held_back = fmt::format("recovery_min_apply_delay is {}", apply_delay);
        }
        const bool has_marker =
            replayed >= proof.marker || (!held_back.empty() && received >= proof.marker);
        const std::string status = row.at(2).value_or("not running");
        if (row.at(0) != "t") {
            throw Error(ErrorKind::refused,
                        fmt::format("{} is not in recovery: it is no standby", standby.label()),
                        "It must not be attached; stop it and run pcp_recovery_node.");
        }
        if (row.at(5) && !row.at(2)) {
            throw Error(ErrorKind::sql,
                        fmt::format("{}: permission denied: postgres_user may not see what the "
                                    "walreceiver does",
                                    standby.label()),
                        "Run examples/roles.sql for postgres_user on the primary, grant pg_monitor "
                        "to it, or make it "
                        "a superuser.");
        }
        if (status != "streaming") {
            if (look && next_look.expired()) {
                look(standby);
                next_look = Deadline::after(milliseconds(1000));
            }
            missing = fmt::format("its walreceiver is {}", status);
            if (!held_back.empty()) {
                missing += fmt::format(
                    "; {}, and it asks for more WAL only when it has replayed "
                    "what it has",
                    held_back);
            }
        } else if (row.at(3) != std::to_string(proof.timeline)) {
            missing = fmt::format("it streams on timeline {}, not {}", row.at(3).value_or("?"),
                                  proof.timeline);
        } else if (!has_marker) {
            missing = fmt::format("it {} up to {}, not the marker at {}",
                                  held_back.empty() ? "replayed" : "received",
                                  held_back.empty() ? replayed : received, proof.marker);
        } else if (row.at(4).value_or("").empty()) {
            missing = "it uses no replication slot";
        } else {
            const auto sender = ask(
                primary,
                fmt::format("SELECT r.state FROM pg_replication_slots s JOIN pg_stat_replication r "
                            "ON r.pid = s.active_pid WHERE s.slot_name = {}",
                            quote_sql_literal(*row.at(4))));
            if (!sender.empty() && sender[0].at(0) == "streaming") {
                proof.reached = replayed >= proof.marker
                                    ? fmt::format("replayed {}", proof.marker)
                                    : fmt::format("received {} ({})", proof.marker, held_back);
                return proof;
            }
            missing = fmt::format("slot {} on {} is not in use: it streams from another server",
                                  *row.at(4), primary.label());
        }
        if (deadline.expired()) {
            throw not_proved();
        }
        pause_for(pause_after(start, milliseconds(100)), deadline);
    }
}

}  // namespace hooks
