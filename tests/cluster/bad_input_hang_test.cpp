// Servers that accept a connection and then say nothing: each hook ends within the time that
// hooks.conf gives it, and says who kept it waiting.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>

#include "tests/support/cluster.h"
#include "tests/support/hook_call.h"
#include "tests/support/process_table.h"
#include "tests/support/snapshot.h"

namespace hooks::harness {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using Words = std::vector<std::string>;

constexpr const char* kSaysNothing = "accepted the connection and then said nothing";

class Hang : public testing::Test {
  protected:
    static ClusterOptions options() {
        ClusterOptions options;
        options.nodes = 2;
        options.with_pgpool = false;
        options.hooks_conf =
            "connect_timeout = '1s'\nfailover_timeout = '3s'\nfollow_timeout = '3s'\n"
            "recovery_timeout = '3s'\nfailed_standby_slot = 'keep'\n";
        return options;
    }
    void SetUp() override { cluster.start(); }

    std::string label(int node) const {
        return "node " + std::to_string(node) + " (" + cluster.host(node) + ":" +
               std::to_string(cluster.port(node)) + ")";
    }
    Words lost_primary() const {
        Words words = right_words(cluster, "failover_command", 0, 1);
        words[7] = words[0];  // %P
        return words;
    }
    Words words_of(const std::string& hook) const {
        return hook == "failover_command" ? lost_primary() : right_words(cluster, hook, 1, 0);
    }
    Words worker() const {
        Words words = words_of("follow_primary_command");
        words.insert(words.begin(), "--worker");
        return words;
    }

    // With the servers of `frozen`, while it runs, as SIGSTOP leaves them.
    void refuses(const std::string& hook, const Words& words, const std::vector<int>& frozen,
                 const Complaint& complaint) {
        SCOPED_TRACE(hook);
        const std::string before = snapshot(cluster);
        for (const int node : frozen) {
            cluster.server(node).freeze();
        }
        const HookCall call = call_hook(cluster, hook, words);
        for (const int node : frozen) {
            cluster.server(node).thaw();
        }
        expect_complaint(cluster, call, complaint);
        EXPECT_EQ(snapshot(cluster), before) << call.text();
    }

