#include "tests/support/pgpool_server.h"

#include <signal.h>

#include <algorithm>
#include <cstdio>

#include "tests/support/process_table.h"

namespace hooks::harness {
namespace {

int ask_for_version() {
    Command command;
    command.argv = {find_program("pgpool"), "--version"};
    const Outcome outcome = run_process(command, Deadline::after(std::chrono::seconds(10)));
    const std::string text = outcome.out + outcome.err;  // stderr, in fact
    const std::size_t position = text.find("version ");
    int major = 0;
    int minor = 0;
    if (position == std::string::npos ||
        std::sscanf(text.c_str() + position, "version %d.%d", &major, &minor) != 2) {
        throw HarnessError("pgpool --version: " + outcome.describe());
    }
    return major * 100 + minor;
}

}  // namespace

int installed_pgpool() {
    static const int version = ask_for_version();
    return version;
}

PgpoolServer::PgpoolServer(Place place, std::string directory)
    : place_(std::move(place)), directory_(std::move(directory)) {
}

void PgpoolServer::start(bool discard_status) {
    if (running()) {
        throw HarnessError("pgpool runs already");
    }
    // -n: its own output and that of the hooks go to the log. -D: no status of an earlier run.
    std::vector<std::string> argv{
        find_program("pgpool"),       "-n", "-f", conf_path(), "-F", directory_ + "/pcp.conf", "-a",
        directory_ + "/pool_hba.conf"};
    if (discard_status) {
        argv.emplace_back("-D");
    }
    pid_ = place_.launch(std::move(argv), directory_ + "/pgpool.log");
}

bool PgpoolServer::running() const {
    return is_alive(pid_);
}

void PgpoolServer::stop(Milliseconds timeout) {
    if (!running()) {
        return;
    }
    ::kill(pid_, SIGINT);
    if (!wait_until_gone({pid_}, Deadline::after(timeout))) {
        kill();
    }
    pid_ = 0;
}

std::vector<pid_t> PgpoolServer::family() const {
    // The workers of its PCP process too; not the hooks that it runs.
    std::vector<pid_t> pids{pid_};
    const std::vector<pid_t> below = descendants_of(pid_);
    for (const ProcessEntry& entry : all_processes()) {
        if (entry.name == "pgpool" &&
            std::find(below.begin(), below.end(), entry.pid) != below.end()) {
            pids.push_back(entry.pid);
        }
    }
    return pids;
}

void PgpoolServer::freeze() const {
    for (const pid_t pid : family()) {
        ::kill(pid, SIGSTOP);
    }
}

void PgpoolServer::thaw() const {
    for (const pid_t pid : family()) {
        ::kill(pid, SIGCONT);
    }
}

void PgpoolServer::kill() {
    const std::vector<pid_t> pids = family();
    for (const pid_t pid : pids) {
        ::kill(pid, SIGKILL);
    }
    if (!wait_until_gone(pids, Deadline::after(std::chrono::seconds(10)))) {
        throw HarnessError("pgpool does not end");
    }
    pid_ = 0;
}

std::string PgpoolServer::log() const {
    return read_file(directory_ + "/pgpool.log");
}

}  // namespace hooks::harness
