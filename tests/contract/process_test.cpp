// run_process() and spawn_detached(): what a child inherits, and that it ends.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <sstream>

#include "common/io/process.h"
#include "tests/contract/contract_support.h"

namespace hooks::contract {
namespace {

Deadline soon() {
    return Deadline::after(seconds(20));
}

std::string link_of(pid_t pid, const std::string& name) {
    std::error_code error;
    return std::filesystem::read_symlink("/proc/" + std::to_string(pid) + "/" + name, error);
}

// Descriptor numbers, without the one that lists them.
std::vector<std::string> fds_of(pid_t pid) {
    std::vector<std::string> fds = names_in("/proc/" + std::to_string(pid) + "/fd");
    std::sort(fds.begin(), fds.end());
    return fds;
}

// Ends a process that is not our child, and waits for it.
void end(pid_t pid) {
    ::kill(pid, SIGKILL);
    EXPECT_TRUE(becomes_true([pid] { return !is_alive(pid); }));
}

TEST(ProcessTest, ChildrenGetDefaultSignalsWhateverOursAre) {
    sigset_t all;
    sigset_t saved;
    ::sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, &saved);
    const auto old_pipe = ::signal(SIGPIPE, SIG_IGN);
    const auto old_hup = ::signal(SIGHUP, SIG_IGN);
    const Outcome outcome = run_process({{"cat", "/proc/self/status"}, {}, {}}, soon());
    ::signal(SIGPIPE, old_pipe);
    ::signal(SIGHUP, old_hup);
    ::pthread_sigmask(SIG_SETMASK, &saved, nullptr);
    EXPECT_EQ(status_field(outcome.out, "SigBlk"), "0000000000000000");
    // 32 and 33 belong to glibc, whose posix_spawn ignores them.
    EXPECT_EQ(std::stoull(status_field(outcome.out, "SigIgn"), nullptr, 16) & 0x7fffffff, 0U);
}

TEST(ProcessTest, NoDescriptorLeaksIntoChildren) {
    const UniqueFd leak(::open("/dev/null", O_RDONLY));  // not CLOEXEC, as a library might do
    ASSERT_TRUE(leak);
    // ls has 0, 1, 2 and the directory.
    EXPECT_EQ(run_process({{"ls", "/proc/self/fd"}, {}, {}}, soon()).out, "0\n1\n2\n3\n");
}

TEST(ProcessTest, AChildHasNoTerminalAndASessionOfItsOwn) {
    const Outcome outcome = run_process({{"cat", "/proc/self/stat"}, {}, {}}, soon());
    std::istringstream fields(outcome.out);
    std::string pid, name, state, parent, group, session, terminal;
    fields >> pid >> name >> state >> parent >> group >> session >> terminal;
    EXPECT_EQ(group, pid);
    EXPECT_EQ(session, pid);
    EXPECT_EQ(terminal, "0");
}

TEST(ProcessTest, TheEndReachesGrandchildren) {
    pid_t grandchild = 0;
    ASSERT_ERROR(error, ErrorKind::timeout,
                 run_process({{"/bin/sh", "-c", "sleep 300 & echo $!; wait"}, {}, {}},
                             Deadline::after(seconds(1)), [&](bool, std::string_view line) {
                                 grandchild = std::stoi(std::string(line));
                             }));
    ASSERT_GT(grandchild, 0);
    EXPECT_TRUE(becomes_true([&] { return !is_alive(grandchild); }));
}

TEST(ProcessTest, AProgramMayCleanUpAtItsDeadline) {
    const TempDir dir;
    // The shell dies of SIGTERM at once; what it started needs a moment, and gets it.
    ASSERT_ERROR(error, ErrorKind::timeout,
                 run_process({{"/bin/sh", "-c",
                               "(trap 'sleep 0.05; touch \"$1\"; exit' TERM; echo ready; "
                               "while :; do sleep 0.01; done) & wait",
                               "sh", dir / "cleaned up"},
                              {},
                              {}},
                             Deadline::after(seconds(1))));
    EXPECT_TRUE(exists(dir / "cleaned up"));
}

TEST(ProcessTest, NothingIsLeftToReap) {
    run_process({{"true"}, {}, {}}, soon());
    EXPECT_TRUE(error_of([] {
        run_process({{"sleep", "300"}, {}, {}}, Deadline::after(milliseconds(20)));
    }));
    EXPECT_EQ(::waitpid(-1, nullptr, WNOHANG), -1);
    EXPECT_EQ(errno, ECHILD);
}

TEST(ProcessTest, AnExpiredDeadlineStartsNothing) {
    const TempDir dir;
    ASSERT_ERROR(error, ErrorKind::timeout,
                 run_process({{"touch", dir / "file"}, {}, {}}, Deadline::after(milliseconds(0))));
    EXPECT_FALSE(exists(dir / "file"));
}

TEST(ProcessTest, WhatCannotBeStartedIsAnError) {
    ASSERT_ERROR(absent, ErrorKind::command, run_process({{"no-such-program"}, {}, {}}, soon()));
    EXPECT_EQ(absent->message(), "no-such-program: command not found");
    ASSERT_ERROR(path, ErrorKind::command, run_process({{"/no/such"}, {}, {}}, soon()));
    EXPECT_EQ(path->message(), "cannot run /no/such: no such file or directory");
    ASSERT_ERROR(denied, ErrorKind::command, run_process({{"/etc/passwd"}, {}, {}}, soon()));
    EXPECT_EQ(denied->message(), "cannot run /etc/passwd: permission denied");
    ASSERT_ERROR(nothing, ErrorKind::internal, run_process({{}, {}, {}}, soon()));
    ASSERT_ERROR(nul, ErrorKind::internal,
                 run_process({{"echo", std::string("a\0b", 3)}, {}, {}}, soon()));
}

TEST(ProcessTest, WorksWithStandardDescriptorsClosed) {
    // The pipes then get the numbers 0 and 2, which the child needs for itself.
    const UniqueFd saved_in(::fcntl(0, F_DUPFD_CLOEXEC, 100));
    const UniqueFd saved_err(::fcntl(2, F_DUPFD_CLOEXEC, 100));
    ::close(0);
    ::close(2);
    const Outcome outcome =
        run_process({{"/bin/sh", "-c", "cat; echo err >&2"}, "input", {}}, soon());
    ::dup2(saved_in.get(), 0);
    ::dup2(saved_err.get(), 2);
    EXPECT_EQ(outcome.out, "input");
    EXPECT_EQ(outcome.err, "err\n");
}

TEST(ProcessTest, DescribesAFailureByItsLastLines) {
    const auto describe = [](const std::string& script) {
        return run_process({{"/bin/sh", "-c", script}, {}, {}}, soon()).describe();
    };
    EXPECT_EQ(describe("exit 3"), "exit code 3");
    EXPECT_EQ(describe("echo out; exit 3"), "exit code 3: out");
    EXPECT_EQ(describe("echo out; echo ' err ' >&2; exit 3"), "exit code 3: err");
    EXPECT_EQ(describe("seq 9 >&2; exit 1"), "exit code 1: 7 / 8 / 9");
    const std::string longest = describe("head -c 5000 /dev/zero | tr '\\0' x >&2; exit 1");
    EXPECT_LT(longest.size(), 600U);
}

TEST(SpawnDetachedTest, HasNothingOfOurs) {
    const TempDir dir;
    const UniqueFd leak(::open("/dev/null", O_RDONLY));
    sigset_t all;
    sigset_t saved;
    ::sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, &saved);
    const auto old_pipe = ::signal(SIGPIPE, SIG_IGN);
    const pid_t pid =
        spawn_detached({{"/bin/sh", "-c", "echo out; echo err >&2; echo $MARK; exec sleep 300"},
                        {},
                        {{"MARK", "a mark"}}},
                       dir / "log");
    ::signal(SIGPIPE, old_pipe);
    ::pthread_sigmask(SIG_SETMASK, &saved, nullptr);

