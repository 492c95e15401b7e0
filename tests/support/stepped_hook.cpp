#include "tests/support/stepped_hook.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <thread>

#include "common/core/deadline.h"

extern char** environ;

namespace hooks::harness {
namespace {

// Each write is one packet, and a packet takes a whole page: one page is room for one line.
constexpr int page = 4096;
constexpr char filler = '\n';

void check(int result, const char* what) {
    if (result < 0) {
        throw HarnessError(std::string(what) + ": " + std::strerror(errno));
    }
}

void make_pipe(UniqueFd& out, UniqueFd& in) {
    int fds[2] = {};
    check(::pipe2(fds, O_CLOEXEC | O_DIRECT), "pipe2");
    out = UniqueFd(fds[0]);
    in = UniqueFd(fds[1]);
    check(::fcntl(fds[1], F_SETPIPE_SZ, page), "F_SETPIPE_SZ");
}

pid_t spawn(const Command& command, int stderr_fd) {
    std::vector<std::string> variables{"LC_ALL=C"};
    for (char** each = environ; *each != nullptr; ++each) {
        if (std::strncmp(*each, "LC_ALL=", 7) != 0) {
            variables.emplace_back(*each);
        }
    }
    for (const auto& [name, value] : command.environment) {
        std::erase_if(variables, [&, prefix = name + "="](const std::string& each) {
            return each.starts_with(prefix);
        });
        variables.push_back(name + "=" + value);
    }
    std::vector<char*> environment;
    for (std::string& each : variables) {
        environment.push_back(each.data());
    }
    environment.push_back(nullptr);
    std::vector<std::string> words = command.argv;
    std::vector<char*> argv;
    for (std::string& each : words) {
        argv.push_back(each.data());
    }
    argv.push_back(nullptr);

    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, stderr_fd, 2);
    posix_spawnattr_t attributes;
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSID);
    pid_t pid = -1;
    const int error =
        ::posix_spawnp(&pid, argv[0], &actions, &attributes, argv.data(), environment.data());
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    if (error != 0) {
        throw HarnessError(command.argv[0] + ": " + std::strerror(error));
    }
    return pid;
}

}  // namespace

SteppedHook::SteppedHook(const Command& command) {
    UniqueFd in;
    make_pipe(out_, in);
    make_pipe(copy_out_, copy_in_);
    check(static_cast<int>(::write(in.get(), &filler, 1)), "write");
    pid_ = spawn(command, in.get());
}

SteppedHook::~SteppedHook() {
    if (!ended()) {
        kill(true);
    }
}

bool SteppedHook::ended() {
    if (!reaped_) {
        reaped_ = ::waitpid(pid_, &status_, WNOHANG) == pid_;
    }
    return reaped_;
}

bool SteppedHook::line_waits() const {
    int bytes = 0;
    return ::ioctl(out_.get(), FIONREAD, &bytes) == 0 && bytes > 0;
}

void SteppedHook::take() {
    char buffer[page];
    const ssize_t count = ::read(out_.get(), buffer, sizeof buffer);
    check(static_cast<int>(count), "read");
    if (!known_) {
        lines_.emplace_back(buffer, static_cast<std::size_t>(count));
    }
    known_ = false;
}

// Any thread of it may log.
bool SteppedHook::blocked_in_write() const {
    std::error_code error;
    const std::string tasks = "/proc/" + std::to_string(pid_) + "/task";
    for (std::filesystem::directory_iterator it(tasks, error), end; !error && it != end;
         it.increment(error)) {
        std::ifstream file(it->path() / "syscall");
        long number = -1;
        std::string descriptor;
        if (file >> number >> descriptor && number == SYS_write && descriptor == "0x2") {
            return true;
        }
    }
    return false;
}

SteppedHook::State SteppedHook::settle(Milliseconds timeout) {
    const Deadline deadline = Deadline::after(timeout);
    for (;;) {
        const bool gone = ended();
        if (line_waits() && (gone || blocked_in_write())) {
            return gone ? State::ended : State::writing;
        }
        if (gone) {
            return State::ended;
        }
        if (deadline.expired()) {
            throw HarnessError("the hook neither writes a line nor ends:\n" + text());
        }
        std::this_thread::sleep_for(Milliseconds(1));
    }
}

void SteppedHook::learn() {
    // Two descriptors for one pipe: what is copied stays.
    char buffer[page];
    check(static_cast<int>(::tee(out_.get(), copy_in_.get(), page, 0)), "tee");
    const ssize_t count = ::read(copy_out_.get(), buffer, sizeof buffer);
    check(static_cast<int>(count), "read");
    lines_.emplace_back(buffer, static_cast<std::size_t>(count));
    known_ = true;
}

bool SteppedHook::next(Milliseconds timeout) {
    take();
    const Deadline deadline = Deadline::after(timeout);
    while (!line_waits()) {
        if (ended() && !line_waits()) {
            return false;
        }
        if (deadline.expired()) {
            throw HarnessError("the hook hangs:\n" + text());
        }
        std::this_thread::sleep_for(Milliseconds(1));
    }
    learn();
    return true;
}

bool SteppedHook::run_to(std::size_t line, Milliseconds timeout) {
    while (settle(timeout) == State::writing) {
        if (lines_.size() + 1 >= line) {
            return true;
        }
        if (!next(timeout)) {
            return false;
        }
    }
    return false;
}

bool SteppedHook::wait_for(const std::vector<std::string>& words, Milliseconds timeout) {
    while (settle(timeout) == State::writing && next(timeout)) {
        const std::string& line = lines_.back();
        if (std::all_of(words.begin(), words.end(), [&](const std::string& word) {
                return line.find(word) != std::string::npos;
            })) {
            return true;
        }
    }
    return false;
}

bool SteppedHook::run_past(const std::vector<std::string>& words, Milliseconds timeout) {
    return wait_for(words, timeout) && settle(timeout) == State::writing;
}

bool SteppedHook::run_until(const std::function<bool()>& done, Milliseconds timeout) {
    if (settle(timeout) == State::ended) {
        return false;
    }
    take();
    const Deadline deadline = Deadline::after(timeout);
    while (!done()) {
        const bool gone = ended();
        if (gone || (line_waits() && blocked_in_write())) {
            if (line_waits()) {
                learn();
            }
            return false;
        }
        if (deadline.expired()) {
            throw HarnessError("the hook hangs:\n" + text());
        }
        std::this_thread::sleep_for(Milliseconds(1));
    }
    return true;
}

void SteppedHook::kill(bool whole_group) {
    if (!ended()) {
        ::kill(whole_group ? -pid_ : pid_, SIGKILL);
        ::waitpid(pid_, &status_, 0);
        reaped_ = true;
    }
}

Outcome SteppedHook::finish(Milliseconds timeout) {
    const Deadline deadline = Deadline::after(timeout);
    for (;;) {
        while (line_waits()) {
            take();
        }
        if (ended() && !line_waits()) {
            break;
        }
        if (deadline.expired()) {
            throw HarnessError("the hook does not end:\n" + text());
        }
        std::this_thread::sleep_for(Milliseconds(1));
    }
    Outcome outcome;
    outcome.err = text();
    if (WIFEXITED(status_)) {
        outcome.exit_code = WEXITSTATUS(status_);
    } else {
        outcome.signal = std::to_string(WTERMSIG(status_));
    }
    return outcome;
}

std::string SteppedHook::text() const {
    std::string out;
    for (const std::string& line : lines_) {
        out += line;
    }
    return out;
}

}  // namespace hooks::harness
