// A new data directory beside the old one, or in place of it, swapped in when it is complete.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "common/app/node_script.h"

namespace hooks {
namespace {

// WORK, then for each place its path and its room. The rooms of earlier runs stay in the list:
// what they hold is removed after the proof.
constexpr std::string_view rooms_script = R"sh(
umask 077
mkdir -p -- "$1"
work=$1
shift
touch "$work/rooms"
while [ $# -ge 2 ]; do
    mkdir -p -- "$2"
    rm -rf -- "$2/incoming" "$2/discarded"
    line=$(printf '%s\t%s' "$1" "$2")
    grep -qxF -e "$line" "$work/rooms" || printf '%s\n' "$line" >>"$work/rooms"
    shift 2
done
)sh";

// WORK, PGPASSFILE, SECONDS without progress (five times that at the beginning), whether the old
// data goes (yes or no), PGDATA, whose configuration the new one gets (own or source), then
// pg_basebackup and its arguments. Its first file proves the
// connection, the permission, the slot, the checkpoint and the program: the old data goes then, and
// not before.
constexpr std::string_view copy_script = R"sh(
work=$1
seconds=$3
goes=$4
pgdata=$5
configuration=$6
if [ -n "$2" ]; then export PGPASSFILE="$2"; fi
shift 6
tab=$(printf '\t')
# What only the old data tells, for the next attempt where this one fails.
layout() {
    echo "configuration: $configuration"
    if [ -L "$pgdata/pg_wal" ]; then echo "wal_link: $(readlink -- "$pgdata/pg_wal")"; fi
    for link in "$pgdata"/pg_tblspc/*; do
        if [ -L "$link" ]; then echo "tablespace ${link##*/}: $(readlink -- "$link")"; fi
    done
}
remove_old() {
    if [ ! -e "$work/backup-unfinished" ]; then
        layout >"$work/backup-unfinished.new"
        sync "$work/backup-unfinished.new"
        mv -T -- "$work/backup-unfinished.new" "$work/backup-unfinished"
    fi
    sync -f "$work" 2>/dev/null || sync
    while IFS= read -r old; do rm -rf -- "$old"; done <"$work/old"
    goes=no
    echo "the copy arrives: the old data is removed"
}
arrived() {
    while IFS=$tab read -r current room; do
        if [ -n "$(find "$room/incoming" -type f -size +0 2>/dev/null | head -n 1)" ]; then
            return 0
        fi
    done <"$work/rooms"
    return 1
}
: >"$work/backup.log"
"$@" &
pid=$!
alive() { case $(sed 's/.*) //' "/proc/$pid/stat" 2>/dev/null || true) in '' | Z*) return 1 ;; esac; }
{
    # Before anything comes the source does a checkpoint, which may take its time.
    second=0
    while [ "$second" -lt "$((seconds * 4))" ] && alive && ! arrived; do
        sleep 1
        second=$((second + 1))
    done
    watch "$pid" "$work/backup.log" "$seconds"
} </dev/null >/dev/null 2>&1 &
watcher=$!
trap 'kill "$pid" "$watcher" 2>/dev/null; exit 1' HUP INT TERM
while [ "$goes" = yes ] && alive; do
    if arrived; then remove_old; else sleep 0.1; fi
done
status=0
wait "$pid" || status=$?
kill "$watcher" 2>/dev/null || true
cat "$work/backup.log" >&2
if [ "$status" -ne 0 ]; then exit "$status"; fi
if [ "$goes" = yes ]; then remove_old; fi
)sh";

// The source's settings come with its files; only the port must be the node's own.
void set_port(Target& target, const std::string& directory, Deadline deadline) {
    for (const char* name : {"postgresql.auto.conf", "postgresql.conf"}) {
        const std::string path = directory + "/" + name;
        const auto content = target.node->read_file(path, deadline);
        if (!content) {
            continue;
        }
        ConfFile file = ConfFile::parse(*content, path);
        const std::string port = std::to_string(target.backend.port);
        if (std::string_view(name) == "postgresql.auto.conf") {
            file.remove("port");
        } else if (file.value("port").value_or("") != port) {
            file.set("port", port);  // without a line, the source's is the default
        }
        target.node->replace_file(path, file.text(), deadline);
    }
}

