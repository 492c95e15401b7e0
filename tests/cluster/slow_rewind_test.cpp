// A rewind that is cut off in the middle never leaves a node half done.
#include <gtest/gtest.h>

#include <csignal>

#include "tests/cluster/rewind.h"
#include "tests/support/process_table.h"

namespace hooks::harness {
namespace {

using std::chrono::seconds;

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

}  // namespace
}  // namespace hooks::harness
