#include "common/core/node_report.h"

#include <fmt/format.h>

#include <charconv>

#include "common/core/bare_files.h"
#include "common/core/error.h"
#include "common/core/report_lines.h"
#include "common/core/server_control.h"
#include "common/core/wal_end.h"

namespace hooks {

// Told the last segment, pg_waldump does not look for the next one, for which it would wait five
// seconds. Told the first, it takes the size of a segment from that file: by itself it opens
// whichever the directory lists first, and gives up when that is one which the server made ahead
// and has not written to.
const std::string_view wal_end_script = R"sh(
prefix=$(printf '%08X' "$3")
last=$(ls -- "$1/pg_wal" | grep -E "^$prefix[0-9A-F]{16}\$" | sort | tail -n 1)
if [ -z "$last" ]; then
    echo "no segment of timeline $3 in pg_wal"
    exit 0
fi
segment=$(((0x${4%%/*} * 4294967296 + 0x${4#*/}) / $5))
segments=$((4294967296 / $5))
first=$(printf '%s%08X%08X' "$prefix" $((segment / segments)) $((segment % segments)))
LC_ALL=C "$2/pg_waldump" -p "$1/pg_wal" -s "$4" "$first" "$last" 2>&1 | tail -n 5
)sh";

NodeReport parse_node_report(std::string_view output) {
    NodeReport report;
    std::string control;
    BareFiles bare;
    std::vector<std::string> directories;
    std::vector<std::string> units;
    bool complete = false;
    while (const auto line = next_report_line(output)) {
        const auto& [key, value] = *line;
        if (key == "control") {
            control += value + "\n";
        } else if (bare.take(key, value)) {
            continue;
        } else if (key == "history") {
            report.history += value + "\n";
        } else if (key == "user") {
            report.user = value;
        } else if (key == "newest_timeline") {
            std::from_chars(value.data(), value.data() + value.size(), report.newest_timeline);
        } else if (key == "owner") {
            report.owner = value;
        } else if (key == "empty") {
            report.empty = true;
        } else if (key == "foreign") {
            report.foreign = value;
        } else if (key == "unfinished_configuration") {
            report.unfinished_keeps_configuration = value == "own";
        } else if (key == "interrupted_swap") {
            report.interrupted_swap = true;
        } else if (key == "pg_version") {
            // "9.6" and the like have major 9: too old for every rule here.
            std::from_chars(value.data(), value.data() + value.size(), report.major);
            report.data_directory = true;
        } else if (key == "bin_dir") {
            report.bin_dir = value;
        } else if (key == "pg_rewind") {
            report.pg_rewind = true;
        } else if (key == "pg_waldump") {
            report.pg_waldump = true;
        } else if (key == "pg_basebackup") {
            report.pg_basebackup = value;
        } else if (key == "frozen") {
            report.frozen = true;
        } else if (key == "running") {
            report.running = true;
        } else if (key == "file") {
            report.standby_signal |= value == "standby.signal";
            report.recovery_signal |= value == "recovery.signal";
            report.recovery_conf |= value == "recovery.conf";
        } else if (key == "backup_start") {
            report.backup_start = parse_lsn(value);
        } else if (key == "tombstone") {
            report.tombstone = value;
        } else if (key == "unfinished_marker") {
            report.unfinished_marker = true;
        } else if (key == "rewind_state") {
            report.rewind_state = value == "rewound"     ? RewindState::rewound
                                  : value == "untouched" ? RewindState::untouched
                                                         : RewindState::copying;
        } else if (key == "debian_cluster") {
            report.debian_cluster = value;
        } else if (key == "config_file") {
            report.config_file = value;
        } else if (key == "server_log") {
            report.server_log = value;
        } else if (key == "debian_unit") {
            report.systemd_unit = value;
        } else if (key == "unit_unknown") {
            report.unit_unknown = value;
        } else if (key == "directory") {
            directories.push_back(value);
        } else if (key == "unit") {
            units.push_back(value);
        } else if (key == "work_directory") {
            report.work_directory = value;
        } else if (key == "busy") {
            report.busy = value;
        } else if (key == "mount_point") {
            report.mount_point = true;
        } else if (key == "symbolic_link") {
            report.symbolic_link = true;
        } else if (key == "parent_writable") {
            report.parent_writable = true;
        } else if (key == "end") {
            complete = true;
        }
    }
    if (!complete) {
        throw Error(ErrorKind::command, "the look at the node's files broke off before its end",
                    "Look at what the login shell of that user prints, and whether it ends early.");
    }
    if (report.systemd_unit.empty()) {
        report.systemd_unit = unit_of_directory(units, directories);
    }
    if (!report.systemd_unit.empty()) {
        report.unit_unknown.clear();
    }
    if (report.data_directory) {
        if (report.bin_dir.empty()) {
            report.control = Unknown{
                fmt::format("no programs of PostgreSQL {} were found there: set postgres_bin_dir",
                            report.major)};
        } else if (bare.has_control_file()) {
            report.control = bare.control();
            if (report.control) {
                report.newest_timeline = bare.newest_timeline(report.control->timeline());
                report.history = bare.history(report.newest_timeline);
            }
        } else {
            try {
                report.control = parse_control_data(control);
            } catch (const Error& error) {
                report.control = Unknown{error.message()};
            }
        }
    }
    return report;
}