    EXPECT_TRUE(becomes_true([&] { return file_text(dir / "log") == "out\nerr\na mark\n"; }));
    EXPECT_NE(::getsid(pid), ::getsid(0));
    EXPECT_NE(::getpgid(pid), ::getpgid(0));
    const std::string status = file_text("/proc/" + std::to_string(pid) + "/status");
    EXPECT_EQ(status_field(status, "SigBlk"), "0000000000000000");
    EXPECT_EQ(status_field(status, "SigIgn"), "0000000000000000");
    EXPECT_NE(status_field(status, "PPid"), std::to_string(::getpid()));
    EXPECT_EQ(link_of(pid, "cwd"), "/");
    EXPECT_EQ(link_of(pid, "fd/0"), "/dev/null");
    EXPECT_EQ(link_of(pid, "fd/1"), dir / "log");
    EXPECT_EQ(link_of(pid, "fd/2"), dir / "log");
    // The loader of a program that has just begun has its libraries open.
    EXPECT_TRUE(becomes_true([&] {
        return fds_of(pid) == std::vector<std::string>{"0", "1", "2"};
    }));
    end(pid);
}

TEST(SpawnDetachedTest, OutlivesWhoStartedIt) {
    const TempDir dir;
    const Outcome outcome =
        run_process({{this_executable(), "--helper", "detach", dir / "log"}, {}, {}}, soon());
    ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
    EXPECT_FALSE(outcome.output_held_open);
    const pid_t pid = std::stoi(outcome.out);
    EXPECT_TRUE(is_alive(pid));
    EXPECT_TRUE(becomes_true([&] {
        return link_of(pid, "exe").find("sleep") != std::string::npos ||
               link_of(pid, "exe").find("coreutils") != std::string::npos;
    }));
    end(pid);
}

TEST(SpawnDetachedTest, AppendsToItsLog) {
    const TempDir dir;
    write_file(dir / "log", "before\n");
    spawn_detached({{"echo", "after"}, {}, {}}, dir / "log");
    EXPECT_TRUE(becomes_true([&] { return file_text(dir / "log") == "before\nafter\n"; }));
}

TEST(SpawnDetachedTest, ReportsWhatCannotBeStarted) {
    const TempDir dir;
    ASSERT_ERROR(absent, ErrorKind::command,
                 spawn_detached({{"no-such-program"}, {}, {}}, dir / "log"));
    EXPECT_EQ(absent->message(), "no-such-program: command not found");
    ASSERT_ERROR(path, ErrorKind::command, spawn_detached({{"/no/such"}, {}, {}}, dir / "log"));
    EXPECT_EQ(path->message(), "cannot run /no/such: no such file or directory");
    write_file(dir / "script", "no interpreter line\n", 0755);
    ASSERT_ERROR(format, ErrorKind::command,
                 spawn_detached({{dir / "script"}, {}, {}}, dir / "log"));
    ASSERT_ERROR(log, ErrorKind::command, spawn_detached({{"true"}, {}, {}}, dir / "no/log"));
    EXPECT_CONTAINS(log->message(), "no/log");
    EXPECT_EQ(::waitpid(-1, nullptr, WNOHANG), -1);
}

}  // namespace
}  // namespace hooks::contract
