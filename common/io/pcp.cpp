#include "common/io/pcp.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <optional>

#include "common/core/error.h"
#include "common/io/poll.h"
#include "common/io/process.h"
#include "common/io/program.h"

namespace hooks {
namespace {

using std::chrono::milliseconds;

// libpcp waits for ever: each call gets a part of the deadline, and a call that hangs is repeated.
constexpr milliseconds kLongestCall{5000};
constexpr milliseconds kRestartOfPcp{5000};
constexpr milliseconds kFirstPause{20};
constexpr milliseconds kLongestPause{200};
constexpr milliseconds kAskAgain{1500};

bool contains(std::string_view text, std::string_view part) {
    return text.find(part) != std::string_view::npos;
}

std::string_view trim(std::string_view text) {
    const std::size_t begin = text.find_first_not_of(" \t\r");
    if (begin == std::string_view::npos) {
        return {};
    }
    return text.substr(begin, text.find_last_not_of(" \t\r") - begin + 1);
}

// "Status               : 2". Other keys end in the same word ("Status Name", "Backend Status
// Name"), and which of them there are depends on the version.
std::optional<std::string_view> find_value(std::string_view output, std::string_view key) {
    while (!output.empty()) {
        const std::size_t end = std::min(output.find('\n'), output.size());
        const std::string_view line = output.substr(0, end);
        output.remove_prefix(std::min(end + 1, output.size()));
        const std::size_t colon = line.find(':');
        if (colon != std::string_view::npos && trim(line.substr(0, colon)) == key) {
            return trim(line.substr(colon + 1));
        }
    }
    return std::nullopt;
}

std::optional<PoolStatus> find_status(std::string_view output) {
    const auto value = find_value(output, "Status");
    if (value && value->size() == 1 && value->front() >= '0' && value->front() <= '3') {
        return static_cast<PoolStatus>(value->front() - '0');
    }
    return std::nullopt;
}

bool is_about_login(std::string_view text) {
    return contains(text, "authentication failed") || contains(text, "password");
}

bool is_about_connection(std::string_view text) {
    return contains(text, "connection to") || contains(text, "could not") ||
           contains(text, "unable to connect") || contains(text, "Connection refused") ||
           contains(text, "socket");
}

}  // namespace

const char* to_string(PoolStatus status) {
    switch (status) {
        case PoolStatus::unused:
            return "unused";
        case PoolStatus::waiting:
            return "waiting";
        case PoolStatus::up:
            return "up";
        case PoolStatus::down:
            return "down";
    }
    return "?";
}

std::string Pcp::run(const char* tool, int node_id, bool verbose, Deadline deadline) const {
    Command command;
    const std::string program = options_.bin_dir.empty()
                                    ? find_program(tool, {"/usr/sbin", "/usr/bin"})
                                    : options_.bin_dir + "/" + tool;
    command.argv = {program.empty() ? std::string(tool) : program};
    if (!options_.host.empty()) {
        command.argv.insert(command.argv.end(), {"-h", options_.host});
    }
    // -w: before 4.5 the passfile is read only with it. It does not keep 4.7 from asking, but
    // run_process() gives no terminal to ask on.
    command.argv.insert(command.argv.end(), {"-p", std::to_string(options_.port), "-U",
                                             options_.user, "-w", "-n", std::to_string(node_id)});
    if (verbose) {
        command.argv.push_back("-v");
    }
    if (!options_.passfile.empty()) {
        command.environment = {{"PCPPASSFILE", options_.passfile}};
    }
    const Outcome outcome = run_process(command, deadline);
    // The exit status says little: it is 0 when pgpool refused.
    const bool complained = outcome.err.find("ERROR:") != std::string::npos ||
                            outcome.err.find("FATAL:") != std::string::npos;
    if (outcome.ok() && !complained) {
        return outcome.out;
    }
    const std::string message =
        fmt::format("{} at {}:{}: {}", tool, options_.host, options_.port, outcome.describe());
    if (is_about_login(outcome.err)) {
        const std::string host = options_.host.empty() || options_.host == "/tmp"
                                     ? std::string("localhost")
                                     : options_.host;
        throw Error(
            ErrorKind::unreachable, message,
            fmt::format("Is \"{}:{}:{}:PASSWORD\" a line of {} (mode 0600), and is there a line "
                        "\"{}:\" with what pg_md5 prints for that password in pgpool's pcp.conf?",
                        host, options_.port, options_.user,
                        options_.passfile.empty() ? "~/.pcppass" : options_.passfile,
                        options_.user));
    }
    if (is_about_connection(outcome.err)) {
        throw Error(ErrorKind::unreachable, message,
                    "Does pgpool run there, and do pcp_port and pcp_listen_addresses say so?");
    }
    throw Error(ErrorKind::command, message);
}

// Pgpool ends its PCP process after each change of a node's state and starts another: who asks at
// that moment is let in and hears nothing.
std::string Pcp::node_info(int node_id, Deadline deadline) const {
    const Deadline patience = deadline.within(kRestartOfPcp);
    for (;;) {
        try {
            return run("pcp_node_info", node_id, true, deadline);
        } catch (const Error& error) {
            // The end of the time would only hide it.
            if (!contains(error.message(), "read data from socket") ||
                patience.remaining() <= 2 * kLongestPause) {
                throw;
            }
        }
        pause_for(kLongestPause, patience);
    }
}

PoolStatus Pcp::node_status(int node_id, Deadline deadline) const {
    const std::string output = node_info(node_id, deadline);
    if (const std::optional<PoolStatus> status = find_status(output)) {
        return *status;
    }
    throw Error(ErrorKind::command,
                fmt::format("pcp_node_info says nothing about the status of node {}", node_id));
}

bool Pcp::shows_primary(int node_id, Deadline deadline) const {
    const std::string output = node_info(node_id, deadline);
    return find_value(output, "Role") == "primary";
}

void Pcp::take_for_primary(int node_id, Deadline deadline) const {
    run("pcp_promote_node", node_id, false, deadline.within(kLongestCall));
}

void Pcp::attach_and_wait(int node_id, Deadline deadline) const {
    PoolStatus status = node_status(node_id, deadline);
    if (status == PoolStatus::unused) {
        throw Error(ErrorKind::command, fmt::format("pgpool does not use a node {}", node_id));
    }
    // From here on pgpool is known to answer. What fails now fails because it restarts its PCP
    // process after each change of a node's state, and is tried again.
    std::string last_failure;
    const auto attempt = [&](const auto& call) {
        try {
            call(deadline.within(kLongestCall));
            last_failure.clear();
        } catch (const Error& error) {
            last_failure = error.message();
        }
    };
    const auto is_attached = [&] {
        return status == PoolStatus::up || status == PoolStatus::waiting;
    };
    std::optional<Deadline> ask_again;
    milliseconds pause = kFirstPause;
    while (!is_attached()) {
        if (deadline.expired()) {
            throw Error(
                ErrorKind::timeout,
                fmt::format("pgpool still shows node {} as {}{}{}", node_id, to_string(status),
                            last_failure.empty() ? "" : "; ", last_failure),
                "See pgpool's log, and try pcp_attach_node by hand.");
        }
        // In the middle of a failover pgpool says "success" and forgets the request.
        if (!ask_again || ask_again->expired()) {
            ask_again = Deadline::after(kAskAgain);
            attempt([&](Deadline d) { run("pcp_attach_node", node_id, false, d); });
        }
        pause_for(pause, deadline);
        pause = std::min(pause * 2, kLongestPause);
        attempt([&](Deadline d) { status = node_status(node_id, d); });
    }
}

}  // namespace hooks
