// The harness proves itself, with hooks so simple that they cannot be at fault.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>

#include "tests/support/checks.h"
#include "tests/support/cluster.h"
#include "tests/support/process_table.h"
#include "tests/support/sandbox.h"
#include "tests/support/writer.h"

namespace hooks::harness {
namespace {

using std::chrono::seconds;

// Only the first half of what has to be done: promote what pgpool proposes.
ClusterOptions with_plain_promotion(ClusterOptions options = {}) {
    options.failover_command =
        "[ %d = %P ] && psql -X -h %H -p %r -U postgres -c \"SELECT pg_promote()\" postgres";
    options.follow_primary_command = "";
    return options;
}

PgAnswer::Kind ask(const Cluster& cluster, int node) {
    return PgConnection::open(cluster.conninfo(node), "test", Deadline::after(Milliseconds(700)))
        .kind;
}

Outcome ssh(const Cluster& cluster, int node, const std::string& command, int timeout = 1) {
    return cluster.run_shell(
        "ssh -o BatchMode=yes -o StrictHostKeyChecking=yes -o ConnectTimeout=" +
        std::to_string(timeout) + " " + cluster.host(node) + " " + command);
}

TEST(Harness, BringsUpAClusterThatServesAndStreams) {
    Cluster cluster(with_plain_promotion());
    cluster.start();
    expect_one_writable(cluster);
    EXPECT_EQ(cluster.primary(), 0);
    for (int node = 0; node < cluster.size(); ++node) {
        expect_attached(cluster, node);
        const Outcome outcome = ssh(cluster, node, "id -un", 10);
        EXPECT_EQ(outcome.out, "postgres\n") << outcome.err;
    }
    expect_streaming(cluster, 1);
    expect_streaming(cluster, 2);
    EXPECT_NE(cluster.streaming_problem(0), "");
    EXPECT_EQ(cluster.topology(),
              "node 0 (10.77.0.1:5432)  primary, timeline 1\n"
              "|-- node 1 (10.77.0.2:5432)  standby, streaming, timeline 1\n"
              "`-- node 2 (10.77.0.3:5432)  standby, streaming, timeline 1\n");
}

TEST(Harness, WriterGoesOnAfterThePrimaryIsKilled) {
    Cluster cluster(with_plain_promotion());
    cluster.start();
    Writer writer(cluster);
    writer.start();
    writer.wait_for_commits(20);

    const auto kill_time = Writer::Clock::now();
    cluster.kill_postgres(0);
    EXPECT_FALSE(cluster.postgres_runs(0));
    EXPECT_EQ(ask(cluster, 0), PgAnswer::Kind::refused);
    writer.wait_for_commits(20);

    EXPECT_EQ(cluster.primary(), 1) << cluster.dump();
    expect_one_writable(cluster);
    expect_no_acknowledged_row_lost(cluster, writer);
    std::cout << "outage " << writer.longest_outage(kill_time).length.count() << " ms\n";
}

TEST(Harness, SeesTwoPrimariesAndLostRows) {
    Cluster cluster(with_plain_promotion());
    cluster.start();
    Writer writer(cluster);
    writer.start();
    writer.wait_for_commits(5);
    writer.stop();
    cluster.sql(1, "SELECT pg_promote()");
    EXPECT_EQ(cluster.writable_nodes(), (std::vector<int>{0, 1}));
    EXPECT_EQ(cluster.primary(), std::nullopt);
    cluster.stop_postgres(1);
    const std::int64_t second = writer.commits().at(1).number;
    cluster.sql(0, "DELETE FROM public.writer_rows WHERE number = " + std::to_string(second));
    EXPECT_EQ(writer.missing_rows(), std::vector<std::int64_t>{second});
}

TEST(Harness, AHostThatIsCutOffIsSilentUntilItIsHealed) {
    ClusterOptions options;
    options.with_pgpool = false;
    Cluster cluster(options);
    cluster.start();
    cluster.cut_host(1);
    EXPECT_EQ(ask(cluster, 1), PgAnswer::Kind::silent);
    EXPECT_EQ(ask(cluster, 2), PgAnswer::Kind::serving);
    EXPECT_NE(ssh(cluster, 1, "true").exit_code, 0);
    cluster.heal_host(1);
    EXPECT_EQ(ask(cluster, 1), PgAnswer::Kind::serving);
    expect_streaming(cluster, 1);

    // What node 0 sends to node 2 is lost, what it sends to everybody else is not.
    cluster.cut_one_way(0, 2);
    EXPECT_EQ(ask(cluster, 2), PgAnswer::Kind::serving);
    expect_streaming(cluster, 1);
    EXPECT_NE(cluster.streaming_problem(2), "");
    cluster.heal_one_way(0, 2);
    expect_streaming(cluster, 2);

    cluster.cut_one_way(2, kHub);
    EXPECT_EQ(ask(cluster, 2), PgAnswer::Kind::silent);
    cluster.heal_one_way(2, kHub);
    EXPECT_EQ(ask(cluster, 2), PgAnswer::Kind::serving);
}

TEST(Harness, FrozenServersAcceptAndSayNothing) {
    ClusterOptions options;
    options.with_pgpool = false;
    options.nodes = 2;
    Cluster cluster(options);
    cluster.start();
    cluster.freeze_postgres(1);
    EXPECT_EQ(ask(cluster, 1), PgAnswer::Kind::silent);
    cluster.thaw_postgres(1);
    EXPECT_EQ(ask(cluster, 1), PgAnswer::Kind::serving);

    cluster.sshd(1).freeze();
    EXPECT_NE(ssh(cluster, 1, "true").exit_code, 0);
    cluster.sshd(1).thaw();
    EXPECT_EQ(ssh(cluster, 1, "true", 10).exit_code, 0);

    cluster.kill_sshd(1);
    EXPECT_NE(ssh(cluster, 1, "true").err.find("refused"), std::string::npos);
    cluster.sshd(1).change_host_key();
    cluster.start_sshd(1);
    EXPECT_NE(ssh(cluster, 1, "true", 10).err.find("REMOTE HOST IDENTIFICATION HAS CHANGED"),
              std::string::npos);
}

TEST(Harness, AWipedStandbyComesBackByPcpRecoveryNode) {
    ClusterOptions options = with_plain_promotion();
    options.recovery_1st_stage =
        "#!/bin/sh -e\n"
        "ssh $2 \"rm -rf $3 && pg_basebackup -D $3 -h $7 -p $4 -U repl -c fast -R -S "
        "pgpool_node_$5\"\n"
        "ssh $2 \"sed -i 's/user=repl/user=repl application_name=node$5/' "
        "$3/postgresql.auto.conf\"\n";
    options.pgpool_remote_start = "#!/bin/sh -e\nssh $1 \"" + find_postgres_bin_dir() +
                                  "/pg_ctl -D $2 -w -l /dev/null start\"\n";
    Cluster cluster(options);
    cluster.start();
    Writer writer(cluster);
    writer.start();
    cluster.kill_postgres(2);
    cluster.wait_until([&] { return cluster.pool_status().at(2).status == "down"; }, seconds(20),
                       "pgpool has noticed");
    cluster.wipe(2);
    EXPECT_FALSE(std::filesystem::exists(cluster.data_directory(2)));
    const Outcome outcome = cluster.pcp("pcp_recovery_node", {"-n", "2"});
    EXPECT_NE(outcome.out.find("Successful"), std::string::npos) << outcome.err << cluster.dump();
    expect_attached(cluster, 2);
    expect_streaming(cluster, 2);
    expect_one_writable(cluster);
    expect_no_acknowledged_row_lost(cluster, writer);
}

TEST(Harness, SynchronousClusterAcknowledgesOnlyWhatAStandbyHas) {
    ClusterOptions options = with_plain_promotion();
    options.synchronous = true;
    options.nodes = 2;
    Cluster cluster(options);
    cluster.start();
    Writer writer(cluster);
    writer.start();
    writer.wait_for_commits(5);
    cluster.freeze_postgres(1);
    const std::size_t before = writer.acknowledged();
    EXPECT_THROW(writer.wait_for_commits(5, seconds(2)), HarnessError);
    EXPECT_LE(writer.acknowledged(), before + 1);
    cluster.thaw_postgres(1);
    writer.wait_for_commits(5);
}

TEST(Harness, LoopbackClusterNeedsNoHostsOfItsOwn) {
    ClusterOptions options = with_plain_promotion();
    options.network = NetworkMode::loopback;
    Cluster cluster(options);
    cluster.start();
    Writer writer(cluster);
    writer.start();
    cluster.kill_postgres(0);
    writer.wait_for_commits(10);
    expect_one_writable(cluster);
    expect_no_acknowledged_row_lost(cluster, writer);
}

TEST(Harness, KilledSandboxLeavesNothingBehind) {
    int up[2];
    ASSERT_EQ(::pipe(up), 0);
    const pid_t child = ::fork();
    if (child == 0) {
        std::_Exit(run_in_sandbox([&] {
            Cluster cluster(with_plain_promotion());
            cluster.start();
            EXPECT_EQ(::write(up[1], "", 1), 1);
            ::pause();
            return 0;
        }));
    }
    ::close(up[1]);
    char byte = 0;
    ASSERT_EQ(::read(up[0], &byte, 1), 1);
    ::close(up[0]);
    // Its processes show up here too: three servers, three sshds, pgpool and their children.
    const std::vector<pid_t> family = descendants_of(child);
    EXPECT_GE(family.size(), 20u);
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    EXPECT_TRUE(wait_until_gone(family, Deadline::after(seconds(10))));
}

TEST(Harness, ExpandsPlaceholdersAsEachVersionOfPgpoolDoes) {
    Placeholders values;
    values.node_id = 0;
    values.node_host = "a";
    values.node_port = 5432;
    values.node_directory = "/data";
    values.new_main_id = 1;
    values.new_main_host = "b";
    values.new_main_port = 5433;
    values.old_primary_id = 0;
    values.old_primary_host = "a";
    values.old_primary_port = 5432;
    const char* format = "hook %d %h %p \"%D\" %m %H %M %P %r \"%R\" %N %S %x%%";
    EXPECT_EQ(expand_command(format, values, PgpoolStyle::v4_3),
              "hook 0 a 5432 \"/data\" 1 b 0 0 5433 \"\" a 5432 %");
    EXPECT_EQ(expand_command(format, values, PgpoolStyle::v4_4),
              "hook  0 a  5432 \"/data\"  1 b 0 0 5433 \"\" a 5432 %");
    values.new_main_id = -1;
    values.old_primary_id = -1;
    EXPECT_EQ(expand_command("%m %H %r %R %P %N", values, PgpoolStyle::v4_3),
              "-1 \"\" \"\" \"\" -1 \"\"");
}

}  // namespace
}  // namespace hooks::harness
