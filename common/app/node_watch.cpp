// A program that waits for the other side of a connection has no deadline: a copy takes as long as
// it takes. What can be told is whether it still gets anywhere.
#include "common/app/node_script.h"

namespace hooks {

// From a network nothing is counted, but what came from there is worked on or written.
const std::string_view watch_function = R"sh(
# Ends the process when for SECONDS it moved no byte, used no processor, waited for no disk, and
# wrote nothing into LOG. Returns when it is gone.
watch() { # PID LOG SECONDS
    seen= quiet_since=
    while :; do
        stat=$(sed 's/.*) //' "/proc/$1/stat" 2>/dev/null || true)
        state=${stat%% *}
        case $state in '' | Z) return 0 ;; esac
        # The time that it had the processor are fields 12 and 13 behind its name.
        now="$(printf '%s' "$stat" | cut -d ' ' -f 12,13) $(cat "/proc/$1/io" 2>/dev/null || true)"
        now="$now $(stat -c %s -- "$2" 2>/dev/null || true)"
        read -r uptime _ </proc/uptime
        uptime=${uptime%%.*}
        case $state in D | R) quiet_since=$uptime ;; esac
        if [ "$now" != "$seen" ]; then quiet_since=$uptime; fi
        seen=$now
        if [ "$((uptime - quiet_since))" -ge "$3" ]; then break; fi
        sleep 1
    done
    echo "pgpool-hooks: nothing moved for $3 s, so it is ended: the other side is gone or frozen" >>"$2"
    kill -s TERM "$1" 2>/dev/null || true
    for tenth in 1 2 3 4 5 6 7 8 9 10; do
        kill -0 "$1" 2>/dev/null || return 0
        sleep 0.2
    done
    kill -s KILL "$1" 2>/dev/null || true
}
)sh";

}  // namespace hooks
