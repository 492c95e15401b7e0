// What a rewind throws away is kept, and what is the node's own survives it.
#include <gtest/gtest.h>

#include <filesystem>

#include "tests/cluster/rewind.h"

namespace hooks::harness {
namespace {

using std::chrono::seconds;

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

TEST_F(Rewind, WhatIsTheNodesOwnInItsDataDirectorySurvives) {
    const std::string data = cluster.data_directory(0);
    shell("cd " + data +
          " && mkdir tls && echo own >tls/own.secret && echo own >mine.crt && printf "
          "'#!/bin/sh\\n' >recovery_2nd_stage && chmod 700 recovery_2nd_stage && echo "
          "\"ssl_key_file = 'tls/own.secret'\" >>postgresql.conf");
    const std::string wrapper = shell("cat " + data + "/recovery_1st_stage");
    diverge();
    lose_primary();
    EXPECT_EQ(call(cluster, "follow_primary_command", 0, 1, 0).exit_code, 0);
    expect_streaming(cluster, 0);
    expect_not_diverged(0);
    expect_history(cluster, "rule=R08 exit=0");
    EXPECT_EQ(shell("cd " + data + " && cat tls/own.secret mine.crt"), "own\nown\n");
    EXPECT_TRUE(cluster.run_shell("test -x " + data + "/recovery_2nd_stage").ok());
    EXPECT_TRUE(cluster.run_shell("test -x " + data + "/recovery_1st_stage").ok());
    EXPECT_EQ(shell("cat " + data + "/recovery_1st_stage"), wrapper);
}

TEST_F(Rewind, OfADirectoryBehindALinkWorksOnWhatItPointsTo) {
    const std::string data = cluster.data_directory(0);
    const std::string real = cluster.base_directory() + "/node0/elsewhere";
    diverge();
    lose_primary();
    shell("touch " + data + "/own.conf && mv " + data + " " + real + " && ln -s " + real + " " +
          data);
    EXPECT_EQ(call(cluster, "follow_primary_command", 0, 1, 0).exit_code, 0);
    expect_streaming(cluster, 0);
    expect_not_diverged(0);
    expect_history(cluster, "rule=R08 exit=0");
    EXPECT_TRUE(cluster.run_shell("test -L " + data + " && test -e " + real + "/own.conf").ok());
}

TEST_F(Rewind, OfAMountPointLeavesItInItsPlace) {
    const std::string data = cluster.data_directory(0);
    diverge();
    lose_primary();
    ASSERT_TRUE(as_root({"mount", "--bind", data, data}).ok());
    EXPECT_EQ(call(cluster, "follow_primary_command", 0, 1, 0).exit_code, 0);
    expect_streaming(cluster, 0);
    expect_not_diverged(0);
    expect_history(cluster, "rule=R08 exit=0");
    EXPECT_FALSE(exists(data + "/recovery.conf"));
    cluster.stop_postgres(0);
    ASSERT_TRUE(as_root({"umount", data}).ok());
}

// Where pg_rewind has ended, and what is left of the work meets an error.
TEST_F(Rewind, OfWhichOnlyTheSettingsAreMissingIsFinished) {
    const std::string data = cluster.data_directory(0);
    const std::string bin = cluster.base_directory() + "/programs";
    const std::string real = cluster.postgres_bin_dir();
    shell("mkdir " + bin + " && ln -s " + real + "/* " + bin + "/ && cd " + bin +
          " && rm pg_rewind && printf '#!/bin/sh\\n" + real + "/pg_rewind \"$@\" && mv " + work() +
          "/settings " + work() +
          "/hidden\\n' >pg_rewind && chmod 755 pg_rewind && echo "
          "\"0.postgres_bin_dir = '" +
          bin + "'\" >>" + cluster.hooks_conf_path());
    diverge();
    lose_primary();
    EXPECT_EQ(call(cluster, "follow_primary_command", 0, 1, 0).exit_code, 0);
    expect_history(cluster, "settling a rewind that did not end");
    EXPECT_FALSE(exists(data));
    EXPECT_NE(shell("cat " + work() + "/rewind-unfinished").find("phase: rewound\n"),
              std::string::npos);
    shell("mv " + work() + "/hidden " + work() + "/settings");
    EXPECT_EQ(call(cluster, "follow_primary_command", 0, 1, 0).exit_code, 0);
    expect_streaming(cluster, 0);
    expect_not_diverged(0);
    expect_history(cluster, "rule=R06 exit=0");
    EXPECT_FALSE(exists(work() + "/rewind-unfinished"));
}

TEST_F(Rewind, ReadsFromTheArchiveWhatIsNoLongerInPgWal) {
    const std::string data = cluster.data_directory(0);
    const std::string archive = cluster.base_directory() + "/archive";
    const std::string segment =
        cluster.sql_value(0, "SELECT pg_walfile_name(pg_current_wal_lsn())");
    diverge();
    cluster.sql(0, "SELECT pg_switch_wal()");
    cluster.sql(0, "CHECKPOINT");
    cluster.sql(0, "CREATE TABLE public.later AS SELECT 1 AS row");
    cluster.sql(0, "CHECKPOINT");
    lose_primary();
    shell("mkdir " + archive + " && mv " + data + "/pg_wal/" + segment + " " + archive +
          "/ && echo \"restore_command = 'cp " + archive + "/%f %p'\" >>" + data +
          "/postgresql.conf");
    EXPECT_EQ(call(cluster, "follow_primary_command", 0, 1, 0).exit_code, 0);
    expect_streaming(cluster, 0);
    expect_not_diverged(0);
    expect_history(cluster, "once more, with restore_command");
    expect_history(cluster, "rule=R08 exit=0");
}

// pg_rewind itself finds out in the middle, when half of the files are the source's.
TEST_F(Rewind, IsNotBegunWhereAFileCannotBeWritten) {
    const std::string file = cluster.data_directory(0) + "/base/root_made_it";
    diverge();
    lose_primary();
    ASSERT_TRUE(as_root({"touch", file}).ok());
    EXPECT_EQ(call(cluster, "follow_primary_command", 0, 1, 0).exit_code, 0);
    expect_streaming(cluster, 0, seconds(60));
    expect_history(cluster, "cannot write all files: ./base/root_made_it");
    expect_history(cluster, "rule=R09 exit=0");
}

}  // namespace
}  // namespace hooks::harness
