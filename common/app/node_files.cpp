// Changing the files of a stopped node: trim, rewind, base backup, recovery settings.
#include <fmt/format.h>

#include "common/app/node_steps.h"

namespace hooks {
namespace {

using std::chrono::seconds;

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

// PGDATA, WORK, then names to remove. pg_rewind creates files without the permission to execute.
constexpr std::string_view finish_script = R"sh(
cd -- "$1"
shift 2
for name in "$@"; do rm -f -- "$name"; done
for wrapper in recovery_1st_stage pgpool_remote_start; do
    if [ -f "$wrapper" ]; then chmod u+x -- "$wrapper"; fi
done
)sh";

void must(const Outcome& outcome, const Target& target, const std::string& what) {
    if (!outcome.ok()) {
        throw Error(ErrorKind::command,
                    fmt::format("{}: {}: {}", target.node->label(), what, outcome.describe()));
    }
}

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

void add_passfile(Command& command, const Target& target) {
    if (!target.options.passfile.empty()) {
        command.environment.emplace_back("PGPASSFILE", target.options.passfile);
    }
}

// Logs what a long-running program prints, its progress at most every few seconds.
class Progress {
  public:
    Progress(Env& env, const Target& target, std::string what)
        : env_(env), label_(target.node->label()), what_(std::move(what)) {}

    void operator()(std::string_view line) {
        const bool is_progress = line.find('%') != std::string_view::npos;
        const auto now = std::chrono::steady_clock::now();
        if (line.empty() || (is_progress && now - last_ < seconds(5))) {
            return;
        }
        if (is_progress) {
            last_ = now;
        }
        env_.log.info(what_, {{"node", label_}, {"says", std::string(line)}});
    }

  private:
    Env& env_;
    std::string label_;
    std::string what_;
    std::chrono::steady_clock::time_point last_{};
};

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

Conninfo present_primary_conninfo(Target& target, Deadline deadline) {
    for (const char* name : {"postgresql.auto.conf", "recovery.conf", "recovery.done"}) {
        const std::string path = target.directory() + "/" + name;
        const auto content = target.node->read_file(path, deadline);
        if (!content) {
            continue;
        }
        try {
            if (const auto value = ConfFile::parse(*content, path).value("primary_conninfo")) {
                return Conninfo::parse(*value);
            }
        } catch (const Error&) {
            // What nobody can read is not carried over.
        }
    }
    return {};
}

void write_recovery_settings(Target& target, const RecoverySettings& settings, int major,
                             Deadline deadline) {
    const std::string auto_conf = target.directory() + "/postgresql.auto.conf";
    const RecoveryFiles files =
        recovery_files(major, settings, target.node->read_file(auto_conf, deadline));
    for (const RecoveryFiles::Write& write : files.writes) {
        target.node->replace_file(target.directory() + "/" + write.path, write.content, deadline);
    }
    std::vector<std::string> arguments = {target.directory(), target.report.work_directory};
    arguments.insert(arguments.end(), files.removals.begin(), files.removals.end());
    must(target.node->run_script(finish_script, arguments, deadline), target,
         "finishing the recovery settings");
    must(target.node->run_script("rm -f -- \"$1/rewind-unfinished\"; sync",
                                 {target.report.work_directory}, deadline),
         target, "removing the marker of the rewind");
}

}  // namespace hooks
