// What only SSH has: host keys, keys, sessions that break.
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdlib>
#include <functional>
#include <thread>

#include "common/io/ssh_node.h"
#include "common/io/tcp_connect.h"
#include "tests/contract/contract_support.h"
#include "tests/contract/sshd_fixture.h"

namespace hooks::contract {
namespace {

Deadline soon() {
    return Deadline::after(seconds(20));
}

// Listens, forwards one connection to a server, and cuts it after so many bytes from the client,
// when `ready` has come true.
class CuttingProxy {
  public:
    CuttingProxy(int target_port, std::size_t cut_after, std::function<bool()> ready) {
        thread_ = std::thread([=, this] { forward(target_port, cut_after, ready); });
    }
    ~CuttingProxy() {
        ::shutdown(listener_.fd(), SHUT_RDWR);  // wakes up accept(2)
        thread_.join();
    }
    int port() const { return listener_.port(); }

  private:
    void forward(int target_port, std::size_t cut_after, const std::function<bool()>& ready) {
        const UniqueFd client(::accept4(listener_.fd(), nullptr, nullptr, SOCK_CLOEXEC));
        if (!client) {
            return;
        }
        const UniqueFd server = tcp_connect("127.0.0.1", target_port, soon());
        std::array<char, 16384> buffer;
        std::size_t from_client = 0;
        for (;;) {
            pollfd set[] = {{client.get(), POLLIN, 0}, {server.get(), POLLIN, 0}};
            ::poll(set, 2, -1);
            for (const int side : {0, 1}) {
                if (set[side].revents == 0) {
                    continue;
                }
                const ssize_t count = ::read(set[side].fd, buffer.data(), buffer.size());
                if (count <= 0) {
                    return;
                }
                from_client += side == 0 ? static_cast<std::size_t>(count) : 0;
                if (from_client >= cut_after) {
                    EXPECT_TRUE(becomes_true(ready));
                    return;
                }
                for (ssize_t sent = 0; sent < count;) {
                    const ssize_t more =
                        ::send(set[1 - side].fd, buffer.data() + sent,
                               static_cast<std::size_t>(count - sent), MSG_NOSIGNAL);
                    if (more < 0) {
                        return;
                    }
                    sent += more;
                }
            }
        }
    }

    Listener listener_;
    std::thread thread_;
};

class SshTest : public testing::Test {
  protected:
    Outcome echo(SshNode& node) { return node.run({{"echo", "hello"}, {}, {}}, soon()); }
    // The Error of a first command on a new node.
    std::optional<Error> refusal(const SshOptions& options, Deadline deadline = soon()) {
        SshNode node("node 1", options, seconds(20));
        return error_of([&] { node.run({{"true"}, {}, {}}, deadline); });
    }

