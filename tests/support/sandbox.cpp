#include "tests/support/sandbox.h"

#include <fcntl.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include "tests/support/place.h"
#include "tests/support/process_table.h"

namespace hooks::harness {
namespace {

bool inside = false;

[[noreturn]] void die(const std::string& what) {
    const int error = errno;
    std::fprintf(stderr, "sandbox: %s: %s\n", what.c_str(), std::strerror(error));
    std::fprintf(stderr,
                 "These tests need root, with the right to create pid, mount, network and ipc "
                 "namespaces.\n");
    std::_Exit(1);
}

void cover(const std::string& path, const std::string& options) {
    struct stat status {};
    if (::stat(path.c_str(), &status) != 0 || !S_ISDIR(status.st_mode)) {
        return;  // what is not there needs no cover
    }
    if (::mount("tmpfs", path.c_str(), "tmpfs", MS_NOSUID | MS_NODEV, options.c_str()) != 0) {
        die("mount tmpfs on " + path);
    }
}

void set_up_mounts() {
    if (::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) {
        die("make mounts private");
    }
    if (::mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, nullptr) != 0) {
        die("mount /proc");
    }
    const Account account = Account::for_servers();
    const std::string owner =
        "uid=" + std::to_string(account.uid) + ",gid=" + std::to_string(account.gid);
    cover(account.home, "mode=0755," + owner);
    // Shared memory of a server that was killed would outlive it.
    cover("/dev/shm", "mode=1777");
    cover("/var/run/postgresql", "mode=0775," + owner);
    cover("/var/lib/pgpool-hooks", "mode=0755," + owner);
    cover("/etc/pgpool-hooks", "mode=0755");
    // Clusters of postgresql-common.
    cover("/etc/postgresql", "mode=0755," + owner);
    cover("/var/log/postgresql", "mode=0755," + owner);
}

// A new network namespace has a loopback interface that is down.
void set_loopback_up() {
    const int fd = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    ifreq request{};
    std::strncpy(request.ifr_name, "lo", sizeof request.ifr_name - 1);
    request.ifr_flags = IFF_UP;
    if (fd < 0 || ::ioctl(fd, SIOCSIFFLAGS, &request) != 0) {
        die("bring the loopback interface up");
    }
    ::close(fd);
}

int exit_status(int wait_status) {
    return WIFEXITED(wait_status) ? WEXITSTATUS(wait_status) : 128 + WTERMSIG(wait_status);
}

sigset_t forwarded_signals() {
    sigset_t set;
    sigemptyset(&set);
    for (const int signal : {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGCHLD}) {
        sigaddset(&set, signal);
    }
    return set;
}

// Forwards signals to `child` and reaps whatever ends, until `child` has ended. The signals are
// blocked: process 1 of a namespace would never see one for which it has no handler.
int wait_for(pid_t child) {
    const sigset_t set = forwarded_signals();
    for (;;) {
        int status = 0;
        for (pid_t pid = 0; (pid = ::waitpid(-1, &status, WNOHANG)) > 0;) {
            if (pid == child) {
                return exit_status(status);
            }
        }
        const int signal = ::sigwaitinfo(&set, nullptr);
        if (signal > 0 && signal != SIGCHLD) {
            ::kill(child, signal);
        }
    }
}

// Returns only in the process that is to run the test.
void become_init(int parent_lives, const sigset_t& original_mask) {
    if (::prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) {
        die("prctl");
    }
    // The parent may have ended before the line above; it holds the other end of this pipe.
    pollfd parent{parent_lives, 0, 0};
    if (::poll(&parent, 1, 0) != 0) {
        std::_Exit(1);
    }
    set_up_mounts();
    set_loopback_up();
    const pid_t test = ::fork();
    if (test < 0) {
        die("fork");
    }
    if (test == 0) {
        ::close(parent_lives);
        ::sigprocmask(SIG_SETMASK, &original_mask, nullptr);
        return;
    }
    std::_Exit(wait_for(test));
}

}  // namespace

int run_in_sandbox(const std::function<int()>& body) {
    int pipe_ends[2];
    if (::pipe2(pipe_ends, O_CLOEXEC) != 0) {
        die("pipe");
    }
    const sigset_t set = forwarded_signals();
    sigset_t original_mask;
    ::sigprocmask(SIG_BLOCK, &set, &original_mask);
    std::fflush(nullptr);
    // The new namespaces are the child's alone: a process that has unshared its pid namespace
    // cannot start threads any more, which its exit handlers may want.
    const auto init = static_cast<pid_t>(
        ::syscall(SYS_clone, CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | SIGCHLD,
                  nullptr, nullptr, nullptr, 0));
    if (init < 0) {
        die("new namespaces");
    }
    if (init > 0) {
        ::close(pipe_ends[0]);
        const int result = wait_for(init);
        ::close(pipe_ends[1]);
        ::sigprocmask(SIG_SETMASK, &original_mask, nullptr);
        return result;
    }
    ::close(pipe_ends[1]);
    become_init(pipe_ends[0], original_mask);
    inside = true;
    const int result = body();
    std::fflush(nullptr);
    std::_Exit(result);
}

bool in_sandbox() {
    return inside;
}

void end_everything_else_in_sandbox() {
    if (!inside) {
        return;
    }
    // More than once: a process that is forking right now has a child after this look.
    for (int round = 0; round < 500; ++round) {
        bool found = false;
        for (const ProcessEntry& process : all_processes()) {
            if (process.pid != 1 && process.pid != ::getpid() && process.state != 'Z') {
                found = true;
                ::kill(process.pid, SIGKILL);
            }
        }
        if (!found) {
            return;
        }
        ::usleep(5000);
    }
}

}  // namespace hooks::harness
