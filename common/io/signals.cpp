#include "common/io/signals.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "common/core/error.h"

namespace hooks {
namespace {

// Both are touched by the signal handler.
std::atomic<int> the_cancel_fd{-1};
std::atomic<int> the_signal{0};
std::atomic<int> finishing{0};  // how many FinishFirst there are
static_assert(std::atomic<int>::is_always_lock_free);

extern "C" void note_signal(int signal) noexcept {
    const int saved_errno = errno;
    int none = 0;
    the_signal.compare_exchange_strong(none, signal);
    const std::uint64_t one = 1;
    // Nothing can be done about a failure here; throw_if_cancelled() does not need the descriptor.
    [[maybe_unused]] const ssize_t written = ::write(the_cancel_fd.load(), &one, sizeof one);
    errno = saved_errno;
}

void close_from_three() {
#ifdef SYS_close_range
    if (::syscall(SYS_close_range, 3U, ~0U, 0U) == 0) {
        return;
    }
#endif
    // Kernels before 5.9.
    DIR* directory = ::opendir("/proc/self/fd");
    if (directory == nullptr) {
        return;
    }
    std::vector<int> open_fds;
    while (const dirent* entry = ::readdir(directory)) {
        const int fd = std::atoi(entry->d_name);
        if (fd > 2 && fd != ::dirfd(directory)) {
            open_fds.push_back(fd);
        }
    }
    ::closedir(directory);
    for (const int fd : open_fds) {
        ::close(fd);
    }
}

}  // namespace

void reset_inherited_state() {
    // Dispositions before the mask: a signal that is pending since before the exec then meets
    // what a newly started program would do, and not what pgpool left ignored.
    struct sigaction action {};
    action.sa_handler = SIG_DFL;
    for (int signal = 1; signal < NSIG; ++signal) {
        ::sigaction(signal, &action, nullptr);  // fails for KILL, STOP and two that glibc keeps
    }
    action.sa_handler = SIG_IGN;
    ::sigaction(SIGPIPE, &action, nullptr);

    sigset_t none;
    ::sigemptyset(&none);
    ::pthread_sigmask(SIG_SETMASK, &none, nullptr);

    close_from_three();
    for (int fd = 0; fd <= 2; ++fd) {
        if (::fcntl(fd, F_GETFD) < 0) {
            ::open("/dev/null", O_RDWR);  // takes the lowest free number, which is fd
        }
    }
}

void install_cancellation() {
    if (the_cancel_fd.load() < 0) {
        const int fd = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (fd < 0) {
            throw Error(ErrorKind::internal, std::string("eventfd: ") + std::strerror(errno));
        }
        the_cancel_fd = fd;
    }
    struct sigaction action {};
    action.sa_handler = note_signal;
    action.sa_flags = SA_RESTART;  // poll(2) returns EINTR all the same
    ::sigfillset(&action.sa_mask);
    for (const int signal : {SIGINT, SIGTERM, SIGQUIT, SIGHUP}) {
        ::sigaction(signal, &action, nullptr);
    }
}

int cancel_fd() {
    return finishing.load() > 0 ? -1 : the_cancel_fd.load();
}

FinishFirst::FinishFirst() {
    ++finishing;
}
FinishFirst::~FinishFirst() {
    --finishing;
}

void throw_if_cancelled() {
    if (const int signal = the_signal.load(); signal != 0 && finishing.load() == 0) {
        throw Interrupted{signal};
    }
}

}  // namespace hooks
