#include "tests/support/postgres_server.h"

#include <signal.h>

#include <algorithm>
#include <cstdlib>
#include <sstream>
#include <thread>

#include "tests/support/process_table.h"

namespace hooks::harness {
namespace {

// The eighth line of postmaster.pid: "starting", "ready   ", "standby ", "stopping".
std::string postmaster_status(const std::string& pid_file) {
    std::istringstream lines(pid_file);
    std::string line;
    for (int i = 0; i < 8; ++i) {
        if (!std::getline(lines, line)) {
            return "";
        }
    }
    return line.substr(0, line.find(' '));
}

}  // namespace

PostgresServer::PostgresServer(Place place, std::string bin_dir, std::string directory,
                               std::string data_name)
    : place_(std::move(place)),
      bin_dir_(std::move(bin_dir)),
      directory_(std::move(directory)),
      data_name_(std::move(data_name)) {
}

pid_t PostgresServer::pid() const {
    const pid_t pid = std::atoi(read_file(data_directory() + "/postmaster.pid").c_str());
    // The file outlives a server that was killed, and its number may be in use again.
    if (pid <= 0 || !is_alive(pid) || working_directory_of(pid) != data_directory()) {
        return 0;
    }
    return pid;
}

void PostgresServer::launch() const {
    if (running()) {
        throw HarnessError("a server runs in " + data_directory() + " already");
    }
    place_.launch({bin_dir_ + "/postgres", "-D", data_directory()}, directory_ + "/start.log");
}

void PostgresServer::wait_until_ready(Milliseconds timeout) const {
    const Deadline deadline = Deadline::after(timeout);
    // A server that gives up at once may do so before it is first seen here.
    const Deadline appearance = Deadline::after(std::chrono::seconds(5));
    bool seen = false;
    for (;;) {
        const bool runs = running();
        seen = seen || runs;
        if (runs && postmaster_status(read_file(data_directory() + "/postmaster.pid")) == "ready") {
            return;
        }
        if (deadline.expired() || (!runs && (seen || appearance.expired()))) {
            throw HarnessError("the server in " + data_directory() + " does not come up:\n" +
                               last_lines(log(), 30));
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
}

void PostgresServer::start(Milliseconds timeout) const {
    launch();
    wait_until_ready(timeout);
}

void PostgresServer::stop(StopMode mode, Milliseconds timeout) const {
    const pid_t postmaster = pid();
    if (postmaster == 0) {
        return;
    }
    const int signal = mode == StopMode::smart  ? SIGTERM
                       : mode == StopMode::fast ? SIGINT
                                                : SIGQUIT;
    ::kill(postmaster, signal);
    if (!wait_until_gone({postmaster}, Deadline::after(timeout))) {
        throw HarnessError("the server in " + data_directory() + " does not stop:\n" +
                           last_lines(log(), 30));
    }
}

void PostgresServer::kill() const {
    const pid_t postmaster = pid();
    if (postmaster == 0) {
        throw HarnessError("no server to kill in " + data_directory());
    }
    // Stopped first: no child can be born between the look and the kill.
    ::kill(postmaster, SIGSTOP);
    std::vector<pid_t> family = children_of(postmaster);
    // A backend that waits for a command of its own ends only when that does.
    std::erase_if(family, [](pid_t child) { return !children_of(child).empty(); });
    ::kill(postmaster, SIGKILL);
    family.push_back(postmaster);
    if (!wait_until_gone(family, Deadline::after(std::chrono::seconds(10)))) {
        throw HarnessError("children of the killed server in " + data_directory() + " live on");
    }
}

void PostgresServer::freeze() const {
    const pid_t postmaster = pid();
    if (postmaster == 0) {
        throw HarnessError("no server to freeze in " + data_directory());
    }
    ::kill(postmaster, SIGSTOP);
    for (const pid_t child : children_of(postmaster)) {
        ::kill(child, SIGSTOP);
    }
}

void PostgresServer::thaw() const {
    const pid_t postmaster = pid();
    for (const pid_t child : children_of(postmaster)) {
        ::kill(child, SIGCONT);
    }
    if (postmaster != 0) {
        ::kill(postmaster, SIGCONT);
    }
}

std::string PostgresServer::log() const {
    return read_file(directory_ + "/start.log") + read_file(directory_ + "/log/postgresql.log");
}

}  // namespace hooks::harness
