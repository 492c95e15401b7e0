#include "common/core/node_report.h"

#include <fmt/format.h>

#include <charconv>

#include "common/core/bare_files.h"
#include "common/core/error.h"
#include "common/core/report_lines.h"
#include "common/core/server_control.h"
#include "common/core/wal_end.h"

namespace hooks {

const std::string_view node_report_script = R"sh(
pgdata=$1
bin=$2
# With a slash behind it, what shall stand beside PGDATA would stand in it, for pg_rewind to remove.
while [ "${pgdata%/}" != "$pgdata" ] && [ "$pgdata" != / ]; do pgdata=${pgdata%/}; done
say() { printf '%s: %s\n' "$1" "$2"; }

say user "$(id -un)"
work=$pgdata.pgpool-hooks
parent=$(dirname -- "$pgdata")
if [ -w "$parent" ]; then
    say parent_writable yes
elif [ -d "$parent" ] && [ ! -d "$work" ] && [ -n "${HOME:-}" ]; then
    work=$HOME/.pgpool-hooks/$(printf %s "$pgdata" | sed -e 's/_/__/g' -e 's,/,_,g').pgpool-hooks
fi
say work_directory "$work"
marker=$work/rewind-unfinished
if [ -e "$marker" ]; then
    say unfinished_marker yes
    marked() { sed -n "s/^$1: //p" "$marker"; }
    case $(marked phase) in
        rewound) say rewind_state rewound ;;
        reading)
            # After a crash of the host the end of the log may be missing.
            if [ "$(marked boot)" = "$(cat /proc/sys/kernel/random/boot_id)" ] &&
                [ -f "$work/rewind.log" ] && ! grep -q 'need to copy' "$work/rewind.log"; then
                say rewind_state untouched
            fi ;;
    esac
fi
if [ -L "$pgdata" ]; then say symbolic_link yes; fi
if mountpoint -q -- "$pgdata" 2>/dev/null; then say mount_point yes; fi
here=$(cd -- "$pgdata" 2>/dev/null && pwd -P || true)
real=${here:-$(readlink -f -- "$pgdata" || printf %s "$pgdata")}
attached=
for process in /proc/[0-9]*; do
    { read -r name <"$process/comm"; } 2>/dev/null || continue
    case $name in
        postgres | postmaster)
            if [ -n "$here" ] && [ "$(readlink "$process/cwd" 2>/dev/null || true)" = "$here" ]; then
                attached="$attached ${process#/proc/}"
            fi ;;
        pg_rewind | pg_basebackup | sh) # sh: a swap or a rewind that goes on after its hook
            if tr '\0' '\n' <"$process/cmdline" 2>/dev/null |
                if [ "$name" = sh ]; then
                    grep -qxF -e "$marker" -e "$work/incoming" -e "$real.pgpool-hooks/incoming" \
                        -e "$real/pgsql_tmp.pgpool-hooks/incoming"
                else
                    grep -qxF -e "$1" -e "$pgdata" -e "-D$pgdata" -e "--pgdata=$pgdata" \
                        -e "--target-pgdata=$pgdata" -e "$real" -e "-D$real" -e "--pgdata=$real" \
                        -e "--target-pgdata=$real" -e "$work/incoming" \
                        -e "$real.pgpool-hooks/incoming" -e "$real.pgpool-hooks.rewinding" \
                        -e "$real/pgsql_tmp.pgpool-hooks/incoming"
                fi; then
                say busy "$name, pid ${process#/proc/}"
            fi ;;
    esac
done

if [ -d "$pgdata" ] && { [ ! -r "$pgdata" ] || [ ! -x "$pgdata" ]; }; then
    echo "cannot read $pgdata as user $(id -un)" >&2
    exit 1
fi
version=$3
if [ -f "$pgdata/PG_VERSION" ]; then
    version=$(cat -- "$pgdata/PG_VERSION")
    say pg_version "$version"
elif [ ! -e "$pgdata" ] || [ -e "$work/backup-unfinished" ] ||
    [ -z "$(ls -A -- "$pgdata" | grep -vxF -e lost+found -e pgsql_tmp.pgpool-hooks)" ]; then
    say empty yes
elif [ ! -d "$pgdata/base" ] && [ ! -d "$pgdata/global" ] && [ ! -d "$pgdata/pg_wal" ]; then
    say foreign "$(ls -A -- "$pgdata" | head -n 3 | tr '\n' ' ')"
fi
if [ -e "$work/backup-unfinished" ]; then
    say unfinished_configuration "$(sed -n 's/^configuration: //p' "$work/backup-unfinished")"
