// What a hook starts with, as pgpool leaves it, and what becomes of it.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <sstream>

#include "common/io/signals.h"
#include "tests/contract/contract_support.h"

namespace hooks::contract {
namespace {

// As pgpool's main process does it: all blocked, some ignored, descriptors without CLOEXEC; and
// stdin and stderr closed on top of that.
std::string state_after_reset(const std::string& output_path) {
    const std::string program = this_executable();
    const pid_t pid = ::fork();
    if (pid == 0) {
        const int output = ::open(output_path.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644);
        ::dup2(output, 1);
        ::close(0);
        ::close(2);
        for (int fd = 10; fd < 20; ++fd) {
            ::dup2(output, fd);
        }
        for (const int signal : {SIGPIPE, SIGHUP, SIGCHLD, SIGUSR1, SIGTERM}) {
            ::signal(signal, SIG_IGN);
        }
        sigset_t all;
        ::sigfillset(&all);
        ::sigprocmask(SIG_SETMASK, &all, nullptr);
        ::execl(program.c_str(), program.c_str(), "--helper", "show-state",
                static_cast<char*>(nullptr));
        ::_exit(127);
    }
    int status = 0;
    EXPECT_EQ(::waitpid(pid, &status, 0), pid);
    EXPECT_EQ(status, 0);
    return file_text(output_path);
}

TEST(SignalsTest, InheritedStateIsReset) {
    const TempDir dir;
    const std::string state = state_after_reset(dir / "out");
    EXPECT_EQ(status_field(state, "SigBlk"), "0000000000000000");
    // Only SIGPIPE, number 13.
    EXPECT_EQ(status_field(state, "SigIgn"), "0000000000001000");
    std::istringstream lines(state);
    std::vector<std::string> fds;
    for (std::string line; std::getline(lines, line);) {
        if (line.rfind("fd ", 0) == 0) {
            fds.push_back(line);
        }
    }
    std::sort(fds.begin(), fds.end());
    EXPECT_EQ(fds, (std::vector<std::string>{"fd 0 /dev/null", "fd 1 " + (dir / "out"),
                                             "fd 2 /dev/null"}));
}

TEST(SignalsTest, WithoutInstallationThereIsNothingToWatch) {
    EXPECT_EQ(cancel_fd(), -1);
    EXPECT_NO_THROW(throw_if_cancelled());
}

TEST(SignalsTest, EachOfTheFourSignalsStopsAWait) {
    const Listener silent;
    for (const int signal : {SIGINT, SIGTERM, SIGQUIT, SIGHUP}) {
        const TempDir dir;
        Daemon helper({this_executable(), "--helper", "be-cancelled", "postgres-connect",
                       std::to_string(silent.port())},
                      dir / "log");
        ASSERT_TRUE(becomes_true([&] { return file_text(dir / "log") == "started\n"; }));
        ::kill(helper.pid(), signal);
        ASSERT_TRUE(becomes_true([&] { return !helper.running(); }));
        EXPECT_EQ(file_text(dir / "log"),
                  "started\ninterrupted by " + std::to_string(signal) + "\n");
    }
}

}  // namespace
}  // namespace hooks::contract
