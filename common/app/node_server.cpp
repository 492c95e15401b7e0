// Stopping and starting the server of a node.
#include <fmt/format.h>

#include "common/app/node_steps.h"

namespace hooks {
namespace {

using std::chrono::seconds;

// PGDATA, BIN_DIR, SECONDS, MODE, stop_command, Debian's VERSION/NAME
constexpr std::string_view stop_script = R"sh(
if [ "$4" = kill ]; then
    here=$(cd -- "$1" && pwd -P)
    for attempt in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
        left=
        for process in /proc/[0-9]*; do
            { read -r name <"$process/comm"; } 2>/dev/null || continue
            case $name in
                postgres | postmaster)
                    if [ "$(readlink "$process/cwd" 2>/dev/null || true)" = "$here" ]; then
                        kill -s KILL "${process#/proc/}" 2>/dev/null || true
                        left=yes
                    fi ;;
            esac
        done
        if [ -z "$left" ]; then exit 0; fi
        sleep 0.1
    done
    echo "a process takes no SIGKILL: it hangs in the kernel" >&2
    exit 1
elif [ -n "$5" ] && [ "$4" = fast ]; then
    PGDATA=$1 sh -c "$5"
elif [ -n "$6" ]; then
    pg_ctlcluster "${6%/*}" "${6#*/}" stop -m "$4" -- -t "$3"
else
    "$2/pg_ctl" -D "$1" -m "$4" -w -t "$3" -s stop
fi
)sh";

// PGDATA, BIN_DIR, WORK, start_command, Debian's VERSION/NAME. setsid and /dev/null: neither the
// session nor a pipe of the caller may stay with the server. pg_ctl puts -D and -l into a command
// line in double quotes, where a shell still reads $, ` and \; what it finds in PGDATA it does not.
constexpr std::string_view start_script = R"sh(
umask 077
mkdir -p -- "$3" 2>/dev/null && log=$3/server.log || log=$1/server_start.log
printf -- '--- started by pgpool-hooks, %s\n' "$(date -u +%Y-%m-%dT%H:%M:%SZ)" >>"$log"
if [ -n "$4" ]; then
    PGDATA=$1 setsid sh -c "$4" </dev/null >>"$log" 2>&1
elif [ -n "$5" ]; then
    setsid pg_ctlcluster "${5%/*}" "${5#*/}" start </dev/null >>"$log" 2>&1
else
    case $1 in
        *[\"\$\`\\]*) PGDATA=$1 setsid "$2/pg_ctl" -W -s start </dev/null >>"$log" 2>&1 ;;
        *) setsid "$2/pg_ctl" -D "$1" -W -s start </dev/null >>"$log" 2>&1 ;;
    esac
fi
)sh";

// PGDATA, WORK
constexpr std::string_view log_script = R"sh(
for file in "$2/server.log" "$1/server_start.log"; do
    if [ -f "$file" ]; then tail -n 12 -- "$file"; fi
