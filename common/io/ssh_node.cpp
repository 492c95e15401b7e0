#include "common/io/ssh_node.h"

#include "common/core/error.h"
#include "common/core/shell_quote.h"
#include "common/io/program.h"

namespace hooks {
namespace {

std::string command_line(const Command& command) {
    check_words(command);
    std::vector<std::string> words = {"env", "LC_ALL=C"};
    for (const auto& [name, value] : command.environment) {
        words.push_back(name + "=" + value);
    }
    words.insert(words.end(), command.argv.begin(), command.argv.end());
    // exec: the login shell steps aside, so that the command itself gets our SIGTERM, and its own
    // end by a signal is reported as such and not as 128 + n.
    return "exec " + shell_quote(words);
}

// env(1) could not start the program. As with run_process(), this is an error and not an outcome.
// The login shell may have written something of its own before it.
bool was_not_started(const Outcome& outcome) {
    return (outcome.exit_code == 127 || outcome.exit_code == 126) &&
           (outcome.err.rfind("env: ", 0) == 0 || outcome.err.find("\nenv: ") != std::string::npos);
}

}  // namespace

SshNode::SshNode(std::string label, SshOptions options, std::chrono::milliseconds connect_timeout)
    : Node(std::move(label)), options_(std::move(options)), connect_timeout_(connect_timeout) {
}

void SshNode::connect(Deadline deadline) {
    session_.reset();
    try {
        session_.emplace(options_, deadline.within(connect_timeout_));
    } catch (const Error& error) {
        // Nothing was run, and that much is known.
        if (error.kind() == ErrorKind::timeout) {
            throw Error(ErrorKind::unreachable, error.message(), error.hint());
        }
        throw;
    }
}

Outcome SshNode::run(const Command& command, Deadline deadline, const LineSink& on_line) {
    return in_context(label(), [&] { return run_there(command, deadline, on_line); });
}

Outcome SshNode::run_there(const Command& command, Deadline deadline, const LineSink& on_line) {
    const std::string line = command_line(command);
    const bool reused = session_ && session_->connected();
    if (!reused) {
        connect(deadline);
    }
    Outcome outcome;
    try {
        outcome = session_->run(line, command.input, deadline, on_line);
    } catch (const Error& error) {
        // Unreachable means that the command was not started. A session that broke while it was
        // idle, or that has too many abandoned commands, is worth a new one; a new one is not.
        if (error.kind() != ErrorKind::unreachable || !reused) {
            throw;
        }
        connect(deadline);
        outcome = session_->run(line, command.input, deadline, on_line);
    }
    if (was_not_started(outcome)) {
        throw Error(ErrorKind::command,
                    "cannot run " + command.argv[0] + ": " + outcome.describe());
    }
    return outcome;
}

}  // namespace hooks
