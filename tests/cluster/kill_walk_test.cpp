// The hooks that work on a node are killed, at every boundary and in the middle of their steps.
#include <gtest/gtest.h>

#include "tests/cluster/kill_walk.h"

namespace hooks::harness {
namespace {

class KillWalk : public KillWalkTest {
  protected:
    // ---- situations of node 2, of which node 0 is the primary
    void stop_node() { cluster.stop_postgres(2); }
    // It has rows that the primary does not have, on a later timeline: a person has to ask for it.
    void promote_node() {
        cluster.sql(2, "SELECT pg_promote()");
        write_and_crash();
    }
    // The same, on the timeline that the primary left when it was promoted.
    void diverge_node() {
        const auto shell = [&](const std::string& line) {
            ASSERT_TRUE(cluster.run_shell(line).ok()) << line;
        };
        cluster.stop_postgres(0);  // node 2 has all of it then
        cluster.stop_postgres(2);
        shell("touch " + cluster.data_directory(0) + "/standby.signal");
        cluster.start_postgres(0);
        cluster.sql(0, "SELECT pg_promote()");
        shell("rm " + cluster.data_directory(2) + "/standby.signal");
        cluster.start_postgres(2);
        write_and_crash();
    }
    void write_and_crash() {
        cluster.sql(2, "CREATE TABLE public.diverged AS SELECT generate_series(1, 1000) AS row");
        cluster.sql(2, "CHECKPOINT");
        cluster.sql(2, "CREATE TABLE public.diverged_too AS SELECT 1 AS row");
        cluster.kill_postgres_at_once(2);
    }
    // It has such rows on the primary's own timeline: only a base backup helps.
    void fork_node() {
        cluster.stop_postgres(2);
        ASSERT_TRUE(cluster.run_shell("rm " + cluster.data_directory(2) + "/standby.signal").ok());
        cluster.start_postgres(2);
        cluster.sql(2, "CREATE TABLE public.diverged AS SELECT generate_series(1, 1000) AS row");
        cluster.stop_postgres(2);
    }