fi
if [ -e "$work/swap" ]; then say interrupted_swap yes; fi
serves() { [ -x "$1/postgres" ] && "$1/postgres" --version | grep -q " $version[.a-z]"; }
if [ -n "$bin" ]; then
    serves "$bin" || { echo "$bin holds no PostgreSQL $version" >&2; exit 1; }
else
    for candidate in "/usr/lib/postgresql/$version/bin" "/usr/pgsql-$version/bin" \
        /usr/local/pgsql/bin /usr/bin "$(dirname -- "$(command -v postgres || echo /nowhere/x)")"; do
        if serves "$candidate"; then bin=$candidate; break; fi
    done
fi
say bin_dir "$bin"
# One before 12 runs the initdb beside it, and only when it has rewritten everything.
if [ -n "$bin" ] && [ -x "$bin/pg_rewind" ] &&
    { [ "${version%%.*}" -ge 12 ] 2>/dev/null || [ -x "$bin/initdb" ]; }; then
    say pg_rewind yes
fi
if [ -n "$bin" ] && [ -x "$bin/pg_waldump" ]; then say pg_waldump yes; fi
# One of a later major version can copy from a server, one of an earlier cannot.
needed=${version%%.*}
if [ "$3" -gt "$needed" ] 2>/dev/null; then needed=$3; fi
if [ -n "$bin" ] && [ -x "$bin/pg_basebackup" ] && [ "$needed" = "${version%%.*}" ]; then
    say pg_basebackup "$bin/pg_basebackup"
else
    for candidate in /usr/lib/postgresql/*/bin/pg_basebackup /usr/pgsql-*/bin/pg_basebackup \
        "$(command -v pg_basebackup || echo /nowhere)"; do
        if [ -x "$candidate" ]; then
            later=$("$candidate" --version | sed 's/[^0-9]*\([0-9]*\).*/\1/')
            if [ "${later:-0}" -ge "$needed" ] 2>/dev/null; then
                say pg_basebackup "$candidate"
                break
            fi
        fi
    done
fi
if [ -d "$pgdata" ]; then say owner "$(stat -c %U -- "$pgdata")"; fi
say directory "$pgdata"
if [ -n "$here" ]; then say directory "$here"; fi
# Debian: the configuration is there whatever lies in PGDATA.
systemd=
if [ -d /run/systemd/system ] && command -v systemctl >/dev/null 2>&1; then systemd=yes; fi
ask() { LC_ALL=C timeout -k 1 5 systemctl show -p "$@"; }
unknown() { say unit_unknown "$1: exit code $2, $(printf %s "${3:-no output}" | tr '\n' ' ')"; }
# UNIT. What is no name of a unit fails as well, but then systemd answers; 2 where it does not.
loaded() {
    for attempt in 1 2; do
        status=0
        shown=$(ask LoadState -- "$1" 2>&1) || status=$?
        case $shown in
            *LoadState=loaded*) return 0 ;;
            *LoadState=*) return 1 ;;
        esac
        if [ "$status" -ge 124 ] || ! ask Version 2>/dev/null | grep -q '^Version='; then
            unknown "systemctl show -p LoadState $1" "$status" "$shown"
            return 2
        fi
    done
    return 1
}
if ls -d /etc/postgresql/*/* >/dev/null 2>&1 && command -v pg_lsclusters >/dev/null 2>&1; then
    # It asks each server on its socket whether it is there.
    status=0
    clusters=$(timeout -k 1 5 pg_lsclusters -h 2>/dev/null) || status=$?
    if [ -n "$systemd" ] && [ "$status" -ge 124 ]; then unknown pg_lsclusters "$status" ''; fi
    printf '%s\n' "$clusters" | while read -r v name _ _ _ place; do
        case $place in "$pgdata "* | "${here:-$pgdata} "*) ;; *) continue ;; esac
        say debian_cluster "$v/$name"
        say config_file "/etc/postgresql/$v/$name/postgresql.conf"
        say server_log "$(printf %s "${place##* }")"
        if [ -n "$systemd" ] && loaded "postgresql@$v-$name.service"; then
            say debian_unit "postgresql@$v-$name.service"
        fi
    done
fi
if [ -n "$systemd" ]; then
    # Their files first: systemctl lists no unit that is not loaded.
    for place in /etc /run /usr/local/lib /usr/lib /lib; do
        grep -lsF -e "$pgdata" -e "${here:-$pgdata}" -- "$place"/systemd/system/*.service \
            "$place"/systemd/system/*.service.d/*.conf || true
    done | sed -e 's,\.d/[^/]*$,,' -e 's,.*/,,' | sort -u | while read -r unit; do
        is=0
        loaded "$unit" || is=$?
        case $is in 1) continue ;; 2) break ;; esac
        if environment=$(ask Environment -- "$unit" 2>/dev/null) &&
            command=$(ask ExecStart -- "$unit" 2>/dev/null); then
            say unit "$unit: $(printf '%s\n' "$environment" "$command" | tr '\n' ' ')"
        else
            unknown "systemctl show -p ExecStart $unit" 1 ''
        fi
    done