    Cluster cluster{options()};
};

TEST_F(Hang, PostgresOfEveryNodeAndThePrimaryIsDetached) {
    refuses("failover_command", lost_primary(), {0, 1},
            {ExitCode::refused,
             {"no standby can be promoted", label(1), kSaysNothing},
             {"Bring a standby up"},
             milliseconds(3800)});
}

TEST_F(Hang, PostgresOfTheLastStandbyAndThePrimaryIsDead) {
    cluster.kill_postgres(0);
    refuses("failover_command", lost_primary(), {1},
            {ExitCode::refused,
             {"no standby can be promoted", label(1), kSaysNothing},
             {"Bring a standby up"},
             milliseconds(3800)});
}

TEST_F(Hang, PostgresOfThePrimaryAndAStandbyIsDetached) {
    const std::string before = snapshot(cluster);
    cluster.server(0).freeze();
    const HookCall call =
        call_hook(cluster, "failover_command", right_words(cluster, "failover_command", 1, 0));
    cluster.server(0).thaw();
    // Pgpool calls again if it comes to the same conclusion about the primary.
    EXPECT_EQ(call.outcome.exit_code, 0) << call.text();
    EXPECT_EQ(call.field("rule"), "F08") << call.text();
    EXPECT_NE(call.field("verdict").find(kSaysNothing), std::string::npos) << call.text();
    EXPECT_LT(call.took, milliseconds(1800));
    EXPECT_EQ(snapshot(cluster), before) << call.text();
}

TEST_F(Hang, PostgresOfThePrimaryThatIsToBeFollowed) {
    refuses("follow_primary_command", words_of("follow_primary_command"), {0},
            {ExitCode::refused,
             {"node 1 shall follow node 0", label(0), kSaysNothing},
             {},
             milliseconds(1800)});
    refuses("follow_primary_command", worker(), {0},
            {ExitCode::timeout,
             {"asking the primary", label(0), kSaysNothing},
             {},
             milliseconds(3800)});
    refuses("recovery_1st_stage", words_of("recovery_1st_stage"), {0},
            {ExitCode::timeout,
             {"asking the primary", label(0), kSaysNothing},
             {},
             milliseconds(3800)});
    refuses("pgpool_remote_start", words_of("pgpool_remote_start"), {0},
            {ExitCode::not_verified,
             {"prove that node 1 streams", cluster.host(0), kSaysNothing},
             {},
             milliseconds(3800)});
}

TEST_F(Hang, PostgresOfTheNodeThatIsToBeStarted) {
    refuses("pgpool_remote_start", words_of("pgpool_remote_start"), {1},
            {ExitCode::not_verified,
             {"prove that node 1 streams", label(1), kSaysNothing},
             {},
             milliseconds(3800)});
}

// A server that hangs is stopped before its files are touched; one that takes no signal is killed.
TEST_F(Hang, PostgresOfTheNodeThatIsToBeRebuiltOrToFollow) {
    for (const std::string hook : {"recovery_1st_stage", "follow_primary_command"}) {
        cluster.server(1).freeze();
        const HookCall call =
            call_hook(cluster, hook, hook == "recovery_1st_stage" ? words_of(hook) : worker());
        // No pgpool is here to attach it.
        EXPECT_EQ(call.outcome.exit_code,
                  static_cast<int>(hook == "recovery_1st_stage" ? ExitCode::done
                                                                : ExitCode::not_verified))
            << call.text();
        EXPECT_NE(call.text().find("stop the server of node 1"), std::string::npos) << call.text();
        if (!cluster.postgres_runs(1)) {
            cluster.start_postgres(1);
        }
        cluster.wait_until([&] { return cluster.streaming_problem(1).empty(); }, seconds(20),
                           "node 1 streams");
    }
}

TEST_F(Hang, SshdOfTheNode) {
    for (const std::string& hook : hook_names()) {
        const int node = hook == "failover_command" ? 0 : 1;
        if (hook == "pgpool_remote_start") {
            cluster.stop_postgres(1);
        }
        cluster.sshd(node).freeze();
        refuses(hook, hook == "follow_primary_command" ? worker() : words_of(hook), {},
                {ExitCode::unreachable,
                 {label(node), cluster.host(node) + " port 22", kSaysNothing},
                 {"hangs"},
                 milliseconds(hook == "follow_primary_command" ? 3800 : 1800)});
        cluster.sshd(node).thaw();
    }
}

TEST_F(Hang, HostOfTheNodeIsCutOff) {
    for (const std::string& hook : hook_names()) {
        const int node = hook == "failover_command" ? 1 : 0;
        SCOPED_TRACE(hook);
        cluster.cut_host(node);
        const HookCall call = call_hook(cluster, hook, words_of(hook));
        cluster.heal_host(node);
        EXPECT_NE(call.outcome.exit_code, 0) << call.text();
        expect_complaint(cluster, call,
                         {static_cast<ExitCode>(call.outcome.exit_code),
                          {cluster.host(node)},
                          {},
                          milliseconds(3800)});
    }
}

// The server takes the request to promote, and its startup process does not act on it.
TEST_F(Hang, APromotionThatIsTakenAndNotCarriedOut) {
    cluster.kill_postgres(0);
    const pid_t postmaster = cluster.server(1).pid();
    pid_t startup = 0;
    for (const pid_t child : children_of(postmaster)) {
        std::string title = read_file("/proc/" + std::to_string(child) + "/cmdline");
        startup = title.find("startup") != std::string::npos ? child : startup;
    }
    ASSERT_GT(startup, 0);
    cluster.run_shell("kill -STOP " + std::to_string(startup));
    const HookCall call = call_hook(cluster, "failover_command", lost_primary());
    cluster.run_shell("kill -CONT " + std::to_string(startup));
    EXPECT_EQ(call.outcome.exit_code, static_cast<int>(ExitCode::failed_midway)) << call.text();
    expect_complaint(cluster, call, {ExitCode::failed_midway, {"node 1"}, {}, milliseconds(3800)});
}

// PCP is asked for last: the standby streams, and is not attached.
TEST_F(Hang, PcpPort) {
    const std::string conf = cluster.base_directory() + "/pcp.conf";
    cluster.server(0).place().write_file(conf, read_file(cluster.hooks_conf_path()) +
                                                   "pcp_host = '" + cluster.host(0) +
                                                   "'\npcp_port = 5432\n");
    Words words = worker();
    words.insert(words.begin(), {"--config", conf});
    const HookCall call = call_hook(cluster, "follow_primary_command", words);
    expect_complaint(cluster, call,
                     {ExitCode::not_verified,
                      {"attach node 1 to pgpool", "pcp_node_info"},
                      {},
                      milliseconds(3800)});
    cluster.wait_until([&] { return cluster.streaming_problem(1).empty(); }, seconds(10), "node 1");
}

}  // namespace
}  // namespace hooks::harness
