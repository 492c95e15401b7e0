// What run_process() and spawn_detached() share: a Command as exec(3) wants it.
#pragma once

#include <string>
#include <vector>

#include "common/core/error.h"
#include "common/io/process.h"

namespace hooks {

// Throws Error{internal} on a command without words, on a NUL in one, and on something that
// cannot be the name of an environment variable.
void check_words(const Command& command);
bool is_variable_name(const std::string& name);

// Where the program is: a path with a slash as it is, a name as PATH says; empty when it is in
// none of its directories. `more_directories` are looked at last.
std::string find_program(const std::string& name,
                         const std::vector<std::string>& more_directories = {});

// Error{command}: "pg_ctl: command not found" or "cannot run /x/pg_ctl: permission denied".
Error cannot_start(const std::string& name, int error_number);

std::string signal_name(int signal);  // "KILL"

// argv and the environment (ours, LC_ALL=C, the command's additions) as exec(3) wants them. Points
// into `command`, which has to outlive it.
class ProgramWords {
  public:
    explicit ProgramWords(const Command& command);
    char** argv() { return argv_.data(); }
    char** environment() { return environment_.data(); }

  private:
    std::vector<std::string> variables_;
    std::vector<char*> argv_;
    std::vector<char*> environment_;
};

}  // namespace hooks
