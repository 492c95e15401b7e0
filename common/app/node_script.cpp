#include "common/app/node_script.h"

#include <fmt/format.h>

namespace hooks {

void must(const Outcome& outcome, const Target& target, const std::string& what) {
    if (!outcome.ok()) {
        throw Error(ErrorKind::command,
                    fmt::format("{}: {}: {}", target.node->label(), what, outcome.describe()));
    }
}

void add_passfile(Command& command, const Target& target) {
    if (!target.options.passfile.empty()) {
        command.environment.emplace_back("PGPASSFILE", target.options.passfile);
    }
}

void Progress::operator()(std::string_view line) {
    const bool is_progress = line.find('%') != std::string_view::npos;
    const auto now = std::chrono::steady_clock::now();
    if (line.empty() || (is_progress && now - last_ < std::chrono::seconds(5))) {
        return;
    }
    if (is_progress) {
        last_ = now;
    }
    env_.log.info(what_, {{"node", label_}, {"says", std::string(line)}});
}

}  // namespace hooks
