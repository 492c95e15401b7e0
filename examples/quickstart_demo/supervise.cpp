#include "quickstart_demo/supervise.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <thread>

#include "common/core/deadline.h"
#include "common/io/program.h"
#include "tests/support/place.h"
#include "tests/support/process_table.h"
#include "tests/support/teardown.h"

namespace hooks::quickstart {
namespace {

using harness::HarnessError;

void remove_directory(const std::string& base) {
    std::error_code error;
    std::filesystem::remove_all(base, error);
    if (error) {
        throw HarnessError("cannot remove " + base + ": " + error.message());
    }
}

// By the files of the cluster first, in good order. Whatever is left was started by it too, as
// this process adopts all its orphans: an initdb, a server that has not written its pid file yet.
// They get the time to end by themselves or to show up there. What is killed instead leaves shared
// memory behind.
void end_family(const std::string& base) {
    const Deadline term = Deadline::after(std::chrono::seconds(3));
    const Deadline kill = Deadline::after(std::chrono::seconds(6));
    const Deadline deadline = Deadline::after(std::chrono::seconds(15));
    for (;;) {
        harness::end_cluster(base);
        bool alive = false;
        for (const pid_t pid : harness::descendants_of(::getpid())) {
            if (!harness::is_alive(pid)) {
                continue;
            }
            alive = true;
            if (term.expired()) {
                ::kill(pid, kill.expired() ? SIGKILL : SIGTERM);
            }
        }
        if (!alive) {
            return;
        }
        if (deadline.expired()) {
            throw HarnessError("some processes do not end");
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
}

// Reaps for as long as there is a child. When it was `story`, tells the main thread.
void reap(pid_t story, int& story_status) {
    int status = 0;
    for (;;) {
        const pid_t pid = ::waitpid(-1, &status, 0);
        if (pid == story) {
            story_status = status;
            ::kill(::getpid(), SIGUSR1);
        } else if (pid < 0 && errno != EINTR) {
            return;
        }
    }
}

}  // namespace

int supervise(const std::string& base, bool keep, const std::function<Ending()>& story) {
    std::fflush(nullptr);
    // The servers are orphans by intention. They shall find their way back to this process.
    ::prctl(PR_SET_CHILD_SUBREAPER, 1);
    ::signal(SIGPIPE, SIG_IGN);
    sigset_t signals;
    ::sigemptyset(&signals);
    for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1}) {
        ::sigaddset(&signals, signal);
    }
    // In the child, too: Ctrl-C is sent to both, and it is up to this process to end the other.
    ::sigprocmask(SIG_BLOCK, &signals, nullptr);
    const pid_t parent = ::getpid();
    const pid_t child = ::fork();
    if (child < 0) {
        throw HarnessError(std::string("fork: ") + std::strerror(errno));
    }
    if (child == 0) {
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (::getppid() != parent) {
            std::_Exit(static_cast<int>(Ending::not_begun));
        }
        const Ending ending = story();
        std::fflush(nullptr);
        std::_Exit(static_cast<int>(ending));
    }
    int status = 0;
    std::thread reaper(reap, child, std::ref(status));
    int signal = 0;
    do {
        signal = ::sigwaitinfo(&signals, nullptr);
    } while (signal < 0);

    const bool interrupted = signal != SIGUSR1;
    int result = 1;
    if (interrupted) {
        result = 128 + signal;
        std::fprintf(stderr, "\nquickstart: stopped by SIG%s, cleaning up\n",
                     signal_name(signal).c_str());
        ::kill(child, SIGKILL);
    } else if (WIFEXITED(status)) {
        result = WEXITSTATUS(status);
        if (keep && result != static_cast<int>(Ending::not_begun)) {
            reaper.detach();
            return result;
        }
        result = result == 0 ? 0 : 1;
        // Some disks take seconds for it.
        std::printf("\nEnding the servers and removing %s; --keep would leave them to you\n",
                    base.c_str());
        std::fflush(stdout);
    } else {
        std::fprintf(stderr, "quickstart: the demo was ended by SIG%s\n",
                     signal_name(WTERMSIG(status)).c_str());
    }
    try {
        end_family(base);
        reaper.join();
        remove_directory(base);
    } catch (const std::exception& error) {
        std::fprintf(stderr, "quickstart: %s\nSome of it is left in %s.\n", error.what(),
                     base.c_str());
        std::fflush(nullptr);
        std::_Exit(result == 0 ? 1 : result);
    }
    return result;
}

void stop_kept(const std::string& base) {
    harness::end_cluster(base);
    remove_directory(base);
}

}  // namespace hooks::quickstart