    // ---- how it is called again
    void work_again() {
        const Outcome outcome = worker(2, 0)->finish();
        EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
        expect_attached(cluster, 2);
    }
    void recover_again() {
        const Outcome first = recovery("recovery_1st_stage", 2);
        EXPECT_EQ(first.exit_code, 0) << first.err;
        start_again();
    }
    void start_again() {
        const Outcome outcome = recovery("pgpool_remote_start", 2);
        EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    }
};

// ---- the node that shall follow

TEST_F(KillWalk, FollowByReload) {
    walk_boundaries([&] { cut_replication(cluster, 2); },
                    [&] { return stepped("follow_primary_command", {}, words(2, 0, 0)); },
                    [&] {
                        const Outcome outcome = follow(2, 0);
                        EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
                        expect_attached(cluster, 2);
                    },
                    6);
}

TEST_F(KillWalk, WorkerStartsANode) {
    walk_boundaries([&] { stop_node(); }, [&] { return worker(2, 0); }, [&] { work_again(); }, 7);
}

// The longest plans.
class RewindWalk : public KillWalk, public testing::WithParamInterface<std::size_t> {
  protected:
    static constexpr std::size_t shares = 4;
};
INSTANTIATE_TEST_SUITE_P(Share, RewindWalk, testing::Range(std::size_t{0}, std::size_t{4}));

TEST_P(RewindWalk, WorkerRewindsACrashedNode) {
    walk_boundaries([&] { diverge_node(); }, [&] { return worker(2, 0); }, [&] { work_again(); }, 2,
                    GetParam(), shares);
}

TEST_P(RewindWalk, RecoveryRewindsACrashedNode) {
    walk_boundaries([&] { promote_node(); },
                    [&] { return stepped_recovery("recovery_1st_stage", 2); },
                    [&] { recover_again(); }, 1, GetParam(), shares);
}

TEST_F(KillWalk, WorkerMakesABaseBackup) {
    walk_boundaries([&] { fork_node(); }, [&] { return worker(2, 0); }, [&] { work_again(); }, 8);
}

TEST_F(KillWalk, RecoveryMakesABaseBackup) {
    walk_boundaries([&] { fork_node(); }, [&] { return stepped_recovery("recovery_1st_stage", 2); },
                    [&] { recover_again(); }, 5);
}

TEST_F(KillWalk, RemoteStart) {
    walk_boundaries([&] { stop_node(); },
                    [&] { return stepped_recovery("pgpool_remote_start", 2); },
                    [&] { start_again(); }, 4);
}

// ---- a node with WAL past the switchpoint that it did not replay

class TrimWalk : public KillWalkTest {
  protected:
    // Node 1 was promoted without what node 2 had received by then; node 0 follows it. Node 2 is
    // down, and a copy of its files serves every round.
    void SetUp() override {
        KillWalkTest::SetUp();
        cut_replication(cluster, 1);
        cluster.sql(2, "SELECT pg_wal_replay_pause()");
        cluster.sql(0, "CREATE TABLE public.diverged AS SELECT generate_series(1, 1000) AS row");
        cluster.wait_until(
            [&] {
                return cluster.sql_value(2,
                                         "SELECT pg_last_wal_receive_lsn() > "
                                         "pg_last_wal_replay_lsn()") == "t";
            },
            std::chrono::seconds(10), "node 2 received more");
        cluster.kill_postgres(0);
        cluster.kill_postgres_at_once(2);
        shell("rm " + files() + "/postmaster.pid && cp -a " + files() + " " + copy());
        // The rounds before have moved the slot on: the WAL of the first must stay.
        cluster.sql(1, "ALTER SYSTEM SET wal_keep_size = '1GB'");
        cluster.sql(1, "SELECT pg_reload_conf()");
        for (const char* node : {"0", "2"}) {
            cluster.sql(1, std::string("SELECT pg_create_physical_replication_slot('pgpool_node_") +
                               node + "', true)");
        }
        cluster.sql(1, "SELECT pg_promote()");
        const Outcome rejoined = worker(0, 1)->finish();
        ASSERT_EQ(rejoined.exit_code, 0) << rejoined.err;
    }
    void received_more() {
        if (cluster.postgres_runs(2)) {
            cluster.kill_postgres_at_once(2);
        }
        shell("rm -rf " + files() + " " + files() + ".pgpool-hooks && cp -a " + copy() + " " +
              files());
    }
    void work_again() {
        const Outcome outcome = worker(2, 1)->finish();
        EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
        expect_attached(cluster, 2);
    }
    void expect_converged() override {
        EXPECT_EQ(cluster.writable_nodes(), std::vector<int>{1});
        EXPECT_EQ(cluster.streaming_problem(2), "");
        EXPECT_EQ(cluster.sql_value(2, "SELECT count(*) FROM pg_class WHERE relname = 'diverged'"),
                  "0");
        expect_history(cluster, "rule=R07 exit=0");
    }

  private:
    std::string files() const { return cluster.data_directory(2); }
    std::string copy() const { return cluster.base_directory() + "/received-more"; }
    void shell(const std::string& command) const {
        const Outcome outcome = cluster.run_shell(command);
        ASSERT_TRUE(outcome.ok()) << outcome.err;
    }
};

TEST_F(TrimWalk, WorkerTrimsANode) {
    walk_boundaries([&] { received_more(); }, [&] { return worker(2, 1); }, [&] { work_again(); },
                    7);
}

TEST_F(TrimWalk, InTheMiddleOfATrim) {
    walk_steps([&] { received_more(); }, [&] { return worker(2, 1); }, [&] { work_again(); },
               {Victim::hook, Victim::remote, Victim::hook_and_remote}, 3);
}

// ---- in the middle of a step

TEST_F(KillWalk, InTheMiddleOfARewindTheHookIsLost) {
    walk_steps([&] { diverge_node(); }, [&] { return worker(2, 0); }, [&] { work_again(); },
               {Victim::hook, Victim::hook_and_remote}, 3);
}

TEST_F(KillWalk, InTheMiddleOfARewindItsProgramIsLost) {
    walk_steps([&] { diverge_node(); }, [&] { return worker(2, 0); }, [&] { work_again(); },
               {Victim::remote}, 3);
}

TEST_F(KillWalk, InTheMiddleOfABaseBackup) {
    walk_steps([&] { fork_node(); }, [&] { return worker(2, 0); }, [&] { work_again(); },
               {Victim::hook, Victim::remote, Victim::hook_and_remote}, 3);
}

}  // namespace
}  // namespace hooks::harness
