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
