// A rewind under every fault: what it throws away is kept, and a node is never left half done.
#include <gtest/gtest.h>

#include <csignal>
#include <filesystem>
#include <iostream>

#include "tests/cluster/calls.h"
#include "tests/support/process_table.h"

namespace hooks::harness {
namespace {

using std::chrono::seconds;

class Rewind : public ByHandTest {
  protected:
    using ByHandTest::ByHandTest;

    void TearDown() override {
        ByHandTest::TearDown();
        if (HasFailure()) {
            std::cout << shell("tail -n 60 " + cluster.state_dir() + "/worker*.log; cat " + work() +
                               "/rewind.*; ls -la " + work() + " || true");
        }
    }
    std::string work() const { return cluster.data_directory(0) + ".pgpool-hooks"; }
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
    static bool exists(const std::string& path) { return std::filesystem::exists(path); }
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

// A rewind that can be looked at: the source's answers come slowly.
class SlowRewind : public Rewind {
  protected:
    explicit SlowRewind(int disk_megabytes = 0) : Rewind(slow(disk_megabytes)) {}

    static ClusterOptions slow(int disk_megabytes) {
        ClusterOptions options = by_hand();
        options.disk_megabytes = disk_megabytes;
        options.hooks_conf = "stall_timeout = '4s'\nfollow_timeout = '60s'\n";
        return options;
    }
    void SetUp() override {
        Rewind::SetUp();
        diverge();
        lose_primary();
    }
    void TearDown() override {
        speed_up();
        Rewind::TearDown();
    }

    void tc(const std::vector<std::string>& words) {
        std::vector<std::string> argv = {"nsenter", "--net=" + cluster.network().namespace_path(1),
                                         "tc", "qdisc"};
        argv.insert(argv.end(), words.begin(), words.end());
        const Outcome outcome = as_root(argv);
        ASSERT_TRUE(outcome.ok()) << outcome.describe();
    }
    void slow_down(const std::string& rate) {
        tc({"add", "dev", "eth0", "root", "tbf", "rate", rate, "burst", "16k", "limit", "4m"});
        slow_ = true;
    }
    void speed_up() {
        if (slow_) {
            tc({"del", "dev", "eth0", "root"});
            slow_ = false;
        }
    }

    static std::vector<pid_t> rewinding() {
        std::vector<pid_t> found;
        for (const ProcessEntry& entry : all_processes()) {
            if (entry.name == "pg_rewind" && entry.state != 'Z') {
                found.push_back(entry.pid);
            }
        }
        return found;
    }
    static void kill_all(const std::vector<pid_t>& pids) {
        for (const pid_t pid : pids) {
            ::kill(pid, SIGKILL);
        }
    }
    void kill_worker() {
        const std::vector<pid_t> pids = running_programs_of(cluster.base_directory() + "/bin");
        EXPECT_FALSE(pids.empty());
        kill_all(pids);
    }
    // The worker, the part of the rewind that goes on by itself, and pg_rewind: a power loss.
    void kill_everything() {
        kill_worker();
        const std::vector<pid_t> pids = rewinding();
        ASSERT_EQ(pids.size(), 1U);
        for (const ProcessEntry& entry : all_processes()) {
            if (entry.pid == pids[0]) {
                kill_all({entry.parent});
            }
        }
        kill_all(pids);
        cluster.wait_until([] { return rewinding().empty(); }, seconds(10), "it is gone");
    }

    std::string said() const { return read_file(work() + "/rewind.log"); }
    void follow_until_it_reads() {
        slow_down("60kbit");
        ASSERT_EQ(call(cluster, "follow_primary_command", 0, 1, 0).exit_code, 0);
        cluster.wait_until(
            [&] {
                return !rewinding().empty() &&
                       said().find("connected to server") != std::string::npos;
            },
            seconds(60), "pg_rewind reads");
        ASSERT_EQ(said().find("need to copy"), std::string::npos) << said();
    }
    void follow_until_it_copies() {
        slow_down("3mbit");
        ASSERT_EQ(call(cluster, "follow_primary_command", 0, 1, 0).exit_code, 0);
        cluster.wait_until([&] { return said().find("need to copy") != std::string::npos; },
                           seconds(60), "pg_rewind copies");
        ASSERT_FALSE(rewinding().empty()) << said();
    }
    // Not a boot, not a unit, not a person.
    void expect_nobody_can_start_it() {
        const Outcome outcome =
            cluster.run_shell(cluster.postgres_bin_dir() + "/pg_ctl -D " +
                              cluster.data_directory(0) + " -w -t 5 start >/dev/null 2>&1");
        EXPECT_FALSE(outcome.ok());
        EXPECT_FALSE(cluster.postgres_runs(0));
    }
    void expect_whole() {
        expect_streaming(cluster, 0, seconds(90));
        expect_not_diverged(0);
        EXPECT_FALSE(exists(work() + "/rewind-unfinished"));
        EXPECT_FALSE(exists(cluster.data_directory(0) + ".pgpool-hooks.rewinding"));
    }

