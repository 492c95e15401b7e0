// Making a stopped node's WAL a prefix of the source's: trim and rewind.
#include <fmt/format.h>

#include "common/app/node_script.h"

namespace hooks {
namespace {

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

// PGDATA, WORK, MAJOR. The node's own configuration, before the source's takes its place. That of
// an earlier attempt that did not end is kept: what stands in PGDATA may be the source's by now.
// From here on, whoever starts this directory (a boot does) must not get a primary.
constexpr std::string_view save_script = R"sh(
umask 077
mkdir -p -- "$2"
if [ ! -e "$2/rewind-unfinished" ] || [ ! -d "$2/configuration" ]; then
    rm -rf -- "$2/configuration" "$2/configuration.new"
    mkdir -- "$2/configuration.new"
    cd -- "$1"
    for file in *.conf *.crt *.key *.pem conf.d; do
        if [ -e "$file" ]; then cp -pR -- "$file" "$2/configuration.new/"; fi
    done
    mv -T -- "$2/configuration.new" "$2/configuration"
fi
: >"$2/rewind-unfinished"
if [ "$3" -ge 12 ]; then
    : >>"$1/standby.signal"
elif [ ! -e "$1/recovery.conf" ]; then
    printf "standby_mode = 'on'\nrecovery_target_timeline = 'latest'\n" >"$1/recovery.conf"
fi
sync
)sh";

// PGDATA, BIN_DIR, MAJOR, conninfo of the source, PGPASSFILE. What the source does not have,
// pg_rewind removes last of all: the file that makes this a standby is put back on the spot, also
// when the connection to the hook is gone.
constexpr std::string_view rewind_script = R"sh(
trap : HUP INT TERM PIPE
if [ -n "$5" ]; then export PGPASSFILE="$5"; fi
# It would do the crash recovery in single-user mode and lose the WAL that it needs.
if [ "$3" -ge 13 ]; then options=--no-ensure-shutdown; else options=; fi
status=0
"$2/pg_rewind" -D "$1" "--source-server=$4" --progress $options || status=$?
if [ "$3" -ge 12 ]; then
    : >>"$1/standby.signal"
    sync "$1/standby.signal" "$1"
elif [ ! -e "$1/recovery.conf" ]; then
    printf "standby_mode = 'on'\nrecovery_target_timeline = 'latest'\n" >"$1/recovery.conf"
    sync "$1/recovery.conf" "$1"
fi
exit "$status"
)sh";

// PGDATA, WORK, MAJOR
constexpr std::string_view restore_script = R"sh(
cp -pR -- "$2/configuration/." "$1/"
if [ "$3" -le 10 ]; then rm -rf -- "$1"/pg_replslot/*; fi
sync
)sh";

}  // namespace

void trim_wal(Target& target, TimelineId timeline, Lsn from, Deadline deadline) {
    const std::string first =
        wal_segment_name(timeline, from, target.report.control->wal_segment_size);
    must(target.node->run_script(
             trim_script,
             {target.directory(), first.substr(0, 8), first, target.report.work_directory},
             deadline),
         target, "trimming WAL");
}

void rewind(Target& target, const Conninfo& source, Env& env, Deadline deadline) {
    const std::string& work = target.report.work_directory;
    const std::string major = std::to_string(target.report.major);
    must(target.node->run_script(save_script, {target.directory(), work, major}, deadline), target,
         "saving the configuration");
    bool copying = false;
    Progress progress(env, target, "pg_rewind");
    const Outcome outcome = target.node->run_script(
        rewind_script,
        {target.directory(), target.report.bin_dir, major, source.str(), target.options.passfile},
        deadline, [&](bool, std::string_view line) {
            copying = copying || line.find("need to copy") != std::string_view::npos;
            progress(line);
        });
    if (!outcome.ok()) {
        if (!copying) {
            // Nothing was written yet: the files are as they were.
            target.node->run_script("rm -f -- \"$1/rewind-unfinished\"", {work}, deadline);
        }
        throw Error(ErrorKind::command,
                    fmt::format("{}: pg_rewind of {}: {}{}", target.node->label(),
                                target.directory(), outcome.describe(),
                                copying ? "; its files are of two clusters now and must be replaced"
                                        : "; nothing was changed"));
    }
    must(target.node->run_script(restore_script, {target.directory(), work, major}, deadline),
         target, "restoring the configuration");
}

}  // namespace hooks
