// failover_command is killed, at every boundary and in the middle of its steps; then it is called
// again, as the next pgpool on this host would, and follow_primary_command after it.
#include <gtest/gtest.h>

#include <optional>

#include "tests/cluster/kill_walk.h"
#include "tests/cluster/watcher.h"

namespace hooks::harness {
namespace {

using std::chrono::seconds;

class FailoverWalk : public KillWalkTest {
  protected:
    explicit FailoverWalk(ClusterOptions options = by_hand()) : KillWalkTest(std::move(options)) {}

    int lost_ = 0;  // the primary of this round
    int rows_ = 0;
    // Where it is not there when the hook ends; without a time it is not asked for.
    std::optional<seconds> tombstone_within_ = seconds(0);
    Watcher watcher{cluster};

    void SetUp() override {
        KillWalkTest::SetUp();
        watcher.start();
    }
    void TearDown() override {
        watcher.stop();
        EXPECT_EQ(watcher.overlap(), "") << "two nodes were writable";
        KillWalkTest::TearDown();
    }

    void choose() {
        lost_ = cluster.primary().value();
        cluster.sql(lost_, "CREATE TABLE IF NOT EXISTS public.walked (row int)");
        cluster.sql(lost_, "INSERT INTO public.walked VALUES (" + std::to_string(++rows_) + ")");
    }
    std::unique_ptr<SteppedHook> fail_over() const { return stepped_failover(lost_); }
    void fail_over_again() {
        const Outcome outcome = failover(lost_);
        ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
        EXPECT_EQ(notes(), "") << outcome.err;
        if (tombstone_within_) {
            cluster.wait_until([&] { return has_tombstone(lost_); }, *tombstone_within_,
                               "the tombstone is there");
        }
        heal();
        const std::optional<int> primary = cluster.primary();
        ASSERT_TRUE(primary && *primary != lost_) << outcome.err;
        for (int node = 0; node < cluster.size(); ++node) {
            if (node != *primary) {
                rejoin(node, *primary);
            }
        }
    }
    void rejoin(int node, int primary) const {
        const Outcome rejoined = worker(node, primary, lost_)->finish();
        ASSERT_EQ(rejoined.exit_code, 0) << rejoined.err;
        EXPECT_FALSE(has_tombstone(node)) << rejoined.err;
    }
    virtual void heal() {}
    bool has_tombstone(int node) const {
        return cluster
            .run_shell("grep -q '^# Fenced by pgpool-hooks' " + cluster.data_directory(node) +
                       "/recovery.conf")
            .ok();
    }
    // Of runs that stopped a primary and did not end.
    std::string notes() const {
        return cluster.run_shell("ls " + cluster.state_dir() + " | grep '^stopped-'").out;
    }
    void expect_converged() override {
        const std::optional<int> primary = cluster.primary();
        ASSERT_TRUE(primary) << cluster.dump();
        for (int node = 0; node < cluster.size(); ++node) {
            if (node != *primary) {
                EXPECT_EQ(cluster.streaming_problem(node), "");
            }
            EXPECT_EQ(cluster.sql_value(node, "SELECT count(*) FROM public.walked"),
                      std::to_string(rows_));
        }
    }
};

TEST_F(FailoverWalk, ThePrimaryIsDead) {
    tombstone_within_.reset();  // a worker writes it, or makes a standby of the node first
    walk_boundaries(
        [&] {
            choose();
            cluster.kill_postgres(lost_);
        },
        [&] { return fail_over(); }, [&] { fail_over_again(); }, 4);
}

// A switchover: nothing waits until the standbys have all.
TEST_F(FailoverWalk, ThePrimaryIsAlive) {
    walk_boundaries([&] { choose(); }, [&] { return fail_over(); }, [&] { fail_over_again(); }, 6);
}

TEST_F(FailoverWalk, InTheMiddleOfASwitchover) {
    tombstone_within_ = seconds(20);  // by a worker, where the program that writes it was killed
    // Of the two steps on the node one is so short that it may be missed.
    for (const Victim victim : {Victim::hook, Victim::hook_and_remote}) {
        walk_steps([&] { choose(); }, [&] { return fail_over(); }, [&] { fail_over_again(); },
                   {victim}, 1);
    }
}

// From the stop on: who is promoted then has not all that the old primary wrote. Every third line:
// each run waits three seconds for that WAL.
TEST_F(FailoverWalk, ThePrimaryIsAliveAndNobodyHasItsLastRow) {
    exit_ = 3;
    begin_at_ = "msg=\"step begins\"";
    walk_boundaries(
        [&] {
            for (const int node : {1, 2}) {
                cut_replication(cluster, node);
            }
            choose();
        },
        [&] { return fail_over(); },
        [&] {
            const Outcome outcome = failover(lost_);
            EXPECT_EQ(outcome.exit_code, 3) << outcome.err;
            EXPECT_NE(outcome.err.find("was started again and is the primary"), std::string::npos)
                << outcome.err;
            EXPECT_EQ(cluster.writable_nodes(), std::vector<int>{0}) << outcome.err;
            EXPECT_FALSE(has_tombstone(0)) << outcome.err;
            EXPECT_EQ(notes(), "") << outcome.err;
            for (const int node : {1, 2}) {
                rejoin(node, 0);
            }
        },
        2, 0, 3);
}

// A stop that was noted and did not come about: a note is no reason to take a crash for a shutdown.
TEST_F(FailoverWalk, AfterANotedStopACrashIsACrash) {
    choose();
    cluster.kill_postgres(0);
    ASSERT_TRUE(cluster
                    .run_shell("printf 'time=%s\\nby=run x\\nanswered=yes\\nmay_return=yes\\nend="
                               "yes\\n' $(date +%s) >" +
                               cluster.state_dir() + "/stopped-node0")
                    .ok());
    const Outcome outcome = failover(0);
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    EXPECT_NE(outcome.err.find("an earlier run stopped the old primary"), std::string::npos)
        << outcome.err;
    EXPECT_NE(outcome.err.find("rule=F05"), std::string::npos) << outcome.err;
    EXPECT_EQ(notes(), "");
}

// ---- its host is reached, and its server does not answer

ClusterOptions silent_quickly() {
    ClusterOptions options = by_hand();
    options.hooks_conf =
        "connect_timeout = '1s'\nfence_timeout = '10s'\nunfenced_primary = 'refuse'\n";
    return options;
}

class UnreachableWalk : public FailoverWalk {
  protected:
    UnreachableWalk() : FailoverWalk(silent_quickly()) {}

    void cut_off() {
        choose();
        cluster.cut_one_way(lost_, kHub);
        cluster.cut_one_way(kHub, lost_);
    }
    void heal() override {
        if (cut_) {
            cluster.heal_one_way(lost_, kHub);
            cluster.heal_one_way(kHub, lost_);
        }
    }
    bool cut_ = true;
};

TEST_F(UnreachableWalk, ThroughAStandby) {
    walk_boundaries([&] { cut_off(); }, [&] { return fail_over(); }, [&] { fail_over_again(); }, 6);
}

TEST_F(UnreachableWalk, InTheMiddleOfAStepThroughAStandby) {
    walk_steps([&] { cut_off(); }, [&] { return fail_over(); }, [&] { fail_over_again(); },
               {Victim::hook}, 1);
}

TEST_F(UnreachableWalk, InTheMiddleOfAStepFromHere) {
    cut_ = false;
    tombstone_within_.reset();  // it was killed: from then on it refuses, as after a crash
    walk_steps(
        [&] {
            choose();
            cluster.freeze_postgres(lost_);
        },
        [&] { return fail_over(); }, [&] { fail_over_again(); }, {Victim::hook_and_remote}, 1);
}

}  // namespace
}  // namespace hooks::harness
