// What the steps that change a node's files share. Internal to common/app.
#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include "common/app/node_steps.h"

namespace hooks {

// Throws Error{command}: "node 1 (host): what: exit code 1: ...".
void must(const Outcome& outcome, const Target& target, const std::string& what);
// For a program that connects by libpq on the node.
void add_passfile(Command& command, const Target& target);

// A shell function for scripts that run such a program:
//     program >>"$log" 2>&1 & pid=$!; watch "$pid" "$log" "$seconds" & wait "$pid" || status=$?
extern const std::string_view watch_function;

// A shell function, below 12: says_more FILE is true of a recovery.conf or recovery.done with the
// settings of a node, and not of one that only keeps it from being a primary.
constexpr std::string_view says_more_function = R"sh(
says_more() {
    grep -Eqi '^[[:space:]]*(primary_conninfo|restore_command|archive_cleanup_command|recovery_end_command|recovery_min_apply_delay)' \
        "$1" 2>/dev/null
}
)sh";

// Logs what a long-running program prints, its progress at most every few seconds.
class Progress {
  public:
    Progress(Env& env, const Target& target, std::string what)
        : env_(env), label_(target.node->label()), what_(std::move(what)) {}

    void operator()(std::string_view line);

  private:
    Env& env_;
    std::string label_;
    std::string what_;
    std::chrono::steady_clock::time_point last_{};
};

}  // namespace hooks