  private:
    bool slow_ = false;
};

TEST_F(SlowRewind, KilledWhileItReadsIsRepeated) {
    follow_until_it_reads();
    EXPECT_FALSE(exists(cluster.data_directory(0)));
    expect_nobody_can_start_it();
    kill_all(rewinding());
    speed_up();
    expect_whole();
    expect_history(cluster, "rule=R08 exit=0");
}

TEST_F(SlowRewind, KilledWhileItCopiesIsFollowedByABaseBackup) {
    follow_until_it_copies();
    EXPECT_FALSE(exists(cluster.data_directory(0)));
    expect_nobody_can_start_it();
    kill_all(rewinding());
    speed_up();
    expect_whole();
    expect_history(cluster, "rule=R03 exit=0");
    expect_history(cluster, "lost: WAL 0/");
}

TEST_F(SlowRewind, GoesOnToItsEndWhenItsHookIsKilled) {
    follow_until_it_copies();
    kill_worker();
    speed_up();
    EXPECT_EQ(call(cluster, "follow_primary_command", 0, 1, 0).exit_code, 0);
    expect_whole();
    expect_history(cluster, "rule=R06 exit=0");
}

TEST_F(SlowRewind, OfWhichNobodyIsLeftWhileItReadIsBegunAgain) {
    follow_until_it_reads();
    kill_everything();
    speed_up();
    expect_nobody_can_start_it();
    EXPECT_EQ(call(cluster, "follow_primary_command", 0, 1, 0).exit_code, 0);
    expect_whole();
    expect_history(cluster, "rule=R08 exit=0");
}

TEST_F(SlowRewind, OfWhichNobodyIsLeftWhileItCopiedIsReplacedByABaseBackup) {
    follow_until_it_copies();
    kill_everything();
    speed_up();
    expect_nobody_can_start_it();
    EXPECT_EQ(call(cluster, "follow_primary_command", 0, 1, 0).exit_code, 0);
    expect_whole();
    expect_history(cluster, "rule=R03 exit=0");
}

TEST_F(SlowRewind, GoesOnWhenTheConnectionToItsHookIsLost) {
    follow_until_it_copies();
    cluster.kill_sshd(0);
    speed_up();
    cluster.start_sshd(0);
    expect_whole();
    expect_history(cluster, "rule=R06 exit=0");
}

class SlowRewindOnASmallDisk : public SlowRewind {
  protected:
    SlowRewindOnASmallDisk() : SlowRewind(400) {}
};

TEST_F(SlowRewindOnASmallDisk, WhichFillsUpLeavesWhatNobodyStartsAndIsReplacedWhenThereIsRoom) {
    follow_until_it_copies();
    cluster.fill_disk(0);
    speed_up();
    expect_history(cluster, "No space left on device");
    // Nothing can be written there; the rules are asked all the same.
    expect_history(cluster, "rule=R10");
    EXPECT_TRUE(exists(work() + "/pg_control.of-two-clusters"));
    EXPECT_FALSE(exists(cluster.data_directory(0) + "/global/pg_control"));
    expect_nobody_can_start_it();
    cluster.free_disk(0);
    EXPECT_EQ(call(cluster, "follow_primary_command", 0, 1, 0).exit_code, 0);
    expect_whole();
    expect_history(cluster, "rule=R03 exit=0");
}

TEST_F(SlowRewind, EndsWhenItsSourceIsFrozen) {
    follow_until_it_copies();
    cluster.freeze_postgres(1);
    cluster.wait_until([&] { return said().find("nothing moved for 4 s") != std::string::npos; },
                       seconds(60), "it is ended");
    cluster.wait_until([] { return rewinding().empty(); }, seconds(10), "it ended");
    speed_up();
    expect_nobody_can_start_it();
    cluster.thaw_postgres(1);
    expect_whole();
    expect_history(cluster, "rule=R03 exit=0");
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
