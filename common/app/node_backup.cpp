// A new data directory beside the old one, swapped in when it is complete.
#include <fmt/format.h>

#include "common/app/node_script.h"

namespace hooks {
namespace {

// PGDATA, WORK, keep (yes or no), MAJOR, INCOMING (an argument so that a look at the node sees who
// works on it). What says "standby" is in before the swap: whoever starts this directory then gets
// one. After a rewind that did not end, what stands in PGDATA may be the source's configuration, or
// half of it; the node's own was saved. A directory with a backup_label was never started as it
// stands: while there is a previous one, it is not worth to take its place.
constexpr std::string_view swap_script = R"sh(
incoming=$5
test -f "$incoming/global/pg_control"
if [ -e "$2/rewind-unfinished" ] && [ -d "$2/configuration" ]; then
    cp -pR -- "$2/configuration/." "$incoming/"
elif [ "$3" = yes ]; then
    cd -- "$1"
    for file in *.conf *.crt *.key *.pem conf.d; do
        if [ -e "$file" ]; then cp -pR -- "$file" "$incoming/"; fi
    done
    cd /
fi
if [ "$4" -ge 12 ]; then
    : >>"$incoming/standby.signal"
else
    printf "standby_mode = 'on'\nrecovery_target_timeline = 'latest'\n" >"$incoming/recovery.conf"
fi
chmod 700 -- "$incoming"
sync
old=$2/previous
if [ -d "$old" ] && [ -f "$1/backup_label" ]; then old=$2/discarded; fi
if [ -e "$1" ]; then
    rm -rf -- "$old"
    mv -T -- "$1" "$old"
fi
if ! mv -T -- "$incoming" "$1"; then
    if [ ! -e "$1" ] && [ -e "$old" ]; then mv -T -- "$old" "$1"; fi
    exit 1
fi
rm -f -- "$2/rewind-unfinished"
sync
rm -rf -- "$2/discarded"
)sh";

// PGDATA, WORK
constexpr std::string_view undo_swap_script = R"sh(
for old in discarded previous; do
    if [ ! -e "$1" ] && [ -d "$2/$old" ]; then mv -T -- "$2/$old" "$1"; fi
done
)sh";

// In the work directory. A failure to clean up is no failure of what was done before it.
void remove(Target& target, Env& env, const std::vector<std::string>& names, Deadline deadline) {
    for (const std::string& name : names) {
        const std::string path = target.report.work_directory + "/" + name;
        std::string why;
        try {
            const Outcome outcome = target.node->run_script("rm -rf -- \"$1\"", {path}, deadline);
            why = outcome.ok() ? "" : outcome.describe();
        } catch (const Error& error) {
            why = error.what();
        }
        if (!why.empty()) {
            env.log.warn("could not be removed; remove it by hand",
                         {{"node", target.node->label()}, {"directory", path}, {"why", why}});
        }
    }
}

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
        } else if (file.value("port").value_or(port) != port) {
            file.set("port", port);  // where it is set elsewhere, it is right already or not ours
        }
        target.node->replace_file(path, file.text(), deadline);
    }
}

}  // namespace

void base_backup(Target& target, const Conninfo& source, const std::string& slot,
                 bool keep_configuration, int major, Env& env, Deadline deadline) {
    const NodeReport& report = target.report;
    if (report.bin_dir.empty()) {
        throw Error(
            ErrorKind::command,
            fmt::format("{}: no programs of PostgreSQL {} were found", target.node->label(), major),
            "Set postgres_bin_dir in hooks.conf.");
    }
    if (report.symbolic_link || report.mount_point || !report.parent_writable) {
        throw Error(ErrorKind::refused,
                    fmt::format("{}: no base backup can be made beside {}: {}",
                                target.node->label(), target.directory(),
                                report.mount_point     ? "it is a mount point"
                                : report.symbolic_link ? "it is a symbolic link"
                                                       : "its parent directory is not writable"),
                    "Rebuild this node by hand, or move its data directory.");
    }
    const std::string& work = report.work_directory;
    const std::string incoming = work + "/incoming";
    must(target.node->run_script("umask 077; mkdir -p -- \"$1\"; rm -rf -- \"$1/incoming\"", {work},
                                 deadline),
         target, "preparing the base backup");
    Command command;
    command.argv = {report.bin_dir + "/pg_basebackup",
                    "-D",
                    incoming,
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
    add_passfile(command, target);
    Progress progress(env, target, "pg_basebackup");
    must(target.node->run(command, deadline, [&](bool, std::string_view line) { progress(line); }),
         target,
         fmt::format("base backup beside {} (the old data is untouched)", target.directory()));
    if (!keep_configuration) {
        set_port(target, incoming, deadline);
    }
    if (target.still_wanted) {
        target.still_wanted();  // the copy took its time
    }
    must(target.node->run_script(swap_script,
                                 {target.directory(), work, keep_configuration ? "yes" : "no",
                                  std::to_string(major), incoming},
                                 deadline),
         target, "swapping the base backup in");
}

void undo_swap(Target& target, Env& env, Deadline deadline) {
    must(target.node->run_script(undo_swap_script,
                                 {target.directory(), target.report.work_directory}, deadline),
         target, "taking back an interrupted swap");
    env.log.warn("an earlier run was cut off while it put a base backup in place; taken back",
                 {{"node", target.node->label()}, {"directory", target.directory()}});
}

void remove_previous(Target& target, Env& env, Deadline deadline) {
    remove(target, env, {"previous", "discarded"}, deadline);
}

void remove_incoming(Target& target, Env& env, Deadline deadline) {
    remove(target, env, {"incoming"}, deadline);
}

}  // namespace hooks
