// A restore_command that holds up a server's startup process.
#include <fmt/format.h>

#include <sstream>

#include "common/app/node_script.h"
#include "common/core/conf_file.h"
#include "common/core/held_settings.h"

namespace hooks {
namespace {

// PGDATA. The startup process has no other children than what system() runs for it. grep without
// an error for processes that end meanwhile.
constexpr std::string_view children_script = R"sh(
read -r postmaster <"$1/postmaster.pid" || exit 0
parents=$(grep -H '^PPid:' /proc/[0-9]*/status 2>/dev/null | sed 's#^/proc/\([0-9]*\)/status:PPid:[[:space:]]*#\1 #')
children_of() { printf '%s\n' "$parents" | sed -n "s/^\([0-9]*\) $1\$/\1/p"; }
for process in $(children_of "$postmaster"); do
    case $(tr '\0' ' ' <"/proc/$process/cmdline" 2>/dev/null || true) in
        *startup*) children_of "$process" ;;
    esac
done
)sh";

}  // namespace

std::vector<std::string> restore_commands_running(Target& target, Deadline deadline) {
    const Outcome outcome =
        target.node->run_script(children_script, {target.directory()}, deadline);
    must(outcome, target, "looking for a restore_command");
    std::vector<std::string> pids;
    std::istringstream lines(outcome.out);
    for (std::string line; std::getline(lines, line);) {
        pids.push_back(line);
    }
    return pids;
}

void hold_restore_command_in_file(Target& target, const std::string& effective, Deadline deadline) {
    const bool has_auto_conf = target.report.major >= 12;
    const std::string path =
        target.directory() + (has_auto_conf ? "/postgresql.auto.conf" : "/recovery.conf");
    ConfFile file = ConfFile::parse(target.node->read_file(path, deadline).value_or(""), path);
    const std::optional<std::string> present = file.value("restore_command");
    const std::string original = present.value_or(effective);
    if (original.empty() || held_restore_command(original)) {
        return;
    }
    file.set("restore_command", hold_restore_command(original, !present.has_value()));
    target.node->replace_file(path, file.text(), deadline);
}

void release_restore_command_in_file(Target& target, Deadline deadline) {
    for (const char* name : {"recovery.conf", "recovery.done"}) {
        const std::string path = target.directory() + "/" + name;
        const auto content = target.node->read_file(path, deadline);
        if (!content) {
            continue;
        }
        ConfFile file = ConfFile::parse(*content, path);
        if (const auto held = held_restore_command(file.value("restore_command").value_or(""))) {
            file.set("restore_command", held->original);
            target.node->replace_file(path, file.text(), deadline);
        }
    }
}

}  // namespace hooks
