// What a node is asked, in the shell that every node has. parse_node_report() reads the answer.
#include "common/core/node_report.h"

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

}  // namespace hooks
