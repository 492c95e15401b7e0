// What a Node promises, over LocalNode and over SshNode: callers cannot tell them apart.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <memory>
#include <ostream>

#include "common/io/local_node.h"
#include "common/io/ssh_node.h"
#include "tests/contract/contract_support.h"
#include "tests/contract/sshd_fixture.h"

namespace hooks::contract {
namespace {

enum class NodeKind { local, ssh };

class NodeTest : public testing::TestWithParam<NodeKind> {
  protected:
    static void SetUpTestSuite() { sshd_ = std::make_unique<SshdFixture>(); }
    static void TearDownTestSuite() { sshd_.reset(); }

    void SetUp() override {
        if (GetParam() == NodeKind::local) {
            node_ = std::make_unique<LocalNode>("node 1 (here)");
        } else {
            node_ = std::make_unique<SshNode>("node 1 (there)", sshd_->options(), seconds(10));
        }
    }

    Outcome run(std::vector<std::string> argv, std::string input = {}) {
        return node_->run({std::move(argv), std::move(input), {}}, soon());
    }
    Outcome shell(const std::string& script) { return run({"/bin/sh", "-c", script}); }
    static Deadline soon() { return Deadline::after(seconds(20)); }

    static std::unique_ptr<SshdFixture> sshd_;
    std::unique_ptr<Node> node_;
    TempDir dir_;
};

std::unique_ptr<SshdFixture> NodeTest::sshd_;

TEST_P(NodeTest, ReportsExitCodes) {
    for (const int code : {0, 7, 127, 255}) {
        const Outcome outcome = shell("echo out; echo err >&2; exit " + std::to_string(code));
        EXPECT_EQ(outcome.exit_code, code);
        EXPECT_EQ(outcome.signal, "");
        EXPECT_EQ(outcome.out, "out\n");
        EXPECT_EQ(outcome.err, "err\n");
        EXPECT_FALSE(outcome.output_held_open);
    }
}

TEST_P(NodeTest, ReportsTheSignalThatEndedACommand) {
    const Outcome outcome = shell("kill -KILL $$");
    EXPECT_EQ(outcome.exit_code, -1);
    EXPECT_EQ(outcome.signal, "KILL");
    EXPECT_EQ(outcome.describe(), "ended by signal KILL");
}

TEST_P(NodeTest, AProgramThatIsNotThereIsAnError) {
    ASSERT_ERROR(error, ErrorKind::command, run({"no-such-program-anywhere"}));
    EXPECT_CONTAINS(error->message(), "no-such-program-anywhere");
    ASSERT_ERROR(not_executable, ErrorKind::command, run({"/etc/passwd"}));
}

TEST_P(NodeTest, DrainsBothStreamsAtOnce) {
    constexpr std::size_t kSize = 8 << 20;
    const Outcome outcome = shell(
        "head -c 8388608 /dev/zero | tr '\\0' e >&2 & head -c 8388608 /dev/zero | tr '\\0' o; "
        "wait");
    EXPECT_EQ(outcome.exit_code, 0);
    EXPECT_TRUE(outcome.out == std::string(kSize, 'o')) << outcome.out.size();
    EXPECT_TRUE(outcome.err == std::string(kSize, 'e')) << outcome.err.size();
}

TEST_P(NodeTest, PassesALargeInputWhileOutputFlows) {
    std::string input;
    for (int i = 0; input.size() < (4 << 20); ++i) {
        input += std::to_string(i) + '\n';
    }
    const Outcome outcome = run({"cat"}, input);
    EXPECT_EQ(outcome.exit_code, 0);
    EXPECT_TRUE(outcome.out == input) << outcome.out.size();
}

TEST_P(NodeTest, ACommandNeedNotReadItsInput) {
    const Outcome outcome = run({"true"}, std::string(4 << 20, 'x'));
    EXPECT_EQ(outcome.exit_code, 0);
}

TEST_P(NodeTest, WithoutInputACommandSeesItsEnd) {
    EXPECT_EQ(run({"cat"}).out, "");
}

TEST_P(NodeTest, PassesTheEnvironment) {
    const Outcome outcome = node_->run(
        {{"/bin/sh", "-c", "echo \"$LC_ALL|$ONE|$TWO\""}, {}, {{"ONE", "a 'b' $c"}, {"TWO", ""}}},
        soon());
    EXPECT_EQ(outcome.out, "C|a 'b' $c|\n");
    ASSERT_ERROR(error, ErrorKind::internal,
                 node_->run({{"true"}, {}, {{"A;reboot", "x"}}}, soon()));
}

TEST_P(NodeTest, ArgumentsArriveAsTheyAre) {
    const std::vector<std::string> nasty = {
        "",   " ",       "a b", "it's",  "\"quoted\"", "$(touch x)", "`touch x`", "$HOME",
        ";x", "a|b&c>d", "*",   "~",     "\\",         "\\n",        "-n",        "--",
        "!x", "#x",      "\t",  "{a,b}", "\x7f",       "ä€😀",        "=",         "a=b",
    };
    std::vector<std::string> argv = {"printf", "<%s>\\n"};
    std::string expected;
    for (const std::string& word : nasty) {
        argv.push_back(word);
        expected += "<" + word + ">\n";
    }
    EXPECT_EQ(run(argv).out, expected);
    ASSERT_ERROR(newline, ErrorKind::usage, run({"echo", "a\nb"}));
    ASSERT_ERROR(carriage_return, ErrorKind::usage, run({"echo", "a\rb"}));
}

TEST_P(NodeTest, ADeadlineHolds) {
    const Stopwatch watch;
    ASSERT_ERROR(error, ErrorKind::timeout,
                 node_->run({{"sleep", "300"}, {}, {}}, Deadline::after(milliseconds(300))));
    EXPECT_GE(watch.elapsed(), milliseconds(300));
    EXPECT_LT(watch.elapsed(), seconds(3));
    EXPECT_CONTAINS(error->message(), "not known");
    EXPECT_EQ(shell("echo usable").out, "usable\n");
}

TEST_P(NodeTest, ACommandThatIgnoresSigtermDoesNotDelayUs) {
    const Stopwatch watch;
    ASSERT_ERROR(error, ErrorKind::timeout,
                 node_->run({{"/bin/sh", "-c",
                              "trap '' TERM; while :; do sleep 0.1; done & "
                              "echo $! $$ > \"$1\"; wait; wait",
                              "sh", dir_ / "pids"},
                             {},
                             {}},
                            Deadline::after(seconds(2))));
    EXPECT_LT(watch.elapsed(), seconds(5));
    // Over SSH nobody can make sure that they end; this test has to.
    pid_t pids[2] = {};
    ASSERT_EQ(std::sscanf(file_text(dir_ / "pids").c_str(), "%d %d", &pids[0], &pids[1]), 2);
    for (const pid_t pid : pids) {
        if (GetParam() == NodeKind::ssh) {
            ::kill(pid, SIGKILL);
        }
        EXPECT_TRUE(becomes_true([pid] { return !is_alive(pid); }));
    }
}

TEST_P(NodeTest, ABackgroundProcessThatHoldsTheOutputDoesNotHoldUs) {
    const Stopwatch watch;
    const Outcome outcome = shell("sleep 300 & echo $!");
    EXPECT_LT(watch.elapsed(), seconds(5));
    EXPECT_EQ(outcome.exit_code, 0);
    EXPECT_TRUE(outcome.output_held_open);
    const pid_t pid = std::stoi(outcome.out);
    EXPECT_TRUE(is_alive(pid));
    ::kill(pid, SIGKILL);
    EXPECT_EQ(shell("echo usable").out, "usable\n");
}

TEST_P(NodeTest, LinesComeAsTheyAreWritten) {
    // The command waits for what its first line makes us do.
    const std::string flag = dir_ / "flag";
    std::vector<std::string> out;
    std::vector<std::string> err;
    const Outcome outcome = node_->run_script(
        "echo go; while [ ! -e \"$1\" ]; do sleep 0.01; done\n"
        "printf 'one\\rtwo\\r\\n\\nfour'; printf 'oops\\n' >&2",
        {flag}, soon(), [&](bool is_stderr, std::string_view line) {
            (is_stderr ? err : out).emplace_back(line);
            write_file(flag, "");
        });
    EXPECT_EQ(outcome.exit_code, 0);
    EXPECT_EQ(out, (std::vector<std::string>{"go", "one", "two", "", "four"}));
    EXPECT_EQ(err, (std::vector<std::string>{"oops"}));
    EXPECT_EQ(outcome.out, "go\none\rtwo\r\n\nfour");
}

TEST_P(NodeTest, WhatALineSinkThrowsArrives) {
    struct Enough {};
    EXPECT_THROW(node_->run({{"/bin/sh", "-c", "echo x; exec sleep 300"}, {}, {}}, soon(),
                            [](bool, std::string_view) { throw Enough(); }),
                 Enough);
    EXPECT_EQ(shell("echo usable").out, "usable\n");
}

TEST_P(NodeTest, ScriptsStopAtTheFirstError) {
    const Outcome outcome =
        node_->run_script("echo \"$1\"\nfalse\necho not here", {"it's $1"}, soon());
    EXPECT_EQ(outcome.exit_code, 1);
    EXPECT_EQ(outcome.out, "it's $1\n");
    EXPECT_NE(node_->run_script("echo \"$nothing\"", {}, soon()).exit_code, 0);
}

TEST_P(NodeTest, AScriptIsNotEatenByItsCommands) {
    const Outcome outcome = node_->run_script("cat\necho after # no newline", {}, soon());
    EXPECT_EQ(outcome.exit_code, 0);
    EXPECT_EQ(outcome.out, "after\n");
}

TEST_P(NodeTest, HalfAScriptDoesNothing) {
    // As it arrives when the connection breaks.
    Command command{{"/bin/sh", "-s"}, "set -eu\n{\ntouch '" + (dir_ / "touched") + "'\n", {}};
    EXPECT_NE(node_->run(command, soon()).exit_code, 0);
    EXPECT_FALSE(exists(dir_ / "touched"));
}

TEST_P(NodeTest, ReadsFiles) {
    const std::string bytes("a\0b\r\n\xff no end", 14);
    write_file(dir_ / "it's a file", bytes);
    EXPECT_EQ(node_->read_file(dir_ / "it's a file", soon()), bytes);
    write_file(dir_ / "empty", "");
    EXPECT_EQ(node_->read_file(dir_ / "empty", soon()), "");
}

TEST_P(NodeTest, AnAbsentFileIsNotAnErrorAndAnErrorIsNotAnAbsentFile) {
    EXPECT_EQ(node_->read_file(dir_ / "absent", soon()), std::nullopt);
    EXPECT_EQ(node_->read_file(dir_ / "absent/absent", soon()), std::nullopt);
    ASSERT_ERROR(directory, ErrorKind::command, node_->read_file(dir_.path(), soon()));
    EXPECT_CONTAINS(directory->message(), "Is a directory");
    EXPECT_CONTAINS(directory->message(), "node 1");
    write_file(dir_ / "file", "");
    ASSERT_ERROR(below_a_file, ErrorKind::command, node_->read_file(dir_ / "file/x", soon()));
    ASSERT_ERROR(relative, ErrorKind::internal, node_->read_file("relative", soon()));
}

mode_t mode_of(const std::string& path) {
    struct stat status {};
    EXPECT_EQ(::stat(path.c_str(), &status), 0) << path;
    return status.st_mode & 07777;
}

ino_t inode_of(const std::string& path) {
    struct stat status {};
    EXPECT_EQ(::lstat(path.c_str(), &status), 0) << path;
    return status.st_ino;
}

TEST_P(NodeTest, WritesANewFile) {
    const std::string path = dir_ / "new 'file' \"with\" $blanks";
    std::string content = "a line\n";
    content += '\0';
    node_->replace_file(path, content, soon(), "0640");
    EXPECT_EQ(file_text(path), content);
    EXPECT_EQ(mode_of(path), 0640U);
    node_->replace_file(dir_ / "private", "x", soon());
    EXPECT_EQ(mode_of(dir_ / "private"), 0600U);
    EXPECT_EQ(names_in(dir_.path()).size(), 2U);
}

TEST_P(NodeTest, ReplacingKeepsModeAndOwner) {
    const std::string path = dir_ / "file";
    write_file(path, "old", 0644);
    const bool is_root = ::geteuid() == 0;
    if (is_root) {
        ASSERT_EQ(::chown(path.c_str(), 12345, 54321), 0);
    }
    node_->replace_file(path, "new", soon());
    EXPECT_EQ(file_text(path), "new");
    EXPECT_EQ(mode_of(path), 0644U);
    struct stat status {};
    ASSERT_EQ(::stat(path.c_str(), &status), 0);
    EXPECT_EQ(status.st_uid, is_root ? 12345 : ::geteuid());
    EXPECT_EQ(status.st_gid, is_root ? 54321 : ::getegid());
    EXPECT_EQ(names_in(dir_.path()).size(), 1U);
}

TEST_P(NodeTest, AnIdenticalFileIsLeftAlone) {
    const std::string path = dir_ / "file";
    write_file(path, "same");
    const timespec long_ago[2] = {{1000000000, 0}, {1000000000, 0}};
    ASSERT_EQ(::utimensat(AT_FDCWD, path.c_str(), long_ago, 0), 0);
    const ino_t inode = inode_of(path);
    node_->replace_file(path, "same", soon());
    struct stat status {};
    ASSERT_EQ(::stat(path.c_str(), &status), 0);
    EXPECT_EQ(status.st_mtime, 1000000000);
    EXPECT_EQ(inode_of(path), inode);
    EXPECT_EQ(names_in(dir_.path()).size(), 1U);
}

TEST_P(NodeTest, ASymbolicLinkStaysOne) {
    ASSERT_EQ(::mkdir((dir_ / "etc").c_str(), 0755), 0);
    write_file(dir_ / "etc/real", "old");
    ASSERT_EQ(::symlink("etc/real", (dir_ / "link").c_str()), 0);
    node_->replace_file(dir_ / "link", "new", soon());
    EXPECT_EQ(file_text(dir_ / "etc/real"), "new");
    struct stat status {};
    ASSERT_EQ(::lstat((dir_ / "link").c_str(), &status), 0);
    EXPECT_TRUE(S_ISLNK(status.st_mode));
}

TEST_P(NodeTest, ALargeFileArrivesWhole) {
    std::string content;
    for (int i = 0; content.size() < (1 << 20); ++i) {
        content += std::to_string(i) + '\n';
    }
    node_->replace_file(dir_ / "large", content, soon());
    EXPECT_TRUE(file_text(dir_ / "large") == content);
    EXPECT_TRUE(node_->read_file(dir_ / "large", soon()) == content);
    node_->replace_file(dir_ / "large", "", soon());
    EXPECT_EQ(file_text(dir_ / "large"), "");
}

TEST_P(NodeTest, AMissingDirectoryIsAnError) {
    ASSERT_ERROR(error, ErrorKind::command, node_->replace_file(dir_ / "no/file", "x", soon()));
    EXPECT_CONTAINS(error->message(), "no/file");
    ASSERT_EQ(::mkdir((dir_ / "dir").c_str(), 0755), 0);
    ASSERT_ERROR(directory, ErrorKind::command, node_->replace_file(dir_ / "dir", "x", soon()));
    EXPECT_EQ(names_in(dir_.path()), std::vector<std::string>{"dir"});
}

TEST_P(NodeTest, ASignalInterruptsARunningCommand) {
    std::vector<std::string> argv = {this_executable(), "--helper", "be-cancelled"};
    const SshOptions options = sshd_->options();
    if (GetParam() == NodeKind::local) {
        argv.push_back("local");
    } else {
        argv.insert(argv.end(), {"ssh", std::to_string(options.port), options.user,
                                 options.identity_file, options.known_hosts_file});
    }
    const std::string log = dir_ / "log";
    Daemon helper(argv, log);
    ASSERT_TRUE(becomes_true([&] { return file_text(log) == "started\n"; })) << file_text(log);
    const Stopwatch watch;
    ::kill(helper.pid(), SIGTERM);
    ASSERT_TRUE(becomes_true([&] { return !helper.running(); }));
    EXPECT_LT(watch.elapsed(), seconds(2));
    EXPECT_EQ(file_text(log), "started\ninterrupted by 15\n");
}

INSTANTIATE_TEST_SUITE_P(Contract, NodeTest, testing::Values(NodeKind::local, NodeKind::ssh),
                         [](const testing::TestParamInfo<NodeKind>& info) {
                             return info.param == NodeKind::local ? "local" : "ssh";
                         });

}  // namespace
}  // namespace hooks::contract
