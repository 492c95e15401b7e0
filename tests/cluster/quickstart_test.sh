#!/bin/sh
# The quickstart, as a user sees it: it ends well, counts no lost row, and leaves nothing behind,
# neither after its last line nor after Ctrl-C. Usage: quickstart_test.sh QUICKSTART_DEMO
set -u

demo=$1

# Namespaces of its own, so that "nothing left" can be seen: no other process, no other file in
# /tmp, no other shared memory. And should this test be killed, everything in there goes with it.
if [ "${2:-}" != inside ]; then
    exec unshare --pid --fork --kill-child --mount-proc --ipc --net "$0" "$demo" inside
fi
set -e
ip link set lo up
mount -t tmpfs -o mode=1777 tmpfs /dev/shm
case $demo in
/tmp/*) ;; # the program would be covered, too
*) mount -t tmpfs -o mode=1777 tmpfs /tmp ;;
esac
export TMPDIR=/dev/shm/tmp
mkdir -m 1777 "$TMPDIR"
set +e

failures=0
out=/dev/shm/output

wrong() {
    printf 'FAILED: %s\n' "$*"
    failures=$((failures + 1))
}

expect_nothing_left() {
    # By way of a file: in a $(...) there would be a second shell.
    ps -A -o pid=,stat=,args= >/dev/shm/output.ps
    left=$(awk -v self=$$ '$1 != self && $3 != "ps"' /dev/shm/output.ps)
    [ -z "$left" ] || wrong "processes are left after $1:
$left"
    left=$(ls -A "$TMPDIR")
    case $demo in
    /tmp/*) ;;
    *) left=$left$(ls -A /tmp) ;;
    esac
    [ -z "$left" ] || wrong "files are left after $1: $left"
    left=$(cat /proc/sysvipc/shm /proc/sysvipc/sem /proc/sysvipc/msg | grep -v key)
    [ -z "$left" ] || wrong "shared memory or semaphores are left after $1:
$left"
    left=$(find /dev/shm -mindepth 1 ! -name 'output*' ! -path "$TMPDIR")
    [ -z "$left" ] || wrong "files are left in /dev/shm after $1: $left"
}

expect_line() {
    grep -Eq "$1" "$out" || wrong "no line like: $1"
}

# ---- the whole story
"$demo" >"$out" 2>&1
code=$?
cat "$out"
[ $code -eq 0 ] || wrong "exit code $code"
expect_line '^ *rows lost +0$'
expect_line '^ *rows acknowledged +[1-9][0-9]*$'
expect_line 'node 0 \(primary\) killed with SIGKILL'
expect_line 'the server of node [12] was not restarted'
expect_line '\$ pcp_recovery_node .* -n [12]'
[ "$(grep -c -- '-- node [0-9] .*standby, streaming, timeline 2$' "$out")" -eq 2 ] ||
    wrong "not two standbys in the last drawing"
! grep -q "$(printf '\033')" "$out" || wrong "colours, and nobody looks"
expect_nothing_left "the story"

# ---- Ctrl-C, with the primary dead and the hooks at work
"$demo" >"$out" 2>&1 &
pid=$!
until grep -q 'killed with SIGKILL' "$out"; do
    kill -0 $pid 2>/dev/null || break
    sleep 0.05
done
kill -INT $pid
wait $pid
code=$?
[ $code -eq 130 ] || {
    wrong "exit code $code after SIGINT"
    cat "$out"
}
expect_nothing_left "SIGINT"

# ---- kept, and stopped later
"$demo" --keep >"$out" 2>&1 || {
    wrong "exit code $? with --keep"
    cat "$out"
}
directory=$(ls -d "$TMPDIR"/pgpool-hooks-quickstart-*)
eval "$(grep -o 'PGPASSFILE=.* psql -h 127.0.0.1 .*' "$out") -XAtc 'SELECT 1' >/dev/null" ||
    wrong "the psql command that it prints does not work"
eval "$(grep -o 'PCPPASSFILE=.* pcp_node_info .*' "$out") >/dev/null" ||
    wrong "the pcp command that it prints does not work"
"$demo" --stop "$directory" >/dev/null || wrong "exit code $? with --stop"
expect_nothing_left "--stop"

[ $failures -eq 0 ]
