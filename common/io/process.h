// Running a program on this machine: arguments as a list, no shell, a deadline that holds.
#pragma once

#include <sys/types.h>

#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/core/deadline.h"

namespace hooks {

struct Command {
    std::vector<std::string> argv;
    std::string input;  // on stdin, then end of file
    // Added to the environment, LC_ALL=C comes by itself. Never a secret.
    std::vector<std::pair<std::string, std::string>> environment;
};

struct Outcome {
    int exit_code = -1;  // -1: ended by a signal
    std::string signal;  // "KILL", without SIG; empty when there is an exit code
    std::string out;
    std::string err;
    // The program ended, but something that it started keeps its output open.
    bool output_held_open = false;

    bool ok() const { return exit_code == 0; }
    // "exit code 1: last lines of stderr (or stdout)"; for messages.
    std::string describe() const;
};

// Called with each complete line as it arrives, without its newline ('\r' ends one too: progress
// reports). The text is collected in the Outcome all the same.
using LineSink = std::function<void(bool is_stderr, std::string_view line)>;

// posix_spawn in a session of its own (a process group without a terminal, so that nothing can ask
// for a password) with an empty signal mask and default dispositions; both outputs are drained. At
// the deadline the group gets SIGTERM, 200 ms later SIGKILL, and Error{timeout} is thrown: what the
// program did until then is not known. Throws Error{command} when it cannot be started ("command
// not found" included), Interrupted on cancellation (the group is ended first). Blocks until the
// program has ended, never past the deadline by more than those 200 ms.
Outcome run_process(const Command& command, Deadline deadline, const LineSink& on_line = {});

// Starts a program that outlives this one and everything that may be done to its process group:
// double fork, setsid, stdin from /dev/null, both outputs appended to `log_path`, nothing else
// inherited. Returns its pid. Throws Error{command} when it cannot be started, exec included.
pid_t spawn_detached(const Command& command, const std::string& log_path);

}  // namespace hooks
