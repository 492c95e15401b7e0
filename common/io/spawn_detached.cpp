#include <fcntl.h>
#include <fmt/format.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>

#include "common/core/error.h"
#include "common/io/process.h"
#include "common/io/program.h"
#include "common/io/unique_fd.h"

namespace hooks {
namespace {

// What the new process tells before it becomes the program: its number, and the errno of an exec
// that failed. The pipe closes by itself when the exec succeeds.
struct Report {
    pid_t pid;
    int error;
};

UniqueFd open_or_throw(const std::string& path, int flags) {
    UniqueFd fd(::open(path.c_str(), flags | O_CLOEXEC, 0600));
    if (!fd) {
        throw Error(ErrorKind::command,
                    fmt::format("cannot open {}: {}", path, std::strerror(errno)));
    }
    if (fd.get() < 3) {
        fd.reset(::fcntl(fd.get(), F_DUPFD_CLOEXEC, 3));
    }
    return fd;
}

// The functions below run between fork and exec of a process that may have threads: only what is
// async-signal-safe is allowed, which excludes allocation.

[[noreturn]] void report_and_exit(int report_fd, Report report) {
    [[maybe_unused]] const ssize_t written = ::write(report_fd, &report, sizeof report);
    ::_exit(127);
}

void default_signals() {
    struct sigaction action {};
    action.sa_handler = SIG_DFL;
    for (int signal = 1; signal < NSIG; ++signal) {
        ::sigaction(signal, &action, nullptr);
    }
    sigset_t none;
    ::sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
}

void close_above(int last_kept) {
#ifdef SYS_close_range
    if (::syscall(SYS_close_range, static_cast<unsigned>(last_kept) + 1, ~0U, 0U) == 0) {
        return;
    }
#endif
    const long most = ::sysconf(_SC_OPEN_MAX);
    for (int fd = last_kept + 1; fd < (most > 0 && most < 65536 ? most : 65536); ++fd) {
        ::close(fd);
    }
}

[[noreturn]] void become_program(const char* path, char** argv, char** environment, int null_fd,
                                 int log_fd, int report_fd) {
    Report report{::getpid(), 0};
    [[maybe_unused]] const ssize_t written = ::write(report_fd, &report, sizeof report);
    bool prepared = ::chdir("/") == 0 && ::dup2(null_fd, STDIN_FILENO) >= 0 &&
                    ::dup2(log_fd, STDOUT_FILENO) >= 0 && ::dup2(log_fd, STDERR_FILENO) >= 0;
    if (report_fd != 3) {
        prepared = prepared && ::dup3(report_fd, 3, O_CLOEXEC) >= 0;
    }
    if (prepared) {
        close_above(3);
        report_fd = 3;
        default_signals();
        ::execve(path, argv, environment);
    }
    report.error = errno;
    report_and_exit(report_fd, report);
}

}  // namespace

pid_t spawn_detached(const Command& command, const std::string& log_path) {
    check_words(command);
    if (!command.input.empty()) {
        throw Error(ErrorKind::internal, "a detached program has no input");
    }
    const std::string program = find_program(command.argv[0]);
    if (program.empty()) {
        throw cannot_start(command.argv[0], ENOENT);
    }
    const UniqueFd null = open_or_throw("/dev/null", O_RDONLY);
    const UniqueFd log = open_or_throw(log_path, O_WRONLY | O_CREAT | O_APPEND);
    std::array<int, 2> fds{};
    if (::pipe2(fds.data(), O_CLOEXEC) != 0) {
        throw Error(ErrorKind::internal, std::string("pipe: ") + std::strerror(errno));
    }
    const UniqueFd read_end(fds[0]);
    UniqueFd write_end(fds[1]);
    if (write_end.get() < 3) {
        write_end.reset(::fcntl(write_end.get(), F_DUPFD_CLOEXEC, 3));
    }
    ProgramWords words(command);

    // A signal that arrives between fork and exec would run our handler in the child, which shares
    // the descriptor of cancel_fd() with us: we would be cancelled by it.
    sigset_t all;
    sigset_t saved;
    ::sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, &saved);
    const pid_t middle = ::fork();
    if (middle == 0) {
        ::setsid();
        // Not a session leader any more, so that it can never acquire a terminal, and a child of
        // init, so that nobody has to reap it.
        const pid_t last = ::fork();
        if (last == 0) {
            become_program(program.c_str(), words.argv(), words.environment(), null.get(),
                           log.get(), write_end.get());
        }
        if (last < 0) {
            report_and_exit(write_end.get(), {-1, errno});
        }
        ::_exit(0);
    }
    const int fork_error = errno;
    ::pthread_sigmask(SIG_SETMASK, &saved, nullptr);
    if (middle < 0) {
        throw Error(ErrorKind::internal, std::string("fork: ") + std::strerror(fork_error));
    }
    write_end.reset();
    while (::waitpid(middle, nullptr, 0) < 0 && errno == EINTR) {
    }

    Report last_report{-1, ECHILD};
    Report report{};
    for (;;) {
        const ssize_t count = ::read(read_end.get(), &report, sizeof report);
        if (count == static_cast<ssize_t>(sizeof report)) {
            last_report = report;
        } else if (count >= 0 || errno != EINTR) {
            break;
        }
    }
    if (last_report.error != 0) {
        throw cannot_start(command.argv[0], last_report.error);
    }
    return last_report.pid;
}

}  // namespace hooks
