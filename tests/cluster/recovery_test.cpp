// Online recovery: pcp_recovery_node, by recovery_1st_stage and pgpool_remote_start.
#include <gtest/gtest.h>

#include "tests/cluster/calls.h"
#include "tests/support/hook_call.h"

namespace hooks::harness {
namespace {

using std::chrono::seconds;

std::string all_output(const Outcome& outcome) {
    return outcome.out + outcome.err;
}

void recover(const Cluster& cluster, int node) {
    const Outcome outcome = cluster.pcp("pcp_recovery_node", {std::to_string(node)});
    EXPECT_NE(all_output(outcome).find("Command Successful"), std::string::npos)
        << all_output(outcome) << cluster.dump();
    // When pgpool says so, it is so.
    EXPECT_EQ(cluster.streaming_problem(node), "") << cluster.dump();
    expect_attached(cluster, node);
}

std::string work_directory(const Cluster& cluster, int node) {
    return cluster.data_directory(node) + ".pgpool-hooks";
}

// On the primary's host, where pgpool_recovery() runs it.
Outcome first_stage_by(const Cluster& cluster, int primary, const std::vector<std::string>& words) {
    std::vector<std::string> argv = {cluster.hook_path("recovery_1st_stage"), "--config",
                                     cluster.hooks_conf_path()};
    argv.insert(argv.end(), words.begin(), words.end());
    return Place(cluster.account(), cluster.network().namespace_path(primary))
        .run(argv, seconds(120));
}

Outcome first_stage(const Cluster& cluster, int node, std::size_t words = 7) {
    std::vector<std::string> all = right_words(cluster, "recovery_1st_stage", node, 0);
    all.resize(words);
    return first_stage_by(cluster, 0, all);
}

Outcome remote_start(const Cluster& cluster, int node) {
    return cluster.run_hook(
        "pgpool_remote_start",
        {"--config", cluster.hooks_conf_path(), cluster.host(node), cluster.data_directory(node)});
}

using RecoveryByHand = ByHandTest;

TEST(Recovery, AWipedNodeIsBroughtBackByPcpRecoveryNode) {
    Cluster cluster;
    cluster.start();
    Writer writer(cluster);
    writer.start();
    cluster.kill_postgres(2);
    cluster.wipe(2);
    writer.wait_for_commits(10);
    cluster.wait_until([&] { return !cluster.pool_status().at(2).attached(); }, seconds(30),
                       "pgpool sees the loss");
    recover(cluster, 2);
    // Ready for the next recovery, and for being the primary that runs one.
    for (const char* wrapper : {"/recovery_1st_stage", "/pgpool_remote_start"}) {
        EXPECT_TRUE(cluster.run_shell("test -x " + cluster.data_directory(2) + wrapper).ok());
    }
    EXPECT_FALSE(cluster.run_shell("test -e " + work_directory(cluster, 2) + "/incoming").ok());
    writer.wait_for_commits(5);
    expect_one_writable(cluster);
    expect_no_acknowledged_row_lost(cluster, writer);
}

TEST(Recovery, ARecoveredNodeCanTakeOverAndRecoverTheOther) {
    ClusterOptions options;
    options.nodes = 2;
    Cluster cluster(options);
    cluster.start();
    Writer writer(cluster);
    writer.start();
    cluster.kill_postgres(1);
    cluster.wipe(1);
    cluster.wait_until([&] { return !cluster.pool_status().at(1).attached(); }, seconds(30),
                       "pgpool sees the loss");
    recover(cluster, 1);
    writer.stop();
    EXPECT_EQ(writer.missing_rows(), std::vector<std::int64_t>{});
    cluster.wait_until([&] { return cluster.streaming_problem(1).empty(); }, seconds(10), "node 1");

    cluster.kill_sshd(0);  // so that the follow worker does not repair it before it is wiped
    cluster.kill_postgres(0);
    cluster.wipe(0);
    Writer after(cluster);
    after.start();
    EXPECT_EQ(cluster.primary(), 1);
    cluster.wait_until([&] { return !cluster.pool_status().at(0).attached(); }, seconds(30),
                       "pgpool sees the loss");
    cluster.start_sshd(0);
    // The worker of follow_primary_command rebuilds an empty node too; either gets there first.
    expect_streaming(cluster, 0, seconds(60));
    expect_attached(cluster, 0);
    expect_one_writable(cluster);
    expect_no_acknowledged_row_lost(cluster, after);
}

TEST(Recovery, AStoppedStandbyIsRecoveredWithoutCopyingAnything) {
    Cluster cluster;
    cluster.start();
    cluster.stop_postgres(2);
    cluster.wait_until([&] { return !cluster.pool_status().at(2).attached(); }, seconds(30),
                       "pgpool sees the loss");
    recover(cluster, 2);
    expect_history(cluster, "rule=R06");
    expect_one_writable(cluster);
}

TEST_F(RecoveryByHand, ADivergedNodeIsRewoundNotCopied) {
    diverge();
    cluster.stop_postgres(0);
    ASSERT_EQ(call(cluster, "failover_command", 0, 1, 0).exit_code, 0);

    const std::vector<std::string> arguments = {"--config",
                                                cluster.hooks_conf_path(),
                                                cluster.data_directory(1),
                                                cluster.host(0),
                                                cluster.data_directory(0),
                                                std::to_string(cluster.port(1)),
                                                "0",
                                                std::to_string(cluster.port(0)),
                                                cluster.host(1)};
    const Outcome first = cluster.run_hook("recovery_1st_stage", arguments);
    EXPECT_EQ(first.exit_code, 0) << first.err;
    EXPECT_NE(first.err.find("rule=R08"), std::string::npos) << first.err;
    EXPECT_FALSE(cluster.postgres_runs(0));  // starting it is the next stage
    const Outcome started = remote_start(cluster, 0);
    EXPECT_EQ(started.exit_code, 0) << started.err;
    EXPECT_EQ(cluster.streaming_problem(0), "") << started.err;
    expect_not_diverged(0);
}

TEST_F(RecoveryByHand, AServerThatStillRunsOnTheTargetIsStoppedFirst) {
    const Outcome first = first_stage(cluster, 2);
    EXPECT_EQ(first.exit_code, 0) << first.err;
    EXPECT_FALSE(cluster.postgres_runs(2));
    const Outcome second = remote_start(cluster, 2);
    EXPECT_EQ(second.exit_code, 0) << second.err;
    EXPECT_EQ(cluster.streaming_problem(2), "") << second.err;
}

TEST_F(RecoveryByHand, EveryFormOfTheArgumentsWorks) {
    for (std::size_t words = 4; words <= 7; ++words) {
        cluster.stop_postgres(2);
        const Outcome first = first_stage(cluster, 2, words);
        EXPECT_EQ(first.exit_code, 0) << words << " words: " << first.err;
        const Outcome second = remote_start(cluster, 2);
        EXPECT_EQ(second.exit_code, 0) << second.err;
        EXPECT_EQ(cluster.streaming_problem(2), "") << second.err;
    }
}

// As most sites are: every backend has the same directory and port, and up to Pgpool-II 4.2 nothing
// says who the primary is. All hosts share one file system here, so the directory is that of the
// node to be recovered, and a wrapper makes the words of 4.1 out of those of today.
ClusterOptions one_layout() {
    ClusterOptions options = by_hand();
    options.base_directory = Account::for_servers().home + "/one-layout";
    const std::string directory = options.base_directory + "/node2/data";
    for (const char* node : {"0", "1", "2"}) {
        options.pgpool_settings[std::string("backend_data_directory") + node] = directory;
    }
    options.recovery_1st_stage = "#!/bin/sh\nexec " + options.base_directory +
                                 "/bin/recovery_1st_stage --config " + options.base_directory +
                                 "/hooks.conf " + directory +
                                 " \"$2\" \"$3\" \"$4\" \"$5\" \"$6\"\n";
    return options;
}

TEST(Recovery, ThePrimaryIsFoundWhereAllNodesHaveTheSameDirectoryAndPort) {
    Cluster cluster(one_layout());
    cluster.start();
    cluster.stop_postgres(2);
    cluster.wait_until([&] { return !cluster.pool_status().at(2).attached(); }, seconds(30),
                       "pgpool sees the loss");
    cluster.kill_postgres(0);
    cluster.sql(1, "SELECT pg_promote()");
    cluster.wait_until([&] { return cluster.pool_status().at(1).role == "primary"; }, seconds(30),
                       "pgpool finds the primary");
    // The first that fits, of the past, and with rows that nobody else has.
    cluster.start_postgres(0);
    cluster.sql(0, "CREATE TABLE public.of_the_past ()");

    Outcome outcome;
    cluster.wait_until(
        [&] {
            outcome = cluster.pcp("pcp_recovery_node", {"2"});
            return all_output(outcome).find("failover is in progress") == std::string::npos;
        },
        seconds(30), "pgpool is done with its failover");
    EXPECT_NE(all_output(outcome).find("Command Successful"), std::string::npos)
        << all_output(outcome) << cluster.dump();
    EXPECT_EQ(cluster.view(2).sender_host, cluster.host(1)) << cluster.dump();
    expect_attached(cluster, 2);

    std::vector<std::string> words = right_words(cluster, "recovery_1st_stage", 2, 1);
    words[0] = cluster.data_directory(2);
    for (std::size_t count = 6; count >= 4; --count) {
        words.resize(count);
        const std::string start_time = cluster.start_time(2);
        words.insert(words.begin(), {"--config", cluster.hooks_conf_path()});
        const HookCall elsewhere = call_hook(cluster, "recovery_1st_stage", words);
        words.erase(words.begin(), words.begin() + 2);
        EXPECT_EQ(elsewhere.outcome.exit_code, 3) << elsewhere.text();
        EXPECT_NE(elsewhere.field("verdict").find("node 0 (" + cluster.host(0) +
                                                  ":5432): its host is not this one"),
                  std::string::npos)
            << elsewhere.text();
        EXPECT_EQ(cluster.start_time(2), start_time) << "something was done to it";

        const Outcome first = first_stage_by(cluster, 1, words);
        EXPECT_EQ(first.exit_code, 0) << count << " words: " << first.err;
        EXPECT_EQ(remote_start(cluster, 2).exit_code, 0) << cluster.dump();
        EXPECT_EQ(cluster.view(2).sender_host, cluster.host(1)) << count << " words";
    }
    cluster.stop_postgres(0);
    EXPECT_EQ(cluster.streaming_problem(2), "") << cluster.dump();
    expect_one_writable(cluster);
}

// Fails while it copies: a file that the server must not read.
TEST_F(RecoveryByHand, ABaseBackupThatFailsMidwayLeavesTheOldDataStartable) {
    cluster.stop_postgres(2);
    // Another cluster's identity would do as well; a marker asks for a base backup for certain.
    const std::string work = work_directory(cluster, 2);
    ASSERT_TRUE(
        cluster.run_shell("mkdir " + work + " && touch " + work + "/rewind-unfinished").ok());
    const std::string unreadable = cluster.data_directory(0) + "/base/unreadable";
    ASSERT_TRUE(cluster.run_shell("touch " + unreadable + " && chmod 000 " + unreadable).ok());
    const std::string listing = "cd " + cluster.data_directory(2) + " && find . | sort | cksum";
    const std::string before = cluster.run_shell(listing).out;

    const Outcome failed = first_stage(cluster, 2);
    EXPECT_EQ(failed.exit_code, 5) << failed.err;
    EXPECT_NE(failed.err.find("the old data is untouched"), std::string::npos) << failed.err;
    EXPECT_EQ(cluster.run_shell(listing).out, before);
    EXPECT_EQ(remote_start(cluster, 2).exit_code, 3) << "started over an unfinished rewind";

    ASSERT_TRUE(cluster.run_shell("rm " + work + "/rewind-unfinished").ok());
    cluster.start_postgres(2);
    expect_streaming(cluster, 2);
    cluster.stop_postgres(2);

    ASSERT_TRUE(cluster.run_shell("rm -f " + unreadable).ok());
    const Outcome again = first_stage(cluster, 2);
    EXPECT_EQ(again.exit_code, 0) << again.err;
    EXPECT_EQ(remote_start(cluster, 2).exit_code, 0);
    expect_streaming(cluster, 2);
}

TEST_F(RecoveryByHand, RemoteStartRefusesWhatWouldComeUpAsAPrimary) {
    cluster.stop_postgres(2);
    ASSERT_TRUE(cluster.run_shell("rm " + cluster.data_directory(2) + "/standby.signal").ok());
    const Outcome outcome = remote_start(cluster, 2);
    EXPECT_EQ(outcome.exit_code, 3) << outcome.err;
    EXPECT_NE(outcome.err.find("rule=S03"), std::string::npos) << outcome.err;
    EXPECT_FALSE(cluster.postgres_runs(2));
}

TEST_F(RecoveryByHand, RemoteStartPrintsTheEndOfTheLogOfAServerThatDoesNotComeUp) {
    cluster.stop_postgres(2);
    ASSERT_TRUE(cluster
                    .run_shell("echo 'shared_buffers = nonsense' >> " + cluster.data_directory(2) +
                               "/postgresql.auto.conf")
                    .ok());
    const Outcome outcome = remote_start(cluster, 2);
    EXPECT_NE(outcome.exit_code, 0);
    EXPECT_NE(outcome.err.find("shared_buffers"), std::string::npos) << outcome.err;
}

TEST_F(RecoveryByHand, TheHookKilledMidwayAndRunAgainConverges) {
    cluster.sql(0,
                "CREATE TABLE public.bulk AS SELECT g, repeat('x', 500) AS filler "
                "FROM generate_series(1, 100000) g");
    cluster.stop_postgres(2);
    cluster.wipe(2);
    const std::string incoming = work_directory(cluster, 2) + "/incoming";
    std::string line = cluster.hook_path("recovery_1st_stage") + " --config " +
                       cluster.hooks_conf_path() + " " + cluster.data_directory(0) + " " +
                       cluster.host(2) + " " + cluster.data_directory(2) + " " +
                       std::to_string(cluster.port(0)) + " 2 " + std::to_string(cluster.port(2)) +
                       " " + cluster.host(0);
    // Killed as soon as the copy has begun.
    const Outcome killed =
        cluster.run_shell(line + " & pid=$!; while [ ! -e " + incoming +
                          "/base ] && kill -0 $pid; do sleep 0.01; done; kill -9 $pid; wait $pid");
    EXPECT_EQ(killed.exit_code, 137) << killed.err;
    EXPECT_FALSE(cluster.run_shell("test -e " + cluster.data_directory(2)).ok());

    const Outcome again = first_stage(cluster, 2);
    EXPECT_EQ(again.exit_code, 0) << again.err;
    EXPECT_EQ(remote_start(cluster, 2).exit_code, 0);
    expect_streaming(cluster, 2);
    EXPECT_EQ(cluster.sql_value(2, "SELECT count(*) FROM public.bulk"), "100000");
}

TEST_F(RecoveryByHand, TwoRecoveriesOfOneNodeAtOnce) {
    cluster.stop_postgres(2);
    cluster.wipe(2);
    const std::string line = cluster.hook_path("recovery_1st_stage") + " --config " +
                             cluster.hooks_conf_path() + " " + cluster.data_directory(0) + " " +
                             cluster.host(2) + " " + cluster.data_directory(2) + " " +
                             std::to_string(cluster.port(0)) + " 2 " +
                             std::to_string(cluster.port(2)) + " " + cluster.host(0);
    const Outcome outcome = cluster.run_shell(
        "(" + line + "; echo $? >" + cluster.base_directory() + "/one) & " + line + "; echo $? >" +
        cluster.base_directory() + "/two; wait; cat " + cluster.base_directory() + "/one " +
        cluster.base_directory() + "/two | sort | tr -d '\\n'");
    EXPECT_EQ(outcome.out, "03") << outcome.err;
    EXPECT_NE(outcome.err.find("another run works on node 2: recovery_1st_stage pid "),
              std::string::npos)
        << outcome.err;
    EXPECT_EQ(remote_start(cluster, 2).exit_code, 0);
    expect_streaming(cluster, 2);
}

}  // namespace
}  // namespace hooks::harness