Lsn wal_scan_start(const NodeReport& report) {
    const ControlData& control = *report.control;
    const Lsn redo = report.backup_start.value_or(control.redo);
    try {
        const auto history = TimelineHistory::parse(report.timeline(), report.history);
        return std::max(redo, history.entries().back().begin);
    } catch (const Error&) {
        return redo;  // target_facts says what is wrong with the history
    }
}

bool files_of_a_primary(const NodeReport& report) {
    const ControlData& control = *report.control;
    if (report.running && (report.standby_signal || (report.major < 12 && report.recovery_conf))) {
        return false;
    }
    // A former primary that was started as a standby and never became consistent says "in archive
    // recovery" with no minimum recovery point: its pages are still those of a primary.
    const bool standby_state = control.state == ClusterState::shut_down_in_recovery ||
                               control.state == ClusterState::in_archive_recovery;
    // The control file of a base backup is that of the primary that it was taken of.
    return !report.backup_start && (!standby_state || !control.min_recovery_end.valid());
}

TargetFacts target_facts(int node, const NodeReport& report, std::string_view waldump) {
    TargetFacts facts;
    facts.node = node;
    facts.data_directory = report.data_directory;
    facts.foreign_files = report.foreign;
    facts.unfinished_marker = report.unfinished_marker;
    facts.running = report.running;
    facts.major = report.major;
    facts.pg_rewind_installed = report.pg_rewind;
    facts.control = report.control;
    if (!report.control) {
        const Unknown unknown{report.data_directory ? report.control.why() : "no data directory"};
        facts.system_identifier = unknown;
        facts.was_primary = unknown;
        facts.history = unknown;
        facts.end_of_wal = unknown;
        facts.on_disk = unknown;
        facts.redo = unknown;
        return facts;
    }
    const ControlData& control = *report.control;
    facts.system_identifier = control.system_identifier;
    facts.redo = report.backup_start.value_or(control.redo);
    try {
        facts.history = TimelineHistory::parse(report.timeline(), report.history);
        if (report.timeline() > 1 && facts.history->entries().size() == 1) {
            facts.history = Unknown{fmt::format(
                "{:08X}.history is not in its pg_wal, or names no parent", report.timeline())};
        }
    } catch (const Error& error) {
        facts.history = Unknown{error.message()};
    }
    const bool was_primary = files_of_a_primary(report);
    facts.was_primary = was_primary;

    // It has at least the header of its last checkpoint record. Without it, one that begins at the
    // switchpoint would seem to end there, and the server refuses to start: "not a child of this
    // server's history".
    const Lsn past_checkpoint{control.checkpoint.value + shortest_record};
    std::optional<Lsn> end;
    const auto record = last_waldump_record(waldump);
    facts.wal_readable = record.has_value();
    if (record) {
        end = end_of_record(*record, control.wal_segment_size);
    } else if (control.min_recovery_end.valid() && !report.backup_start) {
        end = control.min_recovery_end;
    }
    if (!end) {
        const std::size_t newline = waldump.find_last_not_of('\n');
        facts.end_of_wal = Unknown{
            fmt::format("pg_waldump found no record from {} on timeline {}: {}",
                        wal_scan_start(report), report.timeline(),
                        waldump.substr(0, newline == std::string_view::npos ? 0 : newline + 1))};
    } else {
        facts.end_of_wal = std::max({*end, control.min_recovery_end, past_checkpoint});
    }
    if (was_primary || report.backup_start) {
        facts.on_disk = facts.end_of_wal;
    } else {
        facts.on_disk = std::max(control.min_recovery_end, past_checkpoint);
    }
    return facts;
}

}  // namespace hooks
