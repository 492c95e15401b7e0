// WAL of a stopped node: what a rewind or a base backup throws away is kept, and what was received
// past a switchpoint is trimmed.
#include <fmt/format.h>

#include "common/app/node_script.h"

namespace hooks {
namespace {

// PGDATA, STATE_DIR, NODE, SYSTEM, BIN_DIR, NAME, SEGMENT_SIZE, RANGE, SOURCE, and for each stretch
// TIMELINE FROM TO FIRST LAST NUMBER (its segments). Copies, not links: pg_rewind writes into the
// files that it finds. What stands under its name is complete; the report is in it before that.
constexpr std::string_view rescue_script = R"sh(
umask 077
pgdata=$1 state=$2 node=$3 system=$4 bin=$5 name=$6 size=$7 range=$8 source=$9
shift 9
usable() { mkdir -- "$1" 2>/dev/null || true; [ -d "$1" ] && [ -w "$1" ] && [ -x "$1" ]; }
if ! usable "$state"; then
    home=${HOME:-$(getent passwd "$(id -u)" | cut -d: -f6)}
    if ! usable "$home/.pgpool-hooks"; then
        echo "neither $state nor $home/.pgpool-hooks can be written by $(id -un)" >&2
        exit 9
    fi
    state=$home/.pgpool-hooks
fi
cd -- "$pgdata/pg_wal"

# The segments of one stretch, a ".partial" for one that is not there otherwise.
segments() { # TIMELINE FIRST LAST
    for file in $(ls | grep -E "^$(printf '%08X' "$1")[0-9A-F]{16}(\.partial)?\$"); do
        segment=${file%.partial}
        if [ "$segment" \< "$2" ] || [ "$segment" \> "$3" ]; then continue; fi
        if [ "$segment" = "$file" ] || [ ! -e "$segment" ]; then echo "$file"; fi
    done
}
each_stretch() { # COMMAND, then the stretches
    command=$1
    shift
    while [ "$#" -ge 6 ]; do
        $command "$1" "$2" "$3" "$4" "$5" "$6"
        shift 6
    done
}
list() { segments "$1" "$4" "$5"; }
count_missing() {
    there=$(segments "$1" "$4" "$5" | grep -c . || true)
    missing=$((missing + $6 - there))
}
files=$(each_stretch list "$@")
missing=0
each_stretch count_missing "$@"
if [ -z "$files" ]; then
    echo "missing segments: $missing"
    echo "end: rescue"
    exit 0
fi
histories() { history=$(printf '%08X.history' "$1"); if [ -f "$history" ]; then echo "$history"; fi; }
files="$files $(each_stretch histories "$@")"

store=$state/diverged
mkdir -p -- "$store"
is_the_same() { # DIRECTORY
    grep -qxF -e "system identifier: $system" "$1/report" 2>/dev/null || return 1
    for file in $files; do cmp -s -- "$file" "$1/$file" || return 1; done
}
for kept in "$store"/*Z-"$name"; do
    if [ -d "$kept" ] && is_the_same "$kept"; then
        echo "directory: $kept"
        cat -- "$kept/report"
        echo "end: rescue"
        exit 0
    fi
done
# Of an attempt that did not end.
rm -rf -- "$store/.incomplete-node$node-"*
new=$(mktemp -d -- "$store/.incomplete-node$node-XXXXXX")
trap 'rm -rf -- "$new"' EXIT
trap 'exit 1' HUP INT TERM PIPE

set -- "$@" # the stretches stay
first=${files%%[!0-9A-Fa-z.]*}
need=0
for file in $files; do need=$((need + $(stat -L -c %s -- "$file"))); done
if ! cp --reflink=always -- "$first" "$new/" 2>/dev/null; then
    rm -f -- "$new/$first"
    set -- "$(stat -f -c %a -- "$store")" "$(stat -f -c %S -- "$store")" "$@"
    free=$(($1 * $2))
    shift 2
    # Not the last byte: others write there, too.
    if [ "$((need + size))" -gt "$free" ]; then
        echo "$need bytes are needed in $store, $free are free" >&2
        exit 9
    fi
fi
for file in $files; do
    if ! cp -p --reflink=auto -- "$file" "$new/$file" 2>"$new/problem"; then
        cat -- "$new/problem" >&2
        exit 9
    fi
done
rm -f -- "$new/problem"
for file in "$new"/*.partial; do
    if [ -e "$file" ]; then
        whole=${file%.partial}
        ln -s -- "${file##*/}" "$whole" # for pg_waldump
    fi
done

records() {
    LC_ALL=C TZ=UTC "$bin/pg_waldump" -r Transaction -p "$new" -t "$1" -s "$2" -e "$3" \
        2>>"$new/problem" || true
}
summary=$(each_stretch records "$@" | awk '
    {
        at = index($0, "desc: ")
        if (at == 0) next
        what = substr($0, at + 6)
        if (what ~ /^COMMIT/) {
            commits++
            if (match(what, /[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9] [0-9:.]+ [A-Z]+/)) {
                last = substr(what, RSTART, RLENGTH)
                if (first == "") first = last
            }
        } else if (what ~ /^ABORT/) aborts++
    }
    END {
        print "commits: " commits + 0
        if (first != "") print "first commit: " first
        if (last != "") print "last commit: " last
        print "aborts: " aborts + 0
    }')
problem=$(head -n 1 -- "$new/problem")
rm -f -- "$new/problem"
now=$(date -u +%Y%m%dT%H%M%SZ)
final=$store/$now-$name
look() {
    echo "look: LC_ALL=C $bin/pg_waldump -p $final -t $1 -s $2 -e $3"
}
{
    echo "WAL of node $node that its new primary does not have, kept before it was thrown away"
    echo "data directory: $pgdata"
    echo "system identifier: $system"
    echo "range: $range"
    echo "primary: $source"
    echo "time: $now"
    echo "$summary"
    echo "missing segments: $missing"
    if [ -n "$problem" ]; then echo "problem: $problem"; fi
    each_stretch look "$@"
} >"$new/report"
for file in "$new"/*; do sync "$file"; done
sync "$new"
mv -T -- "$new" "$final"
sync "$store"
trap - EXIT
echo "directory: $final"
cat -- "$final/report"
echo "end: rescue"
)sh";

// PGDATA, TIMELINE (8 hex digits), FIRST (name of a segment), WORK. Moved, not deleted: this is
// WAL that was received and will be fetched again in another form. The newest goes first: cut off
// midway, it leaves WAL that ends too late, which asks for a trim again, and not a gap.
constexpr std::string_view trim_script = R"sh(
umask 077
mkdir -p -- "$4/trimmed"
cd -- "$1/pg_wal"
for file in $(ls -r | grep -E "^$2[0-9A-F]{16}(\.partial)?\$"); do
    if [ -f "$file" ] && { [ "$file" \> "$3" ] || [ "$file" = "$3" ]; }; then
        mv -- "$file" "$4/trimmed/"
        echo "$file"
    fi
done
sync
)sh";

std::string number_of_segments(const WalStretch& stretch, std::uint64_t size) {
    return std::to_string((stretch.to.value - 1) / size - stretch.from.value / size + 1);
}

}  // namespace

RescuedWal rescue_wal(Target& target, const std::vector<WalStretch>& stretches,
                      const std::string& source, Env& env, Deadline deadline) {
    const Lsn from = stretches.front().from;
    const Lsn to = stretches.back().to;
    const TimelineId timeline = stretches.back().timeline;
    const ControlData& control = *target.report.control;
    const std::uint64_t size = control.wal_segment_size;
    std::vector<std::string> arguments = {
        target.directory(),
        env.config.state_dir,
        std::to_string(target.backend.id),
        std::to_string(control.system_identifier),
        target.report.bin_dir,
        rescue_name(target.backend.id, timeline, from, to),
        std::to_string(size),
        fmt::format("{} to {}, {} bytes, timeline {}", from, to, to.value - from.value, timeline),
        source};
    for (const WalStretch& stretch : stretches) {
        arguments.insert(
            arguments.end(),
            {std::to_string(stretch.timeline), to_string(stretch.from), to_string(stretch.to),
             wal_segment_name(stretch.timeline, stretch.from, size),
             wal_segment_name(stretch.timeline, Lsn{stretch.to.value - 1}, size),
             number_of_segments(stretch, size)});
    }
    const Outcome outcome = target.node->run_script(rescue_script, arguments, deadline);
    if (!outcome.ok()) {
        throw Error(
            ErrorKind::refused,
            fmt::format("{}: WAL {} to {} would be lost, and could not be kept: {}",
                        target.node->label(), from, to, outcome.describe()),
            fmt::format("Make room or give rights there, or set state_dir in hooks.conf to a "
                        "directory on that node that has both; then run pcp_recovery_node for it. "
                        "Nothing was changed in {}.",
                        target.directory()));
    }
    const RescuedWal rescued = parse_rescue(outcome.out, from, to);
    env.log.warn("WAL that the primary does not have is thrown away",
                 {{"node", target.node->label()},
                  {"what", text(rescued)},
                  {"aborts", std::to_string(rescued.aborts)},
                  {"problem", rescued.problem}});
    return rescued;
}

void trim_wal(Target& target, TimelineId timeline, Lsn from, Deadline deadline) {
    const std::string first =
        wal_segment_name(timeline, from, target.report.control->wal_segment_size);
    must(target.node->run_script(
             trim_script,
             {target.directory(), first.substr(0, 8), first, target.report.work_directory},
             deadline),
         target, "trimming WAL");
}

}  // namespace hooks
