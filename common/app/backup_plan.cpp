// What a base backup will need, and where it can go, before anything is touched.
#include <fmt/format.h>

#include <cstdlib>

#include "common/app/node_script.h"

namespace hooks {
namespace {

// Above that, a checkpoint or the end of the copy comes first; pg_wal may hold far more for slots,
// none of which is copied.
constexpr std::string_view wal_size_sql =
    "SELECT least((SELECT sum(size) FROM pg_ls_waldir()),"
    " pg_size_bytes(current_setting('max_wal_size')))::bigint";

// One in place (15 and later) lies in the data directory and is copied with it.
constexpr std::string_view tablespaces_sql =
    "SELECT oid, pg_tablespace_location(oid), pg_tablespace_size(oid) FROM pg_tablespace"
    " ORDER BY oid";
constexpr std::string_view locations_sql =
    "SELECT oid, pg_tablespace_location(oid) FROM pg_tablespace ORDER BY oid";

// DIRECTORY, names in it
constexpr std::string_view measure_script = R"sh(
cd -- "$1"
shift
du -sk -- "$@" 2>/dev/null | {
    total=0
    while read -r size name; do total=$((total + size)); done
    echo "$total"
}
)sh";

std::uint64_t number(const std::string& text) {
    return std::strtoull(text.c_str(), nullptr, 10);
}

BackupSize read_backup_size(PgConnection& primary, Deadline deadline) {
    BackupSize size;
    const auto text = [](const PgRow& row, std::size_t column) {
        return row.at(column).value_or("");
    };
    // The server walks all its files for that; a size that takes too long is as good as unknown.
    primary.query("SET statement_timeout = '60s'", deadline);
    try {
        for (const PgRow& row : primary.query(tablespaces_sql, deadline)) {
            if (text(row, 1).starts_with('/')) {
                size.tablespaces.push_back({text(row, 0), text(row, 1), number(text(row, 2))});
            } else {
                size.data += number(text(row, 2));
            }
        }
        size.wal = number(primary.value(wal_size_sql, deadline));
        size.known = true;
    } catch (const Error& error) {
        if (error.kind() != ErrorKind::sql) {
            throw;
        }
        size = {};
        size.why_not = error.message();
        for (const PgRow& row : primary.query(locations_sql, deadline)) {
            if (text(row, 1).starts_with('/')) {
                size.tablespaces.push_back({text(row, 0), text(row, 1), 0});
            }
        }
    }
    primary.query("SET statement_timeout = 0", deadline);
    return size;
}

// As Debian does. False also where the role may not ask.
bool keeps_configuration_elsewhere(PgConnection& primary, Deadline deadline) {
    const std::vector<PgRow> rows = primary.query(
        "SELECT CASE WHEN pg_has_role('pg_read_all_settings', 'USAGE')"
        " THEN strpos(current_setting('config_file'),"
        " current_setting('data_directory') || '/') <> 1 END",
        deadline);
    return rows.at(0).at(0) == "t";
}

BackupSite look_at_site(Target& target, const BackupSize& size, Deadline deadline) {
    const TablespaceMap map = parse_tablespace_map(target.options.tablespace_map);
    std::vector<std::string> arguments = {target.directory(), target.report.work_directory};
    for (const SourceTablespace& each : size.tablespaces) {
        std::string location = each.location;
        const char* how = "as it is";
        for (const auto& [from, to] : map) {
            if (from == each.location) {
                location = to;
                how = "mapped";
            }
        }
        arguments.insert(arguments.end(), {each.oid, location, how});
    }
    const Outcome outcome = target.node->run_script(backup_site_script, arguments, deadline);
    must(outcome, target, "looking at its filesystems");
    return parse_backup_site(outcome.out);
}

}  // namespace

BackupPlan plan_backup(Target& target, PgConnection& primary, BaseBackupPolicy policy,
                       bool keeps_configuration, Deadline deadline) {
    BackupPlan plan;
    plan.size = read_backup_size(primary, deadline);
    plan.site = look_at_site(target, plan.size, deadline);
    const int major = primary.major_version();
    const bool may_go =
        policy == BaseBackupPolicy::in_place ||
        (policy == BaseBackupPolicy::keep_if_space && !fits_beside(plan.size, plan.site));
    for (BackupPlace& place : plan.site.places) {
        std::vector<std::string> words = old_entries(place, plan.site, major);
        if (may_go && !words.empty()) {
            words.insert(words.begin(), place.path);
            const Outcome outcome = target.node->run_script(measure_script, words, deadline);
            must(outcome, target, "measuring the old data");
            place.old = number(outcome.out) * 1024;
        }
    }
    plan.choice = choose_backup(policy, plan.size, plan.site, major);
    if (target.report.pg_basebackup.empty()) {
        plan.choice.refused = true;
        plan.choice.reason =
            fmt::format("there is no pg_basebackup of PostgreSQL {} or later on {}", major,
                        target.node->label());
        plan.choice.next =
            "Install it there, or set postgres_bin_dir in hooks.conf to where it is; then run "
            "pcp_recovery_node.";
    }
    const NodeReport& report = target.report;
    if (!keeps_configuration && report.config_file.empty() && report.systemd_unit.empty() &&
        target.options.start_command.empty() && keeps_configuration_elsewhere(primary, deadline)) {
        plan.choice.refused = true;
        plan.choice.reason = fmt::format(
            "no configuration would come with it: {} has its own outside of its data directory, "
            "and {} has none for {}",
            primary.label(), target.node->label(), target.directory());
        plan.choice.next = fmt::format(
            "Make one there (Debian: pg_createcluster -d {} {} NAME, then remove what it made in "
            "{}), or set start_command; then pcp_recovery_node.",
            target.directory(), major, target.directory());
    }
    return plan;
}

}  // namespace hooks
