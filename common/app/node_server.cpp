// Stopping and starting the server of a node.
#include <fmt/format.h>

#include "common/app/node_script.h"
#include "common/app/node_unit.h"

namespace hooks {
namespace {

using std::chrono::seconds;

// PGDATA. For a server that takes no signal.
constexpr std::string_view kill_script = R"sh(
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
)sh";

// PGDATA, WORK, whether to wait (yes or no), then a command. setsid and /dev/null: neither the
// session nor a pipe of the caller may stay with the server. pg_ctlcluster, which knows no other
// way, waits on its own until the server lets somebody in, half a minute if need be.
constexpr std::string_view start_script = R"sh(
umask 077
export PGDATA="$1"
wait=$3
mkdir -p -- "$2" 2>/dev/null && log=$2/server.log || log=$1/server_start.log
printf -- '--- started by pgpool-hooks, %s\n' "$(date -u +%Y-%m-%dT%H:%M:%SZ)" >>"$log"
shift 3
status=0
if [ "$wait" = yes ]; then
    # No exec: a leader of a session that becomes setsid forks, and says 0 at once.
    setsid "$@" </dev/null >>"$log" 2>&1 || status=$?
    exit "$status"
fi
postmaster() { head -n 1 -- "$PGDATA/postmaster.pid" 2>/dev/null || true; }
before=$(postmaster)
setsid "$@" </dev/null >>"$log" 2>&1 &
pid=$!
while kill -0 "$pid" 2>/dev/null; do
    now=$(postmaster)
    if [ -n "$now" ] && [ "$now" != "$before" ]; then exit 0; fi
    sleep 0.02
done
wait "$pid" || status=$?
exit "$status"
)sh";

// PGDATA, WORK, LOG of pg_ctlcluster
constexpr std::string_view log_script = R"sh(
for file in "$2/server.log" "$1/server_start.log" "$3"; do
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
    if [ "$5" -le 15 ]; then options="$options -c promote_trigger_file=''"; fi
else
    # The node's own settings are read from there when this is cut off.
    if says_more "$1/recovery.conf"; then
        cp -p -- "$1/recovery.conf" "$1/recovery.done"
        sync "$1/recovery.done"
    fi
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

std::vector<std::string> with_words(std::vector<std::string> arguments,
                                    const ControlCommand& command) {
    arguments.insert(arguments.end(), command.words.begin(), command.words.end());
    return arguments;
}

// Each in turn, until the server does not run any more. Returns what the last one said.
std::string stop_once(Target& target, const std::string& mode, std::chrono::milliseconds share,
                      Deadline deadline) {
    if (mode == "kill") {
        begin_stop_of_unit(target, deadline.within(share / 2));
        const Outcome outcome =
            target.node->run_script(kill_script, {target.directory()}, deadline);
        return outcome.ok() ? "" : outcome.describe();
    }
    std::string said;
    for (const ControlCommand& command :
         stop_commands(layout_of(target), mode, whole_seconds(share))) {
        if (!said.empty() && !server_is_running(target, deadline)) {
            break;
        }
        // A systemctl that hangs must leave the time for the next one.
        const bool by_unit = command.by == ControlBy::systemd;
        try {
            const Outcome outcome = by_unit
                                        ? stop_by_unit(target, command, deadline.within(share / 2))
                                        : run_control(target, command.words, deadline);
            said = outcome.ok() ? fmt::format("{} says that it stopped", to_string(command.by))
                                : outcome.describe();
        } catch (const Error& error) {
            if (!by_unit || error.kind() != ErrorKind::timeout || deadline.expired()) {
                throw;
            }
            said = error.what();
        }
    }
    return said;
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
            said = stop_once(target, mode, share, deadline.within(share + seconds(2)));
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

void start_server(Target& target, Env& env, Deadline deadline, StartWhere where) {
    const bool anywhere = where == StartWhere::anywhere;
    if (!anywhere) {
        know_unit(target, deadline);
    }
    const ServerLayout layout = layout_of(target);
    Outcome outcome;
    ControlCommand command = start_commands(layout).front();
    if (command.by == ControlBy::systemd) {
        std::string why;
        std::string next;
        try {
            outcome = start_by_unit(
                target, env, anywhere ? deadline.within(deadline.remaining() / 3) : deadline);
            if (anywhere && !outcome.ok() && !server_is_running(target, deadline)) {
                why = outcome.describe();
            }
        } catch (const Error& error) {
            if (!anywhere || deadline.expired()) {
                throw;
            }
            why = error.what();
            next = error.hint();
        }
        if (!why.empty()) {
            env.log.warn(
                "started outside of its unit, which it must not be for long: stop it and "
                "start the unit",
                {{"node", target.node->label()}, {"why", why}, {"next", next}});
            command = start_without_unit(layout);
        }
    }
    if (command.by != ControlBy::systemd) {
        outcome = target.node->run_script(
            start_script,
            with_words({target.directory(), target.report.work_directory,
                        command.by == ControlBy::pg_ctlcluster ? "no" : "yes"},
                       command),
            deadline);
    }
    // pg_ctlcluster and systemctl wait, and give up on a server that is still busy with its WAL.
    if (!outcome.ok() && !server_is_running(target, deadline)) {
        throw Error(ErrorKind::command,
                    fmt::format("{}: the server in {} does not start: {}\n{}", target.node->label(),
                                target.directory(), outcome.describe(),
                                end_of_server_log(target, deadline)),
                    "Correct what its log says, then run pcp_recovery_node for it.");
    }
    env.log.info("server started", {{"node", target.node->label()}, {"by", to_string(command.by)}});
}

std::string end_of_server_log(Target& target, Deadline deadline) {
    try {
        return target.node
            ->run_script(
                log_script,
                {target.directory(), target.report.work_directory, target.report.server_log},
                deadline)
            .out;
    } catch (const Error& error) {
        return fmt::format("(its log could not be read: {})", error.what());
    }
}

void settle_crash(Target& target, Env& env, Deadline deadline) {
    const auto share =
        std::min<std::chrono::milliseconds>(deadline.remaining(), std::chrono::hours(1));
    const Outcome outcome = target.node->run_script(
        std::string(says_more_function) + std::string(settle_script),
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