done
# The logging collector tells where it writes; the file may be one of a server that has ended.
newest=$(sed -n 's/^stderr //p' "$1/current_logfiles" 2>/dev/null || true)
case $newest in
    '') newest=$(ls -t -- "$1"/log/* 2>/dev/null | head -n 1 || true) ;;
    /*) ;;
    *) newest=$1/$newest ;;
esac
if [ -f "$newest" ]; then tail -n 12 -- "$newest"; fi
)sh";

// PGDATA, BIN_DIR, WORK, SECONDS, MAJOR, CONFIG_FILE, TIMELINE. Nobody can reach it: no address, a
// socket in a directory of its own. Where it hangs it is put down hard: nothing of it is needed.
constexpr std::string_view settle_script = R"sh(
umask 077
mkdir -p -- "$3"
sockets=$(mktemp -d /tmp/pgh.XXXXXX)
trap 'rm -rf -- "$sockets"' EXIT
options="-c listen_addresses='' -c unix_socket_directories='$sockets' -c hot_standby=on"
options="$options -c logging_collector=off -c archive_mode=off"
# A restartpoint must not recycle what pg_rewind reads.
if [ "$5" -ge 13 ]; then
    options="$options -c wal_keep_size=1TB -c max_slot_wal_keep_size=-1"
else
    options="$options -c wal_keep_segments=1000000"
fi
if [ -n "$6" ]; then options="$options -c config_file='$6'"; fi
# Its own timeline to the end: a history file that an earlier attempt fetched leads elsewhere.
if [ "$5" -ge 12 ]; then
    : >>"$1/standby.signal" # before what keeps this directory from being started goes
    sync "$1/standby.signal" "$1"
    rm -f -- "$1/recovery.conf" "$1/recovery.signal"
    options="$options -c primary_conninfo='' -c primary_slot_name='' -c restore_command=''"
    options="$options -c recovery_target_timeline=$7 -c recovery_target='' -c recovery_target_lsn=''"
    options="$options -c recovery_target_time='' -c recovery_target_xid='' -c recovery_target_name=''"
else
    rm -f -- "$1/recovery.done"
    printf "standby_mode = 'on'\nrecovery_target_timeline = '%s'\n" "$7" >"$1/recovery.conf"
fi
sync
cd -- "$3"
if ! PGDATA=$1 "$2/pg_ctl" -w -t "$4" -s -l settle.log -o "$options" start </dev/null >/dev/null 2>&1; then
    tail -n 12 -- "$3/settle.log" >&2
    "$2/pg_ctl" -D "$1" -m immediate -w -t 10 -s stop >/dev/null 2>&1 || true
    exit 1
fi
"$2/pg_ctl" -D "$1" -m fast -w -t "$4" -s stop
)sh";

std::string whole_seconds(std::chrono::milliseconds span) {
    return std::to_string(
        std::max<std::int64_t>(1, std::chrono::duration_cast<seconds>(span).count()));
}

}  // namespace

bool server_is_running(Target& target, Deadline deadline) {
    look_at_files(target, target.report.major, deadline);
    return target.report.running;
}

void stop_server(Target& target, Env& env, Deadline deadline) {
    if (!target.report.running) {
        return;
    }
    std::string said;
    // A primary in fast shutdown waits for its standbys, and for ever when one of them is ahead.
    for (const std::string mode : {"fast", "immediate", "kill"}) {
        if (target.report.frozen && mode != "kill") {
            continue;  // it would take the signal when it is let go on
        }
        const auto share =
            std::min<std::chrono::milliseconds>(deadline.remaining() / 2, seconds(60));
        try {
            const Outcome outcome = target.node->run_script(
                stop_script,
                {target.directory(), target.report.bin_dir, whole_seconds(share), mode,
                 target.options.stop_command, target.report.debian_cluster},
                deadline.within(share + seconds(2)));
            said = outcome.ok() ? "" : outcome.describe();
        } catch (const Error& error) {
            if (error.kind() != ErrorKind::timeout || deadline.expired()) {
                throw;
            }
            said = error.what();
        }
        if (!server_is_running(target, deadline)) {
            env.log.info("server stopped", {{"node", target.node->label()}, {"mode", mode}});
            return;
        }
        env.log.warn("server still runs after a stop",
                     {{"node", target.node->label()}, {"mode", mode}, {"said", said}});
    }
    throw Error(ErrorKind::command,
                fmt::format("{}: the server in {} does not stop: {}", target.node->label(),
                            target.directory(), said),
                "Stop it by hand, then run this again.");
}

void start_server(Target& target, Env& env, Deadline deadline) {
    const Outcome outcome = target.node->run_script(
        start_script,
        {target.directory(), target.report.bin_dir, target.report.work_directory,
         target.options.start_command, target.report.debian_cluster},
        deadline);
    // pg_ctlcluster and systemctl wait, and give up on a server that is still busy with its WAL.
    if (!outcome.ok() && !server_is_running(target, deadline)) {
        throw Error(ErrorKind::command,
                    fmt::format("{}: the server in {} does not start: {}\n{}", target.node->label(),
                                target.directory(), outcome.describe(),
                                end_of_server_log(target, deadline)),
                    "Correct what its log says, then run pcp_recovery_node for it.");
    }
    env.log.info("server started", {{"node", target.node->label()}});
}

std::string end_of_server_log(Target& target, Deadline deadline) {
    try {
        return target.node
            ->run_script(log_script, {target.directory(), target.report.work_directory}, deadline)
            .out;
    } catch (const Error& error) {
        return fmt::format("(its log could not be read: {})", error.what());
    }
}

void settle_crash(Target& target, Env& env, Deadline deadline) {
    const auto share =
        std::min<std::chrono::milliseconds>(deadline.remaining(), std::chrono::hours(1));
    const Outcome outcome = target.node->run_script(
        settle_script,
        {target.directory(), target.report.bin_dir, target.report.work_directory,
         whole_seconds(share), std::to_string(target.report.major), target.report.config_file,
         std::to_string(target.report.control->timeline())},
        deadline);
    if (!outcome.ok()) {
        throw Error(ErrorKind::command,
                    fmt::format("{}: crash recovery of {}: {}", target.node->label(),
                                target.directory(), outcome.describe()));
    }
    look_at_files(target, target.report.major, deadline);
    if (target.report.running || !target.report.control ||
        !target.report.control->shut_down_cleanly()) {
        throw Error(ErrorKind::command,
                    fmt::format("{}: {} is not shut down cleanly after its crash recovery",
                                target.node->label(), target.directory()));
    }
    env.log.info("crash recovery done", {{"node", target.node->label()}});
}

}  // namespace hooks
