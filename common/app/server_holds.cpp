// Settings of a running server that are held for a moment.
#include <fmt/format.h>

#include "common/app/servers.h"
#include "common/core/held_settings.h"
#include "common/core/sync_standbys.h"

namespace hooks {
namespace {

struct Setting {
    std::string value;
    bool reset = false;  // it comes from another file than postgresql.auto.conf
};

Setting read_setting(PgConnection& server, std::string_view name, Deadline deadline) {
    const auto rows = server.query(
        fmt::format("SELECT setting, coalesce(sourcefile LIKE '%postgresql.auto.conf', false)"
                    " FROM pg_settings WHERE name = {}",
                    quote_sql_literal(name)),
        deadline);
    return rows.empty() ? Setting{} : Setting{rows[0].at(0).value_or(""), rows[0].at(1) != "t"};
}

void set(PgConnection& server, std::string_view name, std::string_view value, Deadline deadline) {
    server.query(fmt::format("ALTER SYSTEM SET {} = {}", name, quote_sql_literal(value)), deadline);
}

void put_back(PgConnection& server, std::string_view name, const Held& held, Deadline deadline) {
    if (held.reset) {
        server.query(fmt::format("ALTER SYSTEM RESET {}", name), deadline);
    } else {
        set(server, name, held.original, deadline);
    }
}

void reload(PgConnection& server, Deadline deadline) {
    if (server.value("SELECT pg_reload_conf()", deadline) != "t") {
        throw Error(ErrorKind::sql, fmt::format("{}: pg_reload_conf() said no", server.label()));
    }
}

void hold_archive(PgConnection& standby, const Setting& present, Deadline deadline) {
    if (!present.value.empty() && !held_restore_command(present.value)) {
        set(standby, "restore_command", hold_restore_command(present.value, present.reset),
            deadline);
    }
}

void say_in_session(PgConnection& server, std::string_view note, Deadline deadline) {
    server.query(fmt::format("SELECT set_config('{}', {}, false)", held_synchronous_name,
                             quote_sql_literal(note)),
                 deadline);
}

// Always on a standby: none of its commits waits for anybody.
bool enough_stream(PgConnection& server, std::string_view setting, Deadline deadline) {
    if (server.value("SELECT pg_is_in_recovery()", deadline) == "t") {
        return true;
    }
    // As the server counts them (SyncRepGetCandidateStandbys), but for a base backup, which goes.
    std::vector<std::string> names;
    for (const PgRow& row :
         server.query("SELECT application_name FROM pg_stat_replication WHERE state = 'streaming'"
                      " AND flush_lsn IS NOT NULL AND application_name <> 'pg_basebackup'",
                      deadline)) {
        names.push_back(row.at(0).value_or(""));
    }
    const auto listed = parse_sync_standbys(setting);
    return !listed || !cannot_be_satisfied(*listed, names);
}

}  // namespace

void quiet_log(PgConnection& server, Deadline deadline) {
    // A statement that fails is logged whole, unless that is turned off too. Each by itself: only a
    // superuser, or who was granted it, may say so, and nobody else is stopped by it.
    if (server.major_version() < 15 && !is_superuser(server, deadline)) {
        return;  // nobody can be granted it there, and each refusal is a line in the server's log
    }
    struct Quiet {
        const char* setting;
        int since;
    };
    for (const Quiet& quiet :
         {Quiet{"log_statement = 'none'", 0}, Quiet{"log_min_duration_statement = -1", 0},
          Quiet{"log_min_error_statement = 'panic'", 0},
          Quiet{"log_transaction_sample_rate = 0", 12},
          Quiet{"log_min_duration_sample = -1", 13}}) {
        if (server.major_version() >= quiet.since) {
            server.execute(std::string("SET ") + quiet.setting, deadline);
        }
    }
}

bool hold_receiver(PgConnection& standby, Deadline deadline) {
    const Setting present = read_setting(standby, "primary_conninfo", deadline);
    const Setting archive = read_setting(standby, "restore_command", deadline);
    if (standby.major_version() < 14 && !archive.value.empty()) {
        return false;
    }
    const bool held_already = held_conninfo(present.value).has_value();
    const auto held = hold_conninfo(present.value, present.reset);
    if (!held_already && !held) {
        return false;
    }
    quiet_log(standby, deadline);
    hold_archive(standby, archive, deadline);
    if (!held_already) {
        set(standby, "primary_conninfo", *held, deadline);
    }
    reload(standby, deadline);
    return true;
}

bool hold_restore_command(PgConnection& standby, Deadline deadline) {
    const Setting present = read_setting(standby, "restore_command", deadline);
    if (present.value.empty()) {
        return false;
    }
    quiet_log(standby, deadline);
    hold_archive(standby, present, deadline);
    reload(standby, deadline);
    return true;
}

void relax_synchronous(PgConnection& server, Deadline deadline) {
    const auto rows = server.query(
        "SELECT setting, coalesce(sourcefile LIKE '%postgresql.auto.conf', false), source"
        " FROM pg_settings WHERE name = 'synchronous_standby_names'",
        deadline);
    const PgRow& row = rows.at(0);
    if (row.at(2) == "command line") {
        throw Error(ErrorKind::sql,
                    fmt::format("{}: it is set on the server's command line", server.label()));
    }
    // The note first: killed in between, nothing is lost. Up to 15 ALTER SYSTEM wants a name that
    // this session knows.
    const std::string note = hold_synchronous(row.at(0).value_or(""), row.at(1) != "t");
    say_in_session(server, note, deadline);
    set(server, held_synchronous_name, note, deadline);
    set(server, "synchronous_standby_names", "", deadline);
    reload(server, deadline);
}

bool is_relaxed(PgConnection& server, Deadline deadline) {
    return server.value("SELECT current_setting('synchronous_standby_names') = ''", deadline) ==
           "t";
}

bool relaxation_is_noted(PgConnection& server, Deadline deadline) {
    return server.value(fmt::format("SELECT coalesce(current_setting('{}', true), '') <> ''",
                                    held_synchronous_name),
                        deadline) == "t";
}

std::optional<std::string> restore_synchronous(PgConnection& server, Deadline deadline) {
    if (!relaxation_is_noted(server, deadline)) {
        return std::nullopt;
    }
    std::optional<Held> held;
    std::optional<std::string> present;
    for (const PgRow& row : server.query(
             fmt::format("SELECT lower(name), setting FROM pg_file_settings WHERE lower(name) IN "
                         "('{}', 'synchronous_standby_names') AND sourcefile LIKE "
                         "'%postgresql.auto.conf' ORDER BY seqno",
                         held_synchronous_name),
             deadline)) {
        if (row.at(0) == held_synchronous_name) {
            held = held_synchronous(row.at(1).value_or(""));
        } else {
            present = row.at(1).value_or("");
        }
    }
    if (!held) {
        return std::nullopt;  // another run was faster
    }
    const bool ours = present == "";  // not set by somebody since
    if (ours && !enough_stream(server, held->original, deadline)) {
        return std::nullopt;
    }
    if (ours) {
        put_back(server, "synchronous_standby_names", *held, deadline);
    }
    say_in_session(server, "", deadline);
    server.query(fmt::format("ALTER SYSTEM RESET {}", held_synchronous_name), deadline);
    reload(server, deadline);
    return ours ? std::optional(held->original) : std::nullopt;
}

bool release_settings(PgConnection& server, Deadline deadline) {
    // As the file has it: what a session shows may be older than the last reload.
    const auto rows = server.query(
        "SELECT name, setting FROM pg_file_settings WHERE name IN ('primary_conninfo',"
        " 'restore_command') AND sourcefile LIKE '%postgresql.auto.conf' ORDER BY seqno",
        deadline);
    std::optional<Held> conninfo;
    std::optional<Held> command;
    for (const PgRow& row : rows) {
        const std::string value = row.at(1).value_or("");
        if (row.at(0) == "primary_conninfo") {
            conninfo = held_conninfo(value);
        } else {
            command = held_restore_command(value);
        }
    }
    if (!conninfo && !command) {
        return false;
    }
    quiet_log(server, deadline);
    if (conninfo) {
        put_back(server, "primary_conninfo", *conninfo, deadline);
    }
    if (command) {
        put_back(server, "restore_command", *command, deadline);
    }
    reload(server, deadline);
    return true;
}

void release_restore_command(PgConnection& server, Deadline deadline) {
    const auto rows =
        server.query("SELECT coalesce(current_setting('restore_command', true), '')", deadline);
    if (const auto held = held_restore_command(rows.at(0).at(0).value_or(""))) {
        put_back(server, "restore_command", *held, deadline);
        reload(server, deadline);
    }
}

}  // namespace hooks
