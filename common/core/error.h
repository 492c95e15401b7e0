// The one class of error of this project, and how it becomes an exit code.
//
// Throw when something could not be done or could not be known. What the world answered (a
// non-zero exit code of a command, zero rows, a stopped server) is a value, not an error.
#pragma once

#include <exception>
#include <string>
#include <utility>
#include <vector>

namespace hooks {

enum class ErrorKind {
    internal,     // a defect of this program
    usage,        // arguments that cannot be right
    config,       // hooks.conf or pgpool.conf
    refused,      // a rule says that this must not be done
    unreachable,  // no connection to a node, or it does not let us in
    command,      // a command on a node failed
    sql,          // a server refused a statement
    timeout,      // the deadline passed: the outcome is not known
};

// What the process ends with. Pgpool-II ignores it for failover_command and
// follow_primary_command; monitoring, tests and pgpool_recovery() do not.
enum class ExitCode : int {
    done = 0,           // or nothing to do
    internal = 1,       //
    usage = 2,          // arguments or configuration
    refused = 3,        // a rule refused; its id is in the verdict
    unreachable = 4,    // connection or authentication
    failed = 5,         // a step failed before the point of no return: nothing was changed
    failed_midway = 6,  // a step failed after it
    not_verified = 7,   // done, but the proof did not come
    timeout = 8,        //
    interrupted = 130,
};

class Error : public std::exception {
  public:
    // `message` starts in lower case, has no final stop and names the node and what came back.
    // `hint` is a whole sentence that says what to do next; it may be empty.
    Error(ErrorKind kind, std::string message, std::string hint = {});

    ErrorKind kind() const { return kind_; }
    const std::string& message() const { return message_; }
    const std::string& hint() const { return hint_; }
    // Outermost first: {"rewinding node 2", "running pg_rewind"}.
    const std::vector<std::string>& context() const { return context_; }

    void add_context(std::string outer_frame);
    // "rewinding node 2: running pg_rewind: MESSAGE", without the hint.
    const char* what() const noexcept override { return text_.c_str(); }

  private:
    void render();

    ErrorKind kind_;
    std::string message_;
    std::string hint_;
    std::vector<std::string> context_;
    std::string text_;
};

// Thrown when a signal asked this process to stop. Not an Error, so that `catch (Error&)`, which
// turns failures into facts, cannot swallow it.
struct Interrupted {
    int signal = 0;
};

const char* to_string(ErrorKind kind);
ExitCode exit_code(ErrorKind kind);

// Runs `body`; an Error that leaves it carries `frame` as its outermost context.
template <class Body>
decltype(auto) in_context(std::string frame, Body&& body) {
    try {
        return std::forward<Body>(body)();
    } catch (Error& error) {
        error.add_context(std::move(frame));
        throw;
    }
}

}  // namespace hooks
