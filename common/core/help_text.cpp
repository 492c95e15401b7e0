#include "common/core/help_text.h"

#include <fmt/format.h>

#include <algorithm>

#include "common/core/config_text.h"
#include "common/core/pool_arguments.h"

namespace hooks {

const std::vector<HookText>& hook_texts() {
    static const std::vector<HookText> texts = {
        {"failover_command",
         "a node was detached; if it was the primary, promote the best standby",
         pool_command_arguments,
         pool_command_line("failover_command"),
         {"Pgpool-II runs it when a node was detached. A primary that still runs is shut down "
          "first; then the standby that has the most WAL is promoted, whichever pgpool proposes, "
          "with replication slots for the other nodes made before. A lost standby costs nothing "
          "but, where it could fill the disk of the primary, its slot.",
          "What else there is to do, such as to stop an old primary that comes back, is handed to "
          "a worker: this program again, in a session of its own."}},
        {"follow_primary_command",
         "make a node a streaming standby of the new primary, and attach it",
         pool_command_arguments,
         pool_command_line("follow_primary_command"),
         {"Pgpool-II runs it for every other node after a failover. A standby that runs is told by "
          "a reload to follow the new primary. All else (a start, pg_rewind, a base backup) is "
          "done by a worker in a session of its own, while pgpool goes on. A node is attached when "
          "it has replayed a marker that was just written to the new primary."}},
        {"recovery_1st_stage",
         "make a node's data directory a standby of this primary, by pg_rewind or base backup",
         "PRIMARY_DATADIR DEST_HOST DEST_DATADIR PRIMARY_PORT [DEST_NODE_ID [DEST_PORT "
         "[PRIMARY_HOST]]]",
         "recovery_1st_stage_command = 'recovery_1st_stage'   (a wrapper in PGDATA)",
         {"The first stage of pcp_recovery_node, run by the extension pgpool_recovery on the host "
          "of the primary. A base backup is made beside the old data, which stays until its "
          "replacement has proved itself. pgpool_remote_start comes next."}},
        {"pgpool_remote_start",
         "start a recovered node and see it stream",
         "DEST_HOST DEST_DATADIR",
         "(fixed: the file pgpool_remote_start in PGDATA, a wrapper)",
         {"The second stage of pcp_recovery_node, run by the extension pgpool_recovery on the host "
          "of the primary. A data directory that would come up as a second primary is not "
          "started."}},
    };
    return texts;
}

const HookText& hook_text(std::string_view name) {
    const auto found = std::find_if(hook_texts().begin(), hook_texts().end(),
                                    [&](const HookText& each) { return each.name == name; });
    if (found == hook_texts().end()) {
        throw Error(ErrorKind::internal, fmt::format("no help for {}", name));
    }
    return *found;
}

const std::vector<CommandOptionText>& command_option_texts() {
    static const std::string config =
        fmt::format("hooks.conf (default: $PGPOOL_HOOKS_CONFIG, then {})", default_config_path);
    static const std::vector<CommandOptionText> texts = {
        {"--config", "FILE", config},
        {"--dry-run", "", "look, decide, print the plan, change nothing"},
        {"--log-level", "LEVEL", "error, warn, info, debug"},
        {"--version", "", "print the version and those of the libraries"},
        {"--help", "", "print the usage, the exit codes and the keys of hooks.conf"},
    };
    return texts;
}

const std::vector<ExitCodeText>& exit_code_texts() {
    static const std::vector<ExitCodeText> texts = {
        {ExitCode::done, "done, or nothing to do"},
        {ExitCode::internal, "internal error"},
        {ExitCode::usage, "arguments or configuration"},
        {ExitCode::refused, "refused by a rule"},
        {ExitCode::unreachable, "no connection, or not let in"},
        {ExitCode::failed, "a step failed; nothing was changed for good"},
        {ExitCode::failed_midway,
         "ended midway: a step failed after one that cannot be undone, or a rule refused after a "
         "step of an earlier look"},
        {ExitCode::not_verified, "done, but the proof did not come"},
        {ExitCode::timeout, "deadline"},
        {ExitCode::interrupted, "stopped by a signal"},
    };
    return texts;
}

std::string help_text(const HookText& hook) {
    std::string out = fmt::format(
        "{0}: {1}\n\n"
        "Usage: {0} [OPTION]... {2}\n\n"
        "Called by:\n  {3}\n\n"
        "Options come before the arguments:\n",
        hook.name, hook.summary, hook.arguments, hook.called_as);
    for (const CommandOptionText& option : command_option_texts()) {
        out += fmt::format("  {:<19}{}\n", fmt::format("{} {}", option.name, option.argument),
                           option.text);
    }
    out += "\nExit codes:\n";
    for (const ExitCodeText& code : exit_code_texts()) {
        out += wrapped(code.text, fmt::format("  {:<5}", static_cast<int>(code.code)), "       ");
    }
    return out + "\nKeys of hooks.conf:\n" + options_help();
}

}  // namespace hooks