std::string escaped(std::string_view path) {
    std::string out;
    for (const char c : path) {
        out += c == '=' ? "\\=" : std::string(1, c);
    }
    return out;
}

std::vector<std::string> backup_words(const Target& target, const BackupPlan& plan,
                                      const Conninfo& source, const std::string& slot) {
    std::vector<std::string> words = {target.report.pg_basebackup,
                                      "-D",
                                      room_of(plan.site.data()) + "/incoming",
                                      "-d",
                                      source.str(),
                                      "-X",
                                      "stream",
                                      "-c",
                                      "fast",
                                      "-S",
                                      slot,
                                      "--progress",
                                      "--no-password"};
    for (const BackupPlace& place : plan.site.places) {
        const std::string incoming = room_of(place) + "/incoming";
        if (place.kind == PlaceKind::wal) {
            words.push_back("--waldir=" + incoming);
        }
        for (const SourceTablespace& each : plan.size.tablespaces) {
            if (place.kind == PlaceKind::tablespace && each.oid == place.oid) {
                words.insert(words.end(), {"-T", escaped(each.location) + "=" + escaped(incoming)});
            }
        }
    }
    return words;
}

Outcome copy(Target& target, const BackupPlan& plan, std::vector<std::string> words,
             bool keep_configuration, int major, Env& env, const LineSink& on_line,
             Deadline deadline) {
    if (plan.choice.in_place) {
        std::string old;
        for (const BackupPlace& place : plan.site.places) {
            for (const std::string& name : old_entries(place, plan.site, major)) {
                old += place.path + "/" + name + "\n";
            }
        }
        target.node->replace_file(target.report.work_directory + "/old", old, deadline);
    }
    const auto stall = std::chrono::duration_cast<std::chrono::seconds>(env.config.stall_timeout);
    words.insert(words.begin(), {target.report.work_directory, target.options.passfile,
                                 std::to_string(std::max<long>(1, stall.count())),
                                 plan.choice.in_place ? "yes" : "no", target.directory(),
                                 keep_configuration ? "own" : "source"});
    return target.node->run_script(std::string(watch_function) + std::string(copy_script), words,
                                   deadline, on_line);
}

}  // namespace

void base_backup(Target& target, const BackupPlan& plan, const Conninfo& source,
                 const std::string& slot, bool keep_configuration, int major, Env& env,
                 Deadline deadline) {
    const NodeReport& report = target.report;
    if (!report.pg_basebackup.starts_with(report.bin_dir + "/")) {
        env.log.info("there is no pg_basebackup beside the server; using another",
                     {{"node", target.node->label()}, {"program", report.pg_basebackup}});
    }
    std::vector<std::string> rooms = {report.work_directory};
    for (const BackupPlace& place : plan.site.places) {
        rooms.insert(rooms.end(), {place.path, room_of(place)});
    }
    must(target.node->run_script(rooms_script, rooms, deadline), target,
         "preparing the base backup");
    bool removed = false;
    Progress progress(env, target, "pg_basebackup");
    const Outcome outcome = copy(
        target, plan, backup_words(target, plan, source, slot), keep_configuration, major, env,
        [&](bool, std::string_view line) {
            removed = removed || line.starts_with("the copy arrives");
            env.past_no_return = env.past_no_return || removed;
            progress(line);
        },
        deadline);
    if (!outcome.ok()) {
        end_leftovers(target, env, deadline);
        remove_incoming(target, env, deadline);
        const bool full = outcome.err.find("No space left on device") != std::string::npos;
        throw Error(
            ErrorKind::command,
            fmt::format("{}: base backup of {} ({}): {}{}", target.node->label(),
                        target.directory(),
                        removed ? "the old data was removed as base_backup says"
                                : "the old data is untouched",
                        outcome.describe(), full ? "; before it began: " + plan.choice.reason : ""),
            full ? "Free or add space there, then run pcp_recovery_node." : "");
    }
    if (!keep_configuration) {
        set_port(target, room_of(plan.site.data()) + "/incoming", deadline);
    }
    if (target.still_wanted) {
        target.still_wanted();  // the copy took its time
    }
    swap_in(target, plan.site, keep_configuration, major, deadline);
}

}  // namespace hooks
