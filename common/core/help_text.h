// What a person is told about the executables: --help and the man pages print these tables.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "common/core/error.h"

namespace hooks {

constexpr const char* default_config_path = "/etc/pgpool-hooks/hooks.conf";

// One of the executables.
struct HookText {
    std::string name;
    std::string summary;                   // one line, without a full stop
    std::string arguments;                 // "%d %h ..."
    std::string called_as;                 // the line in pgpool.conf, or what stands for it
    std::vector<std::string> description;  // paragraphs, for the man page
};
const std::vector<HookText>& hook_texts();
const HookText& hook_text(std::string_view name);  // throws Error{internal}

struct CommandOptionText {
    std::string_view name;      // "--config"
    std::string_view argument;  // "FILE", or empty
    std::string_view text;
};
const std::vector<CommandOptionText>& command_option_texts();

struct ExitCodeText {
    ExitCode code;
    std::string_view text;
};
const std::vector<ExitCodeText>& exit_code_texts();

std::string help_text(const HookText& hook);

}  // namespace hooks
