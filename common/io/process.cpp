#include "common/io/process.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <optional>

#include "common/core/error.h"
#include "common/io/line_splitter.h"
#include "common/io/program.h"
#include "common/io/signals.h"
#include "common/io/unique_fd.h"

namespace hooks {
namespace {

using Clock = Deadline::Clock;
using std::chrono::milliseconds;

// How long something that the program left behind may keep the outputs open after its end.
constexpr milliseconds kOutputGrace{250};
// Between SIGTERM and SIGKILL.
constexpr milliseconds kTermGrace{200};
// How long a killed program is waited for. Only one that hangs in the kernel needs longer.
constexpr milliseconds kKillGrace{1000};
// Without pidfd_open(2) (kernels before 5.3) the end of the program is polled for.
constexpr milliseconds kNoPidfdTick{10};

struct Pipe {
    UniqueFd read_end;
    UniqueFd write_end;
};

Pipe make_pipe() {
    int fds[2];
    if (::pipe2(fds, O_CLOEXEC) != 0) {
        throw Error(ErrorKind::internal, std::string("pipe: ") + std::strerror(errno));
    }
    Pipe pipe{UniqueFd(fds[0]), UniqueFd(fds[1])};
    // A process that was started with 0, 1 or 2 closed gets those numbers here, and the file
    // actions of posix_spawn would then overwrite one end with another.
    for (UniqueFd* end : {&pipe.read_end, &pipe.write_end}) {
        if (end->get() < 3) {
            end->reset(::fcntl(end->get(), F_DUPFD_CLOEXEC, 3));
        }
    }
    return pipe;
}

void make_nonblocking(int fd) {
    ::fcntl(fd, F_SETFL, ::fcntl(fd, F_GETFL) | O_NONBLOCK);
}

// Writing to a pipe that nobody reads raises SIGPIPE in the thread that writes. Executables ignore
// it (signals.h), but a library does not ask that of whoever links it.
class NoSigpipe {
  public:
    NoSigpipe() {
        ::sigemptyset(&pipe_only_);
        ::sigaddset(&pipe_only_, SIGPIPE);
        sigset_t pending;
        ::sigpending(&pending);
        was_pending_ = ::sigismember(&pending, SIGPIPE) == 1;
        ::pthread_sigmask(SIG_BLOCK, &pipe_only_, &saved_);
    }
    ~NoSigpipe() {
        if (!was_pending_) {
            const timespec at_once{};
            while (::sigtimedwait(&pipe_only_, nullptr, &at_once) < 0 && errno == EINTR) {
            }
        }
        ::pthread_sigmask(SIG_SETMASK, &saved_, nullptr);
    }
    NoSigpipe(const NoSigpipe&) = delete;
    NoSigpipe& operator=(const NoSigpipe&) = delete;

  private:
    sigset_t pipe_only_{};
    sigset_t saved_{};
    bool was_pending_ = false;
};

// A started program, ended and reaped at the latest by the destructor.
class Child {
  public:
    explicit Child(pid_t pid) : pid_(pid) {
#ifdef SYS_pidfd_open
        pidfd_.reset(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));  // CLOEXEC by itself
#endif
    }
    ~Child() {
        if (!reaped_) {
            signal_group(SIGKILL);
            reap_within(kKillGrace);
        }
    }
    Child(const Child&) = delete;
    Child& operator=(const Child&) = delete;

    int pidfd() const {
        return pidfd_.get();
    }

    // Looks without reaping: until it is reaped, its number cannot name another process group.
    bool ended() const {
        siginfo_t info{};
        const int result =
            ::waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOHANG | WNOWAIT);
        return result != 0 || info.si_pid == pid_;
    }

    void signal_group(int signal) const {
        ::kill(-pid_, signal);
    }

    void reap(Outcome& outcome) {
        int status = 0;
        pid_t result;
        do {
            result = ::waitpid(pid_, &status, 0);
        } while (result < 0 && errno == EINTR);
        reaped_ = true;
        if (result < 0) {
            throw Error(ErrorKind::internal, std::string("waitpid: ") + std::strerror(errno));
        }
        if (WIFEXITED(status)) {
            outcome.exit_code = WEXITSTATUS(status);
        } else {
            outcome.signal = signal_name(WTERMSIG(status));
        }
    }

    void reap_within(milliseconds span) {
        const Deadline deadline = Deadline::after(span);
        while (!ended()) {
            if (deadline.expired()) {
                return;  // it hangs in the kernel; init reaps it after us
            }
            pollfd set = {pidfd_.get(), POLLIN, 0};
            ::poll(&set, 1, deadline.poll_timeout(kNoPidfdTick));
        }
        ::waitpid(pid_, nullptr, 0);
        reaped_ = true;
    }