    SshdFixture sshd_;
    TempDir dir_;
};

TEST_F(SshTest, OneSessionServesManyCommands) {
    SshNode node("node 1", sshd_.options(), seconds(10));
    EXPECT_EQ(echo(node).out, "hello\n");
    const std::vector<pid_t> connections = sshd_.connections();
    for (int i = 0; i < 12; ++i) {  // more than MaxSessions
        EXPECT_EQ(echo(node).out, "hello\n");
    }
    EXPECT_EQ(sshd_.connections(), connections);
    EXPECT_EQ(connections.size(), 1U);
}

TEST_F(SshTest, TwoThreadsWithASessionEach) {
    std::atomic<int> good{0};
    const auto work = [&] {
        SshNode node("node", sshd_.options(), seconds(20));
        for (int i = 0; i < 5; ++i) {
            good += echo(node).out == "hello\n" ? 1 : 0;
        }
    };
    std::thread one(work);
    std::thread two(work);
    one.join();
    two.join();
    EXPECT_EQ(good, 10);
}

TEST_F(SshTest, AnUnknownHostKeyIsRefusedAndNotAdded) {
    SshOptions options = sshd_.options();
    options.known_hosts_file = dir_ / "no such file";
    const auto no_file = refusal(options);
    ASSERT_TRUE(no_file);
    EXPECT_EQ(no_file->kind(), ErrorKind::unreachable);
    EXPECT_CONTAINS(no_file->message(), "SHA256:");
    EXPECT_CONTAINS(no_file->hint(), "ssh-keyscan -p " + std::to_string(sshd_.port()) +
                                         " 127.0.0.1 >> '" + (dir_ / "no such file") + "'");
    EXPECT_FALSE(exists(dir_ / "no such file"));

    options.known_hosts_file = dir_ / "empty";
    write_file(dir_ / "empty", "");
    const auto not_in_file = refusal(options);
    ASSERT_TRUE(not_in_file);
    EXPECT_EQ(not_in_file->kind(), ErrorKind::unreachable);
    EXPECT_EQ(file_text(dir_ / "empty"), "");
}

TEST_F(SshTest, WhatTheHintSaysHelps) {
    SshOptions options = sshd_.options();
    options.known_hosts_file = dir_ / "known hosts";
    const auto error = refusal(options);
    ASSERT_TRUE(error);
    const std::string hint = error->hint();
    const std::size_t begin = hint.find("ssh-keyscan");
    const std::string command = hint.substr(begin, hint.find("', ") + 1 - begin);
    ASSERT_TRUE(run_process({{"/bin/sh", "-c", command}, {}, {}}, soon()).ok()) << command;
    SshNode node("node 1", options, seconds(10));
    EXPECT_EQ(echo(node).out, "hello\n");
}

TEST_F(SshTest, AChangedHostKeyIsRefused) {
    make_key(dir_ / "other");
    const std::string text =
        "[127.0.0.1]:" + std::to_string(sshd_.port()) + " " + file_text(dir_ / "other.pub");
    SshOptions options = sshd_.options();
    options.known_hosts_file = dir_ / "known_hosts";
    write_file(options.known_hosts_file, text);
    const auto error = refusal(options);
    ASSERT_TRUE(error);
    EXPECT_EQ(error->kind(), ErrorKind::unreachable);
    EXPECT_CONTAINS(error->message(), "is not the one in");
    EXPECT_CONTAINS(error->hint(),
                    "ssh-keygen -R '[127.0.0.1]:" + std::to_string(sshd_.port()) + "' -f");
    EXPECT_EQ(file_text(options.known_hosts_file), text);
}

TEST_F(SshTest, AKeyThatTheServerDoesNotKnow) {
    make_key(dir_ / "other");
    SshOptions options = sshd_.options();
    options.identity_file = dir_ / "other";
    const auto error = refusal(options);
    ASSERT_TRUE(error);
    EXPECT_EQ(error->kind(), ErrorKind::unreachable);
    EXPECT_CONTAINS(error->message(), (dir_ / "other") + " is refused");
    EXPECT_CONTAINS(error->hint(), "ssh-copy-id -i");
}

TEST_F(SshTest, AKeyWithAPassphraseAsksNobody) {
    make_key(dir_ / "locked", "a passphrase");
    SshOptions options = sshd_.options();
    options.identity_file = dir_ / "locked";
    const Stopwatch watch;
    const auto error = refusal(options);
    ASSERT_TRUE(error);
    EXPECT_EQ(error->kind(), ErrorKind::unreachable);
    EXPECT_CONTAINS(error->message(), "has a passphrase");
    EXPECT_CONTAINS(error->hint(), "ssh-keygen -p");
    EXPECT_LT(watch.elapsed(), seconds(10));
}

TEST_F(SshTest, AnEncryptedPemKeyAsksNobody) {
    // OpenSSL itself would ask for this one.
    const Outcome made = run_process({{"ssh-keygen", "-q", "-t", "rsa", "-b", "2048", "-m", "PEM",
                                       "-f", dir_ / "pem", "-N", "a passphrase"},
                                      {},
                                      {}},
                                     soon());
    ASSERT_TRUE(made.ok()) << made.describe();
    SshOptions options = sshd_.options();
    options.identity_file = dir_ / "pem";
    const auto error = refusal(options);
    ASSERT_TRUE(error);
    EXPECT_CONTAINS(error->message(), "has a passphrase");
}

TEST_F(SshTest, AKeyFileThatIsNone) {
    SshOptions options = sshd_.options();
    options.identity_file = dir_ / "absent";
    const auto absent = refusal(options);
    ASSERT_TRUE(absent);
    EXPECT_CONTAINS(absent->message(), "No such file or directory");
    write_file(dir_ / "garbage", "not a key\n", 0600);
    options.identity_file = dir_ / "garbage";
    const auto garbage = refusal(options);
    ASSERT_TRUE(garbage);
    EXPECT_CONTAINS(garbage->message(), "not a private key");
}

TEST_F(SshTest, NothingIsWrittenBesideAKey) {
    write_file(dir_ / "key", file_text(sshd_.client_key()), 0600);
    SshOptions options = sshd_.options();
    options.identity_file = dir_ / "key";
    SshNode node("node 1", options, seconds(10));
    EXPECT_EQ(echo(node).out, "hello\n");
    EXPECT_EQ(names_in(dir_.path()), std::vector<std::string>{"key"});
}

TEST_F(SshTest, TheAgentIsAskedWhenTheKeyIsLocked) {
    make_key(dir_ / "locked", "a passphrase");
    const std::string socket = dir_ / "agent";
    Daemon agent({"/usr/bin/ssh-agent", "-D", "-a", socket}, dir_ / "agent.log");
    ASSERT_TRUE(becomes_true([&] { return exists(socket); })) << file_text(dir_ / "agent.log");
    const Outcome added = run_process(
        {{"ssh-add", "-q", sshd_.client_key()}, {}, {{"SSH_AUTH_SOCK", socket}}}, soon());
    ASSERT_TRUE(added.ok()) << added.describe();
    SshOptions options = sshd_.options();
    options.identity_file = dir_ / "locked";
    ::setenv("SSH_AUTH_SOCK", socket.c_str(), 1);
    SshNode node("node 1", options, seconds(10));
    EXPECT_EQ(echo(node).out, "hello\n");
    ::unsetenv("SSH_AUTH_SOCK");
}

TEST_F(SshTest, NamesThatAShellWouldReadAreRefused) {
    for (const char* name : {"", "a b", "$(reboot)", "a;b", "-oProxyCommand=x", "a`b`", "a'b"}) {
        SshOptions options = sshd_.options();
        options.user = name;
        const auto bad_user = refusal(options);
        ASSERT_TRUE(bad_user);
        EXPECT_EQ(bad_user->kind(), ErrorKind::config) << name;
        options = sshd_.options();
        options.host = name;
        const auto bad_host = refusal(options);
        ASSERT_TRUE(bad_host);
        EXPECT_EQ(bad_host->kind(), ErrorKind::config) << name;
    }
}

TEST_F(SshTest, ARefusedPort) {
    SshOptions options = sshd_.options();
    options.port = free_port();
    const auto error = refusal(options);
    ASSERT_TRUE(error);
    EXPECT_EQ(error->kind(), ErrorKind::unreachable);
    EXPECT_CONTAINS(error->message(), "connection refused");
}

TEST_F(SshTest, APortThatAcceptsAndSaysNothing) {
    const Listener silent;
    SshOptions options = sshd_.options();
    options.port = silent.port();
    const Stopwatch watch;
    const auto error = refusal(options, Deadline::after(milliseconds(400)));
    ASSERT_TRUE(error);
    EXPECT_EQ(error->kind(), ErrorKind::unreachable);  // nothing was run
    EXPECT_CONTAINS(error->message(), "said nothing");
    EXPECT_GE(watch.elapsed(), milliseconds(400));
    EXPECT_LT(watch.elapsed(), seconds(3));
    ASSERT_ERROR(session, ErrorKind::timeout,
                 SshSession(options, Deadline::after(milliseconds(50))));
}

TEST_F(SshTest, SomethingThatDoesNotSpeakSsh) {
    const Listener listener;
    std::thread server([&] {
        const UniqueFd client(::accept(listener.fd(), nullptr, nullptr));
        const std::string_view text = "HTTP/1.1 400 Bad Request\r\n\r\n";
        EXPECT_EQ(::send(client.get(), text.data(), text.size(), MSG_NOSIGNAL),
                  static_cast<ssize_t>(text.size()));
    });
    SshOptions options = sshd_.options();
    options.port = listener.port();
    const auto error = refusal(options);
    server.join();
    ASSERT_TRUE(error);
    EXPECT_EQ(error->kind(), ErrorKind::unreachable);
}

TEST_F(SshTest, AStalledServerAtTheStart) {
    const Stopped stopped({sshd_.pid()});
    const Stopwatch watch;
    const auto error = refusal(sshd_.options(), Deadline::after(milliseconds(400)));
    ASSERT_TRUE(error);
    EXPECT_EQ(error->kind(), ErrorKind::unreachable);
    EXPECT_LT(watch.elapsed(), seconds(3));
}

TEST_F(SshTest, AStalledServerBetweenCommands) {
    SshNode node("node 1", sshd_.options(), seconds(10));
    EXPECT_EQ(echo(node).out, "hello\n");
    {
        const Stopped stopped(sshd_.processes());
        const Stopwatch watch;
        ASSERT_ERROR(error, ErrorKind::timeout,
                     node.run({{"true"}, {}, {}}, Deadline::after(milliseconds(400))));
        EXPECT_LT(watch.elapsed(), seconds(3));
    }
    EXPECT_EQ(echo(node).out, "hello\n");
}

TEST_F(SshTest, AStalledServerInTheMiddleOfACommand) {
    SshNode node("node 1", sshd_.options(), seconds(10));
    std::unique_ptr<Stopped> stopped;
    const Stopwatch watch;
    // A large input, so that there is something that cannot be written.
    ASSERT_ERROR(
        error, ErrorKind::timeout,
        node.run(
            {{"/bin/sh", "-c", "echo started; exec sleep 300"}, std::string(16 << 20, 'x'), {}},
            Deadline::after(seconds(3)), [&](bool, std::string_view) {
                stopped = std::make_unique<Stopped>(sshd_.processes());
            }));
    EXPECT_TRUE(stopped);
    EXPECT_LT(watch.elapsed(), seconds(6));
    EXPECT_CONTAINS(error->message(), "not known");
    stopped.reset();
    EXPECT_EQ(echo(node).out, "hello\n");
}

TEST_F(SshTest, AConnectionThatIsLostInTheMiddleOfACommand) {
    SshNode node("node 1", sshd_.options(), seconds(10));
    pid_t sleeper = 0;
    const Stopwatch watch;
    ASSERT_ERROR(error, ErrorKind::timeout,
                 node.run({{"/bin/sh", "-c", "echo $$; exec sleep 300"}, {}, {}}, soon(),
                          [&](bool, std::string_view line) {
                              sleeper = std::stoi(std::string(line));
                              sshd_.kill_connections();
                          }));
    EXPECT_LT(watch.elapsed(), seconds(10));
    EXPECT_CONTAINS(error->message(), "not known");
    EXPECT_CONTAINS(error->message(), "lost");
    ::kill(sleeper, SIGKILL);
    EXPECT_EQ(echo(node).out, "hello\n");  // a new session
}

TEST_F(SshTest, ASessionThatBrokeWhileIdleIsReplaced) {
    SshNode node("node 1", sshd_.options(), seconds(10));
    EXPECT_EQ(echo(node).out, "hello\n");
    sshd_.kill_connections();
    EXPECT_EQ(echo(node).out, "hello\n");
}

TEST_F(SshTest, TooManyAbandonedCommandsAreWorthANewSession) {
    const SshdFixture narrow("MaxSessions 2\n");
    SshNode node("node 1", narrow.options(), seconds(10));
    std::vector<pid_t> left_behind;
    struct Abandon {};
    for (int i = 0; i < 4; ++i) {
        const Command stubborn{
            {"/bin/sh", "-c", "trap '' TERM; echo $$; while :; do sleep 0.1; done"}, {}, {}};
        EXPECT_THROW(node.run(stubborn, soon(),
                              [&](bool, std::string_view line) {
                                  left_behind.push_back(std::stoi(std::string(line)));
                                  throw Abandon();
                              }),
                     Abandon);
    }
    EXPECT_EQ(left_behind.size(), 4U);
    EXPECT_EQ(echo(node).out, "hello\n");
    for (const pid_t pid : left_behind) {
        ::kill(pid, SIGKILL);
    }
}

TEST_F(SshTest, ATruncatedUploadLeavesTheOldFile) {
    const std::string path = dir_ / "postgresql.auto.conf";
    write_file(path, "old");
    // Cut when the script over there has begun to write.
    const CuttingProxy proxy(sshd_.port(), 1 << 20,
                             [this] { return names_in(dir_.path()).size() == 2; });
    sshd_.trust_at(proxy.port());
    SshOptions options = sshd_.options();
    options.port = proxy.port();
    SshNode node("node 1", options, seconds(10));
    ASSERT_ERROR(error, ErrorKind::timeout,
                 node.replace_file(path, std::string(4 << 20, 'x'), soon()));
    EXPECT_CONTAINS(error->message(), "not known");
    // The script over there sees the end of its input, and cleans up.
    EXPECT_TRUE(becomes_true(
        [&] { return names_in(dir_.path()) == std::vector<std::string>{"postgresql.auto.conf"}; }));
    EXPECT_EQ(file_text(path), "old");
}

TEST_F(SshTest, AnAnswerThatIsCutOffIsNoAnswer) {
    // What reached us is a prefix of the file; it must not pass for the file.
    write_file(dir_ / "large", std::string(8 << 20, 'x') + "\n");
    SshNode node("node 1", sshd_.options(), seconds(10));
    bool cut = false;
    ASSERT_ERROR(
        error, ErrorKind::timeout,
        node.run({{"/bin/sh", "-c", "echo; exec cat \"$1\"", "sh", dir_ / "large"}, {}, {}}, soon(),
                 [&](bool, std::string_view) {
                     if (!cut) {
                         sshd_.kill_connections();
                     }
                     cut = true;
                 }));
}

TEST_F(SshTest, ASignalInterruptsTheWaitForASilentServer) {
    const Listener silent;
    const std::string log = dir_ / "log";
    Daemon helper({this_executable(), "--helper", "be-cancelled", "ssh-connect",
                   std::to_string(silent.port())},
                  log);
    ASSERT_TRUE(becomes_true([&] { return file_text(log) == "started\n"; }));
    ::kill(helper.pid(), SIGINT);
    ASSERT_TRUE(becomes_true([&] { return !helper.running(); }));
    EXPECT_EQ(file_text(log), "started\ninterrupted by 2\n");
}

TEST_F(SshTest, TheProgramThatWaitsHoldsNoSocketOpenForItsChildren) {
    SshNode node("node 1", sshd_.options(), seconds(10));
    EXPECT_EQ(echo(node).out, "hello\n");
    const Outcome outcome = run_process({{"ls", "-l", "/proc/self/fd"}, {}, {}}, soon());
    EXPECT_LACKS(outcome.out, "socket:");
}

}  // namespace
}  // namespace hooks::contract
