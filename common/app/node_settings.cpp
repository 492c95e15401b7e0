// What makes a stopped node a standby of its source.
#include <fmt/format.h>

#include "common/app/node_script.h"
#include "common/core/held_settings.h"

namespace hooks {
namespace {

// PGDATA, WORK, then names to remove. pg_rewind creates files without the permission to execute.
constexpr std::string_view finish_script = R"sh(
cd -- "$1"
shift 2
for name in "$@"; do rm -f -- "$name"; done
for wrapper in recovery_1st_stage pgpool_remote_start; do
    if [ -f "$wrapper" ]; then chmod u+x -- "$wrapper"; fi
done
)sh";

// PGDATA, WORK, BIN_DIR, CONFIG_FILE
constexpr std::string_view trigger_file_script = R"sh(
"$3/postgres" -D "$1" ${4:+-c "config_file=$4"} -C promote_trigger_file
)sh";

}  // namespace

Conninfo present_primary_conninfo(Target& target, Deadline deadline) {
    for (const char* name : {"postgresql.auto.conf", "recovery.conf", "recovery.done"}) {
        const std::string path = target.directory() + "/" + name;
        const auto content = target.node->read_file(path, deadline);
        if (!content) {
            continue;
        }
        try {
            if (const auto value = ConfFile::parse(*content, path).value("primary_conninfo")) {
                return Conninfo::parse(conninfo_without_hold(*value));
            }
        } catch (const Error&) {
            // What nobody can read is not carried over.
        }
    }
    return {};
}

std::optional<KeptRecovery> present_recovery(Target& target, Deadline deadline) {
    std::vector<std::string> paths = {target.directory() + "/recovery.conf",
                                      target.directory() + "/recovery.done"};
    if (target.report.unfinished_marker) {  // those in the data directory may be the source's
        paths = {target.report.work_directory + "/settings/recovery.conf",
                 target.directory() + "/recovery.conf"};
    }
    for (const std::string& path : paths) {
        if (const auto content = target.node->read_file(path, deadline)) {
            if (auto kept = kept_recovery(*content, path)) {
                return kept;
            }
        }
    }
    return std::nullopt;
}

bool trigger_file_is_set(Target& target, int major, Deadline deadline) {
    if (!knows_promote_trigger_file(major)) {
        return false;
    }
    const Outcome outcome =
        target.node->run_script(trigger_file_script,
                                {target.directory(), target.report.work_directory,
                                 target.report.bin_dir, target.report.config_file},
                                deadline);
    return outcome.ok() && outcome.out.find_first_not_of('\n') != std::string::npos;
}

void write_recovery_settings(Target& target, const RecoverySettings& wanted, int major,
                             Deadline deadline) {
    RecoverySettings settings = wanted;
    settings.trigger_file_is_set = trigger_file_is_set(target, major, deadline);
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
