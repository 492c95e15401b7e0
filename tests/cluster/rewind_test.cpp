// A rewind under every fault: what it throws away is kept, and a node is never left half done.
#include <gtest/gtest.h>

#include "tests/cluster/calls.h"

namespace hooks::harness {
namespace {

using std::chrono::seconds;

class Rewind : public ByHandTest {
  protected:
    using ByHandTest::ByHandTest;

    void lose_primary() {
        cluster.kill_postgres(0);
        const Outcome outcome = call(cluster, "failover_command", 0, 1, 0);
        ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
    }
    std::string shell(const std::string& command) {
        const Outcome outcome = cluster.run_shell(command);
        EXPECT_TRUE(outcome.ok()) << command << ": " << outcome.describe();
        return outcome.out;
    }
    static Outcome as_root(std::vector<std::string> argv) {
        Command command;
        command.argv = std::move(argv);
        return run_process(command, Deadline::after(seconds(10)));
    }
    std::string kept() const { return cluster.state_dir() + "/diverged"; }
};

TEST_F(Rewind, WhatItThrowsAwayIsKeptAndCounted) {
    cut_replication(cluster, 1);
    cut_replication(cluster, 2);
    cluster.sql(0, "CREATE TABLE public.diverged (row int)");
    for (int row = 0; row < 7; ++row) {
        cluster.sql(0, "INSERT INTO public.diverged VALUES (" + std::to_string(row) + ")");
    }
    const auto session =
        PgConnection::connect(cluster.conninfo(0), "a test", Deadline::after(seconds(10)));
    session->query("BEGIN", Deadline::after(seconds(10)));
    session->query("INSERT INTO public.diverged VALUES (8)", Deadline::after(seconds(10)));
    session->query("ROLLBACK", Deadline::after(seconds(10)));
    cluster.sql(0, "SELECT pg_switch_wal()");
    cluster.sql(0, "INSERT INTO public.diverged VALUES (9)");
    lose_primary();

    EXPECT_EQ(call(cluster, "follow_primary_command", 0, 1, 0).exit_code, 0);
    expect_streaming(cluster, 0);
    expect_not_diverged(0);
    expect_history(cluster, " 9 commits between 20");
    expect_history(cluster, ", kept on its host in " + kept());

    const std::string report = shell("cat " + kept() + "/*/report");
    EXPECT_NE(report.find("commits: 9\n"), std::string::npos) << report;
    EXPECT_NE(report.find("aborts: 1\n"), std::string::npos) << report;
    EXPECT_NE(report.find("missing segments: 0\n"), std::string::npos) << report;
    EXPECT_NE(report.find("primary: node 1"), std::string::npos) << report;
    EXPECT_EQ(report.find("problem:"), std::string::npos) << report;
    // The command that it tells works, and finds the row of the second segment.
    const std::string look = report.substr(report.find("look: ") + 6);
    const std::string records =
        shell(look.substr(0, look.find('\n')) + " | grep -c 'desc: COMMIT'");
    EXPECT_EQ(records, "9\n");
}

TEST_F(Rewind, IsRefusedWhereThereIsNoRoomForWhatItThrowsAway) {
    const std::string full = kept();
    shell("mkdir " + full);
    const std::string owner = "size=1m,uid=" + std::to_string(cluster.account().uid);
    ASSERT_TRUE(as_root({"mount", "-t", "tmpfs", "-o", owner, "tmpfs", full}).ok());
    diverge();
    lose_primary();
    EXPECT_EQ(call(cluster, "follow_primary_command", 0, 1, 0).exit_code, 0);
    expect_history(cluster, "bytes are needed in " + full);
    EXPECT_FALSE(cluster.postgres_runs(0));
    EXPECT_EQ(shell("ls -A " + full), "");
    ASSERT_TRUE(as_root({"umount", full}).ok());
    EXPECT_EQ(call(cluster, "follow_primary_command", 0, 1, 0).exit_code, 0);
    expect_streaming(cluster, 0);
    expect_not_diverged(0);
}

TEST_F(Rewind, IsRefusedWhereWhatItThrowsAwayCannotBeKept) {
    const std::string state = cluster.state_dir();
    diverge();
    lose_primary();
    shell("mkdir " + state + "/diverged && chmod 500 " + state + "/diverged");
    EXPECT_EQ(call(cluster, "follow_primary_command", 0, 1, 0).exit_code, 0);
    expect_history(cluster, "would be lost, and could not be kept");
    expect_history(cluster, "exit=3");
    EXPECT_FALSE(cluster.postgres_runs(0));
    shell("chmod 700 " + state + "/diverged");
    EXPECT_EQ(call(cluster, "follow_primary_command", 0, 1, 0).exit_code, 0);
    expect_streaming(cluster, 0);
    expect_not_diverged(0);
}

}  // namespace
}  // namespace hooks::harness