  private:
    pid_t pid_;
    UniqueFd pidfd_;
    bool reaped_ = false;
};

class SpawnSettings {
  public:
    SpawnSettings() {
        ::posix_spawnattr_init(&attributes_);
        ::posix_spawn_file_actions_init(&actions_);

        sigset_t set;
        ::sigemptyset(&set);
        ::posix_spawnattr_setsigmask(&attributes_, &set);
        ::sigfillset(&set);
        ::sigdelset(&set, SIGKILL);
        ::sigdelset(&set, SIGSTOP);
        ::posix_spawnattr_setsigdefault(&attributes_, &set);

        short flags = POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF;
#ifdef POSIX_SPAWN_SETSID
        // A session is a process group too, and one without a terminal: nothing that runs in it
        // can ask a person for a password (pcp_node_info 4.7, ssh) and hang.
        flags |= POSIX_SPAWN_SETSID;
#else
        flags |= POSIX_SPAWN_SETPGROUP;
#endif
        ::posix_spawnattr_setflags(&attributes_, flags);
    }
    ~SpawnSettings() {
        ::posix_spawn_file_actions_destroy(&actions_);
        ::posix_spawnattr_destroy(&attributes_);
    }
    SpawnSettings(const SpawnSettings&) = delete;
    SpawnSettings& operator=(const SpawnSettings&) = delete;

    void put(int fd, int as) {
        ::posix_spawn_file_actions_adddup2(&actions_, fd, as);
    }
    void open_null(int as) {
        ::posix_spawn_file_actions_addopen(&actions_, as, "/dev/null", O_RDONLY, 0);
    }
    void close_the_rest() {
#if defined(__GLIBC__) && __GLIBC_PREREQ(2, 34)
        // Everything of ours is CLOEXEC; a library may have opened something that is not.
        ::posix_spawn_file_actions_addclosefrom_np(&actions_, 3);
#endif
    }
    const posix_spawnattr_t* attributes() const {
        return &attributes_;
    }
    const posix_spawn_file_actions_t* actions() const {
        return &actions_;
    }

  private:
    posix_spawnattr_t attributes_;
    posix_spawn_file_actions_t actions_;
};

// One run of a program: its pipes and what came out of them.
class Run {
  public:
    Run(const Command& command, const LineSink& on_line)
        : name_(command.argv.at(0)), rest_of_input_(command.input), on_line_(on_line) {
        start(command);
    }

    Outcome finish(Deadline deadline) {
        std::optional<Clock::time_point> ended_at;
        for (;;) {
            if (!ended_at && child_->ended()) {
                ended_at = Clock::now();
            }
            if (ended_at && (outputs_closed() || Clock::now() - *ended_at >= kOutputGrace)) {
                break;
            }
            if (!ended_at) {
                throw_if_stopped();
                if (deadline.expired()) {
                    end_by_force();
                    throw Error(ErrorKind::timeout, timeout_message());
                }
            }
            wait(ended_at ? kOutputGrace : deadline.remaining(), !ended_at, on_line_);
        }
        outcome_.output_held_open = !outputs_closed();
        out_lines_.finish([&](std::string_view line) { report(on_line_, false, line); });
        err_lines_.finish([&](std::string_view line) { report(on_line_, true, line); });
        child_->reap(outcome_);
        return std::move(outcome_);
    }

  private:
    void start(const Command& command) {
        Pipe out = make_pipe();
        Pipe err = make_pipe();
        SpawnSettings settings;
        Pipe in;
        if (command.input.empty()) {
            settings.open_null(STDIN_FILENO);
        } else {
            in = make_pipe();
            settings.put(in.read_end.get(), STDIN_FILENO);
        }
        settings.put(out.write_end.get(), STDOUT_FILENO);
        settings.put(err.write_end.get(), STDERR_FILENO);
        settings.close_the_rest();

        // Not posix_spawnp(): it says "permission denied" when the program is nowhere and one
        // directory of PATH is closed to us, as root's are for a hook that was started with them.
        const std::string program = find_program(name_);
        if (program.empty()) {
            throw cannot_start(name_, ENOENT);
        }
        ProgramWords words(command);
        pid_t pid = -1;
        const int error = ::posix_spawn(&pid, program.c_str(), settings.actions(),
                                        settings.attributes(), words.argv(), words.environment());
        if (error != 0) {
            throw cannot_start(name_, error);
        }
        child_.emplace(pid);
        in_ = std::move(in.write_end);
        out_ = std::move(out.read_end);
        err_ = std::move(err.read_end);
        for (const int fd : {in_.get(), out_.get(), err_.get()}) {
            if (fd >= 0) {
                make_nonblocking(fd);
            }
        }
        started_ = Clock::now();
    }