fi
if [ ! -f "$pgdata/PG_VERSION" ]; then
    say end report
    exit 0
fi

# The pid alone proves nothing: it may be a zombie's, or belong to another program by now.
runs=
if [ -f "$pgdata/postmaster.pid" ]; then
    pid=$(head -n 1 -- "$pgdata/postmaster.pid")
    pid=${pid#-} # that of a single-user server is negative
    if [ -r "/proc/$pid/stat" ]; then
        state=$(sed 's/.*) //' "/proc/$pid/stat" 2>/dev/null | cut -c1)
        there=$(readlink "/proc/$pid/cwd" 2>/dev/null || true)
        if [ "$state" != Z ] && [ "$there" = "$here" ]; then
            runs=yes
            say running "$pid"
            if [ "$state" = T ]; then say frozen yes; fi
        fi
    fi
fi
if [ -z "$runs" ] && [ -n "$attached" ]; then
    # They may still write what they have in memory, and no server starts beside them.
    say busy "what is left of a server that ended, pid$attached,"
fi
for name in standby.signal recovery.signal recovery.conf; do
    if [ -e "$pgdata/$name" ]; then say file "$name"; fi
done
# A base backup that was put in place and never started: a server renames this file first of all.
if [ -e "$work/swapped" ] && [ -f "$pgdata/backup_label" ] &&
    { [ -e "$pgdata/standby.signal" ] || { [ "$version" -lt 12 ] && [ -e "$pgdata/recovery.conf" ]; }; }; then
    say backup_start "$(sed -n 's/^START WAL LOCATION: \([0-9A-F/]*\).*/\1/p' "$pgdata/backup_label")"
fi
if [ -f "$pgdata/recovery.conf" ]; then
    line=$(head -n 1 -- "$pgdata/recovery.conf" 2>/dev/null || true)
    case $line in "# Fenced by pgpool-hooks"*) say tombstone "${line#??}" ;; esac
fi
if [ -n "$bin" ] && [ ! -x "$bin/pg_controldata" ]; then
    # The file itself: one of another major version would misread it.
    if [ -f "$pgdata/global/pg_control" ]; then
        say control_file "$(base64 -w 0 -- "$pgdata/global/pg_control")"
    fi
    for history in "$pgdata"/pg_wal/????????.history; do
        name=${history##*/}
        if [ -f "$history" ]; then sed "s/^/history_${name%.history}: /" "$history"; fi
    done
    say wal_timelines "$(ls -- "$pgdata/pg_wal" 2>/dev/null |
        sed -n 's/^\([0-9A-F]\{8\}\)[0-9A-F]\{16\}$/\1/p' | sort -u | tr '\n' ' ')"
elif [ -n "$bin" ]; then
    LC_ALL=C "$bin/pg_controldata" "$pgdata" 2>&1 | sed 's/^/control: /' || true
    timelines=$(LC_ALL=C "$bin/pg_controldata" "$pgdata" 2>/dev/null |
        sed -n -e "s/^Latest checkpoint's TimeLineID: *//p" -e "s/^Min recovery ending loc's timeline: *//p")
    newest=0
    for timeline in $timelines; do
        if [ "$timeline" -gt "$newest" ]; then newest=$timeline; fi
    done
    # A standby that went on to another timeline tells its control file at the next restartpoint only,
    # but started again it looks for the newest one that continues this.
    known=$newest
    for history in "$pgdata"/pg_wal/[0-9A-F]*.history; do
        name=${history##*/}
        name=${name%.history}
        case $name in *[!0-9A-F]*) continue ;; esac
        if [ "${#name}" -ne 8 ] || [ -z "$timelines" ]; then continue; fi
        timeline=$((0x$name))
        if [ "$timeline" -gt "$newest" ] &&
            grep -q "^[[:space:]]*$known[[:space:]]" "$history" &&
            [ -n "$(find "$pgdata/pg_wal/" -maxdepth 1 -name "$name????????????????")" ]; then
            newest=$timeline
        fi
    done
    say newest_timeline "$newest"
    history=$(printf '%s/pg_wal/%08X.history' "$pgdata" "$newest")
    if [ -f "$history" ]; then sed 's/^/history: /' "$history"; fi
fi
say end report
)sh";

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
