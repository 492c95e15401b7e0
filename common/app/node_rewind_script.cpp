// For the time of a rewind the data directory stands under another name, so that neither a boot nor
// a unit nor a person can start it. The marker beside it tells how far the rewind came:
//
//   reading   not a byte was changed, unless its log says "need to copy", or the host went down
//   since copying   the files are of two clusters rewound   only the node's own settings are
//   missing
//
// The other name stands in the same directory: relative links and includes still lead where they
// did.
#include "common/app/node_rewind_script.h"

#include "common/app/node_script.h"

namespace hooks {
namespace {

// Shared by the rewind itself and by whoever finds one that did not end.
constexpr std::string_view functions = R"sh(
umask 077
export LC_ALL=C

note() { # PHASE
    printf 'phase: %s\nboot: %s\ntime: %s\nhome: %s\naway: %s\n' "$1" \
        "$(cat /proc/sys/kernel/random/boot_id)" "$(date -u +%Y-%m-%dT%H:%M:%SZ)" \
        "$home" "$away" >"$marker.new" &&
        sync "$marker.new" && mv -T -- "$marker.new" "$marker" && sync "$work"
}

# Whoever starts this directory must not get a primary.
make_standby() {
    version=$(cat -- "$away/PG_VERSION")
    if [ "$version" -ge 12 ]; then
        : >>"$away/standby.signal"
        sync "$away/standby.signal" "$away"
    elif [ ! -e "$away/recovery.conf" ]; then
        printf "standby_mode = 'on'\nrecovery_target_timeline = 'latest'\n" >"$away/recovery.conf"
        sync "$away/recovery.conf" "$away"
    fi
}

# 12 and later do not start over it; below that make_standby() makes one of its own.
bar() {
    if [ "$version" -ge 12 ] && [ ! -e "$away/recovery.conf" ]; then
        echo '# pgpool-hooks: a rewind is under way; no server starts over this file' >"$away/recovery.conf"
    fi
}

bring_home() {
    if [ "$away" != "$home" ] && [ -d "$away" ]; then
        mv -T -- "$away" "$home"
        sync "$(dirname -- "$home")"
    fi
}

# Nothing of it was changed.
put_back() {
    make_standby
    if grep -q '^# pgpool-hooks: a rewind' "$away/recovery.conf" 2>/dev/null; then
        rm -f -- "$away/recovery.conf"
    fi
    bring_home
    rm -rf -- "$marker" "$work/settings"
    sync "$work"
}

# No server starts without its control file; a base backup takes the place of all this. On a full
# disk, which may be what ended the rewind, renames still work: what writes is not waited for.
break_up() {
    (make_standby) || true # a subshell: a redirection that fails ends the shell
    if [ -e "$away/global/pg_control" ]; then
        mv -T -- "$away/global/pg_control" "$work/pg_control.of-two-clusters" ||
            mv -T -- "$away/global/pg_control" "$away/global/pg_control.of-two-clusters"
        sync "$away/global" "$work"
    fi
    bring_home
    note copying || true # "reading" with a log that says "need to copy" tells the same
}

finish() { # FILE to remove...
    make_standby
    cp -pR -- "$work/configuration/." "$away/"
    cp -p -- "$work/settings/"* "$away/"
    for name in "$@"; do rm -f -- "$away/$name"; done
    # 10 brings the source's slots along.
    if [ "$(cat -- "$away/PG_VERSION")" -le 10 ]; then rm -rf -- "$away"/pg_replslot/*; fi
    sync
    bring_home
    rm -rf -- "$marker" "$work/settings" "$work/pg_control.before"
    sync "$work"
}
)sh";

constexpr std::string_view detached = R"sh(
marker=$1 pgdata=$2 work=$3 bin=$4 source=$5 stall=$6 config=$7
shift 7
doubled() { printf %s "$1" | sed "s/'/''/g"; }
trap '' HUP INT PIPE
trap : TERM
log=$work/rewind.log
home=$(readlink -f -- "$pgdata")
away=$home.pgpool-hooks.rewinding
parent=$(dirname -- "$home")
if [ -e "$away" ] || [ ! -w "$parent" ] || mountpoint -q -- "$home" ||
    [ "$(stat -c %d -- "$home")" != "$(stat -c %d -- "$parent")" ]; then
    away=$home # it cannot have another name
fi
cp -p -- "$home/global/pg_control" "$work/pg_control.before"
sync "$work/pg_control.before"
note reading
version=$(cat -- "$home/PG_VERSION")
if [ "$away" != "$home" ]; then
    mv -T -- "$home" "$away"
    sync "$parent"
else
    bar
fi
make_standby
if [ -n "$config" ]; then
    # It names the data directory, which has another name now, and recovery settings are in there.
    printf "include '%s'\ndata_directory = '%s'\n" "$(doubled "$config")" "$(doubled "$away")" \
        >"$work/rewind.conf"
    config=$work/rewind.conf
fi

guard() { # PID: pg_rewind removes what the source does not have
    while kill -0 "$1" 2>/dev/null; do
        if [ ! -e "$away/recovery.conf" ]; then
            bar
            make_standby
        fi
        sleep 0.1
    done
}
attempt() { # OPTION...
    # 13 and later would do a crash recovery in single-user mode and lose the WAL that they need.
    if [ "$version" -ge 13 ]; then set -- "$@" --no-ensure-shutdown; fi
    if [ "$version" -ge 15 ] && [ -n "$config" ]; then set -- "$@" "--config-file=$config"; fi
    "$bin/pg_rewind" -D "$away" "--source-server=$source" --progress "$@" >>"$log" 2>&1 &
    pid=$!
    watch "$pid" "$log" "$stall" &
    beside=$!
    if [ "$away" = "$home" ]; then
        guard "$pid" &
        beside="$beside $!"
    fi
    status=0
    wait "$pid" || status=$?
    while kill -0 "$pid" 2>/dev/null; do
        status=0
        wait "$pid" || status=$?
    done
    kill $beside 2>/dev/null || true
}
copying() { grep -q 'need to copy' "$log"; }

attempt
# What it looked for in pg_wal may be in the archive: asked only then, because a restore_command can
# hang, or ask a host that is gone.
if [ "$status" -eq 1 ] && [ "$version" -ge 13 ] && ! copying && grep -q 'pg_wal\|WAL' "$log" &&
    { [ -z "$config" ] || [ "$version" -ge 15 ]; }; then
    restore=$("$bin/postgres" -D "$away" ${config:+-c "config_file=$config"} -C restore_command \
        2>/dev/null || true)
    if [ -n "$restore" ]; then
        echo "pgpool-hooks: once more, with restore_command" >>"$log"
        attempt --restore-target-wal
    fi
fi
if [ "$status" -eq 0 ]; then
    make_standby
    note rewound
    finish "$@"
    exit 0
fi
if copying; then
    break_up
    exit 12
fi
put_back
if [ "$status" -gt 128 ] || grep -q '^pgpool-hooks: nothing moved' "$log"; then exit 11; fi
exit 10
)sh";

constexpr std::string_view settle = R"sh(
trap : HUP INT TERM PIPE
marker=$1 work=$3 state=$4
home=$(sed -n 's/^home: //p' "$marker")
away=$(sed -n 's/^away: //p' "$marker")
if [ -z "$home" ]; then home=$(readlink -f -- "$2"); fi
if [ -z "$away" ] || [ ! -d "$away" ]; then away=$home; fi
shift 4
case $state in
    untouched) put_back ;;
    rewound) finish "$@" ;;
    # A marker without a phase is not ours: what it is about is left as it is.
    *) if grep -q '^phase: ' "$marker"; then break_up; fi ;;
esac
)sh";

}  // namespace

const std::string_view prepare_rewind_script = R"sh(
umask 077
pgdata=$1 work=$2 config=$3 bytes=$4
shift 4
refuse() {
    echo "$*" >&2
    exit 9
}
cd -- "$pgdata"
blocked=$(for place in . pg_wal/ pg_tblspc/*/; do
    if [ -e "$place" ]; then find "$place" ! -type l ! -writable 2>&1; fi
done | head -n 3 | tr '\n' ' ')
if [ -n "$blocked" ]; then
    refuse "pg_rewind would fail midway, $(id -un) cannot write all files: $blocked"
fi
while [ $# -ge 2 ]; do
    location=$2
    # pg_rewind leaves a link that is there as it is, and makes others that lead where the source's do.
    if [ -L "pg_tblspc/$1" ]; then location=pg_tblspc/$1/; fi
    mkdir -p -- "$(readlink -m -- "$location")" 2>/dev/null || true
    if [ ! -d "$location" ] || [ ! -w "$location" ]; then
        refuse "the source has a tablespace in $2, which $(id -un) cannot write here"
    fi
    # One that was dropped on the source, and made again in its place, is still this node's.
    own=
    for link in pg_tblspc/*; do
        if [ -L "$link" ] && [ "$(readlink -f -- "$link")" = "$(readlink -f -- "$location")" ]; then
            own=yes
        fi
    done
    if [ -z "$own" ] && ls -d -- "$location"/PG_*_* >/dev/null 2>&1; then
        refuse "the source has a tablespace in $2, which holds one of another data directory here"
    fi
    # A standby that replayed CREATE TABLESPACE beside its primary: its link leads there, too.
    for process in /proc/[0-9]*; do
        { read -r name <"$process/comm"; } 2>/dev/null || continue
        if [ "$name" != postgres ] && [ "$name" != postmaster ]; then continue; fi
        there=$(readlink "$process/cwd" 2>/dev/null || true)
        if [ -n "$there" ] && [ "$there" != "$(pwd -P)" ] &&
            [ "$(readlink -f -- "$there/pg_tblspc/$1" 2>/dev/null || true)" = \
                "$(readlink -f -- "$location" || true)" ]; then
            refuse "the source has a tablespace in $2, where the server in $there works here"
        fi
    done
    shift 2
done
free=$(($(stat -f -c %a pg_wal/) * $(stat -f -c %S pg_wal/)))
if [ "$bytes" -gt "$free" ]; then
    refuse "the source has $bytes bytes of new WAL, $free are free in $pgdata/pg_wal"
fi

# What must survive: configuration, keys and certificates, programs such as recovery_1st_stage,
# and what the configuration names inside the data directory.
own_files() {
    for name in *.conf *.crt *.key *.pem conf.d; do
        if [ -e "$name" ]; then printf '%s\n' "$name"; fi
    done
    for name in *; do
        if [ -f "$name" ] && [ -x "$name" ]; then printf '%s\n' "$name"; fi
    done
    named='ssl_[a-z_]*\|hba_file\|ident_file\|krb_server_keyfile\|include[a-z_]*'
    cat -- *.conf conf.d/*.conf ${config:+"$config"} 2>/dev/null |
        sed -n "s/^[[:space:]]*\($named\)[[:space:]]*=\{0,1\}[[:space:]]*'\{0,1\}\([^'#]*[^'#[:space:]]\).*/\2/Ip" |
        while IFS= read -r name; do
            name=${name#"$pgdata/"}
            case /$name/ in //* | */../* | */./* | /base/* | /global/* | /pg_*) continue ;; esac
            if [ -e "$name" ]; then printf '%s\n' "$name"; fi
        done
}
mkdir -p -- "$work"
rm -rf -- "$work/configuration.new" "$work/settings"
mkdir -- "$work/configuration.new" "$work/settings"
own_files | sort -u | while IFS= read -r name; do
    cp -pR --parents -- "$name" "$work/configuration.new/"
done
rm -rf -- "$work/configuration"
mv -T -- "$work/configuration.new" "$work/configuration"
sync
)sh";

const std::string_view run_rewind_script = R"sh(
passfile=$1
shift
if [ -n "$passfile" ]; then export PGPASSFILE="$passfile"; fi
: >"$3/rewind.log"
setsid sh -eu "$3/rewind.sh" "$@" </dev/null >"$3/rewind.messages" 2>&1 &
pid=$!
tail -n +1 -s 0.1 -f --pid="$pid" -- "$3/rewind.log" || true
status=0
wait "$pid" || status=$?
cat -- "$3/rewind.messages" >&2
exit "$status"
)sh";

std::string detached_rewind_script() {
    return std::string(functions) + std::string(watch_function) + std::string(detached);
}

std::string settle_rewind_script() {
    return std::string(functions) + std::string(settle);
}

}  // namespace hooks