    bool outputs_closed() const { return !out_ && !err_; }

    void throw_if_stopped() {
        try {
            throw_if_cancelled();
        } catch (const Interrupted&) {
            end_by_force();
            throw;
        }
    }

    std::string timeout_message() const {
        const auto took = std::chrono::duration_cast<milliseconds>(Clock::now() - started_);
        return fmt::format(
            "{} was ended after {} ms, the deadline: what it did until then is not known", name_,
            took.count());
    }

    // SIGTERM for the whole group, time to clean up for all of it and not only for its leader (a
    // shell dies at once, its pg_basebackup removes its files first), then SIGKILL.
    void end_by_force() {
        child_->signal_group(SIGTERM);
        const Deadline grace = Deadline::after(kTermGrace);
        while (!grace.expired() && !(child_->ended() && outputs_closed())) {
            wait(grace.remaining(), false, LineSink());
        }
        child_->signal_group(SIGKILL);
        child_->reap_within(kKillGrace);
    }

    // Waits for an event, or `longest`, and deals with it.
    void wait(milliseconds longest, bool watch_child_and_cancellation, const LineSink& on_line) {
        std::array<pollfd, 5> set = {{{out_.get(), POLLIN, 0},
                                      {err_.get(), POLLIN, 0},
                                      {in_.get(), POLLOUT, 0},
                                      {-1, POLLIN, 0},
                                      {-1, POLLIN, 0}}};
        if (watch_child_and_cancellation) {
            set[3].fd = child_->pidfd();
            set[4].fd = cancel_fd();
        }
        if (child_->pidfd() < 0 || !watch_child_and_cancellation) {
            longest = std::min(longest, kNoPidfdTick);
        }
        longest = std::min<milliseconds>(longest, std::chrono::hours(1));
        if (::poll(set.data(), set.size(), static_cast<int>(longest.count())) <= 0) {
            return;  // nothing came, or EINTR: the caller looks at the clock
        }
        if (set[0].revents != 0) {
            read_from(out_, outcome_.out, out_lines_, false, on_line);
        }
        if (set[1].revents != 0) {
            read_from(err_, outcome_.err, err_lines_, true, on_line);
        }
        if (set[2].revents != 0) {
            write_input();
        }
    }

    void read_from(UniqueFd& fd, std::string& text, LineSplitter& lines, bool is_stderr,
                   const LineSink& on_line) {
        std::array<char, 65536> buffer;
        const ssize_t count = ::read(fd.get(), buffer.data(), buffer.size());
        if (count > 0) {
            const std::string_view piece(buffer.data(), static_cast<std::size_t>(count));
            text += piece;
            if (on_line) {
                lines.feed(piece, [&](std::string_view line) { report(on_line, is_stderr, line); });
            }
        } else if (count == 0 || (errno != EAGAIN && errno != EINTR)) {
            fd.reset();
        }
    }

    static void report(const LineSink& on_line, bool is_stderr, std::string_view line) {
        if (on_line) {
            on_line(is_stderr, line);
        }
    }

    void write_input() {
        const NoSigpipe guard;
        const ssize_t count = ::write(in_.get(), rest_of_input_.data(), rest_of_input_.size());
        if (count > 0) {
            rest_of_input_.remove_prefix(static_cast<std::size_t>(count));
        }
        // EPIPE is not an error: a program need not read all that it is offered.
        if (rest_of_input_.empty() || (count < 0 && errno != EAGAIN && errno != EINTR)) {
            in_.reset();
        }
    }

    std::string name_;
    std::string_view rest_of_input_;
    const LineSink& on_line_;
    std::optional<Child> child_;
    UniqueFd in_;
    UniqueFd out_;
    UniqueFd err_;
    LineSplitter out_lines_;
    LineSplitter err_lines_;
    Outcome outcome_;
    Clock::time_point started_;
};

}  // namespace

Outcome run_process(const Command& command, Deadline deadline, const LineSink& on_line) {
    check_words(command);
    throw_if_cancelled();
    if (deadline.expired()) {
        throw Error(ErrorKind::timeout,
                    "the deadline had passed before " + command.argv[0] + " could be started");
    }
    Run run(command, on_line);
    return run.finish(deadline);
}

}  // namespace hooks
