// What pgpool leaves to its children: blocked signals, ignored ones, its listening socket. No hook
// is held up by that, and no server that a hook starts inherits it.
#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <cstdint>

#include "tests/support/checks.h"
#include "tests/support/cluster.h"
#include "tests/support/hook_call.h"
#include "tests/support/pgpool_child.h"
#include "tests/support/process_table.h"

namespace hooks::harness {
namespace {

using std::chrono::seconds;
using Words = std::vector<std::string>;

ClusterOptions two_nodes() {
    ClusterOptions options;
    options.nodes = 2;
    options.failover_command = "";
    options.follow_primary_command = "";
    options.hooks_conf =
        "connect_timeout = '3s'\nfailover_timeout = '3s'\nfollow_timeout = '3s'\n"
        "recovery_timeout = '3s'\n";
    return options;
}

Words command(const Cluster& cluster, const std::string& hook, const std::string& conf = {}) {
    Words argv{cluster.hook_path(hook), "--config",
               conf.empty() ? cluster.hooks_conf_path() : conf};
    const bool failover = hook == "failover_command";
    Words words = right_words(cluster, hook, failover ? 0 : 1, failover ? 1 : 0);
    if (failover) {
        words[7] = words[0];  // %P: the primary was lost
    }
    argv.insert(argv.end(), words.begin(), words.end());
    return argv;
}

void expect_nothing_inherited(const PgpoolChild& child, pid_t pid) {
    for (const std::string& descriptor : descriptors_of(pid)) {
        EXPECT_EQ(std::count(child.inherited().begin(), child.inherited().end(), descriptor), 0)
            << descriptor;
    }
}

// Of the signals that a program may use: glibc's posix_spawn() leaves its own two, 32 and 33,
// ignored in what it starts.
std::uint64_t signals(pid_t pid, const std::string& key) {
    constexpr std::uint64_t of_glibc = std::uint64_t{3} << 31;
    return std::stoull(status_of(pid, key), nullptr, 16) & ~of_glibc;
}

// As one that was started without any of this.
void expect_like(const Cluster& cluster, pid_t pid, pid_t model) {
    // While it handles a signal of its own, a server blocks the others.
    cluster.wait_until([&] { return status_of(pid, "SigBlk") == "0000000000000000"; }, seconds(5),
                       "no signal is blocked");
    EXPECT_EQ(signals(pid, "SigIgn"), signals(model, "SigIgn"));
    EXPECT_EQ(signals(pid, "SigCgt"), signals(model, "SigCgt"));
}

// Of each hook.
class LeftByPgpool : public testing::TestWithParam<std::string> {
  protected:
    static ClusterOptions options() {
        ClusterOptions options = two_nodes();
        options.with_pgpool = false;
        return options;
    }
    void SetUp() override {
        cluster.start();
        for (const int node : {0, 1}) {
            cluster.server(node).freeze();
        }
    }
    Cluster cluster{options()};
};

TEST_P(LeftByPgpool, AFrozenServerHoldsItUpUntilItsOwnDeadlineOnly) {
    PgpoolChild child(cluster, command(cluster, GetParam()));
    Outcome outcome = child.wait(seconds(20));
    const HookCall call = read_call(GetParam(), std::move(outcome), child.age());
    EXPECT_NE(call.outcome.exit_code, 0) << call.text();
    EXPECT_EQ(call.verdicts.size(), 1U) << call.text();
    EXPECT_NE(call.field("next"), "") << call.text();
    EXPECT_GE(call.took, seconds(2)) << call.text();
    EXPECT_LT(call.took, seconds(5)) << call.text();
}

TEST_P(LeftByPgpool, SigtermEndsItAtOnce) {
    PgpoolChild child(cluster, command(cluster, GetParam()));
    cluster.wait_until([&] { return child.err().find("\"called\"") != std::string::npos; },
                       seconds(10), "it works");
    child.signal(SIGTERM);
    const auto before = child.age();
    Outcome outcome = child.wait(seconds(20));
    const HookCall call = read_call(GetParam(), std::move(outcome), child.age() - before);
    EXPECT_EQ(call.outcome.exit_code, static_cast<int>(ExitCode::interrupted)) << call.text();
    EXPECT_EQ(call.verdicts.size(), 1U) << call.text();
    EXPECT_NE(call.field("verdict").find("stopped by signal 15"), std::string::npos) << call.text();
    EXPECT_NE(call.field("next"), "") << call.text();
    EXPECT_LT(call.took, seconds(1)) << call.text();
}

INSTANTIATE_TEST_SUITE_P(Of, LeftByPgpool, testing::ValuesIn(hook_names()),
                         [](const auto& test) { return test.param; });

// By SSH, and by a hook that runs on the node itself.
class ServerStarted : public testing::TestWithParam<bool> {};

TEST_P(ServerStarted, ByPgpoolRemoteStartHasNothingOfPgpool) {
    const bool local = GetParam();
    ClusterOptions options = two_nodes();
    options.with_pgpool = false;
    options.hooks_conf = local ? "local_nodes = on\n" : "";
    Cluster cluster(options);
    cluster.start();
    cluster.stop_postgres(1);
    if (local) {
        cluster.kill_sshd(1);
    }
    PgpoolChild child(cluster, command(cluster, "pgpool_remote_start"), local ? 1 : kHub);
    const Outcome outcome = child.wait(seconds(30));
    ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
    const pid_t postmaster = cluster.server(1).pid();
    expect_nothing_inherited(child, postmaster);
    expect_like(cluster, postmaster, cluster.server(0).pid());
    for (const pid_t backend : children_of(postmaster)) {
        expect_nothing_inherited(child, backend);
    }
}

INSTANTIATE_TEST_SUITE_P(Node, ServerStarted, testing::Values(false, true),
                         [](const auto& test) { return test.param ? "OnTheNodeItself" : "BySsh"; });

TEST(Worker, AndTheServerThatItStartsHaveNothingOfPgpool) {
    ClusterOptions options = two_nodes();
    options.hooks_conf = "";
    Cluster cluster(options);
    cluster.start();
    cluster.kill_postgres(1);
    cluster.wait_until([&] { return !cluster.pool_status().at(1).attached(); }, seconds(30),
                       "pgpool sees that node 1 is down");
    cluster.kill_sshd(1);  // so that the worker can be looked at: it waits for the host

    PgpoolChild child(cluster, command(cluster, "follow_primary_command"));
    const HookCall call = read_call("follow_primary_command", child.wait(seconds(30)), child.age());
    ASSERT_EQ(call.outcome.exit_code, 0) << call.text();
    const std::string verdict = call.field("verdict");
    const std::size_t at = verdict.find("worker, pid ");
    ASSERT_NE(at, std::string::npos) << call.text();
    const pid_t worker = std::stoi(verdict.substr(at + 12));
    ASSERT_TRUE(is_alive(worker)) << cluster.hook_log();
    expect_nothing_inherited(child, worker);
    EXPECT_EQ(status_of(worker, "SigBlk"), "0000000000000000");

    cluster.start_sshd(1);
    expect_streaming(cluster, 1);
    expect_attached(cluster, 1);
    const pid_t postmaster = cluster.server(1).pid();
    expect_nothing_inherited(child, postmaster);
    expect_like(cluster, postmaster, cluster.server(0).pid());
}

}  // namespace
}  // namespace hooks::harness
