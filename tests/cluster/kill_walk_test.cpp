// Every hook is killed at every boundary of its steps, and in the middle of every step that does
// something on a node. Then it is called again, as pgpool or a DBA would, and all must be well.
//
// A boundary is a line that the hook is about to log. The walk goes on until the hook ends before
// the next one, so that a step that is added is walked too.
#include <gtest/gtest.h>

#include <csignal>

#include "tests/cluster/stepped_calls.h"
#include "tests/support/process_table.h"

namespace hooks::harness {
namespace {

using std::chrono::seconds;

bool has(const std::string& line, const std::string& text) {
    return line.find(text) != std::string::npos;
}

long count_lines(const SteppedHook& hook, const std::string& text) {
    const auto& lines = hook.lines();
    return std::count_if(lines.begin(), lines.end(),
                         [&](const std::string& line) { return has(line, text); });
}

// What the hook is in front of is what the world was at the line before: it only looked, or logged.
bool nothing_happened_since_the_last_line(const SteppedHook& hook) {
    if (hook.lines().empty()) {
        return false;
    }
    const std::string& last = hook.lines().back();
    // After the last step of a plan comes what belongs to no step.
    const bool within_the_plan =
        has(last, "msg=\"step done\"") &&
        count_lines(hook, "msg=\"step done\"") < count_lines(hook, "msg=\"planned step\"");
    return within_the_plan || has(last, "msg=\"planned step\"") || has(last, "msg=\"server\"") ||
           has(last, "msg=\"called\"") || has(last, " says=");  // of a program that is at work
}

// In front of the line with which a step begins: what it does comes after that.
bool within_a_step(const SteppedHook& hook) {
    const std::string& last = hook.lines().back();
    return has(last, "msg=\"step done\"") || has(last, "msg=\"planned step\"");
}

enum class Victim { hook, hook_and_remote, remote };

class KillWalk : public SteppedTest {
  protected:
    using Prepare = std::function<void()>;
    using Start = std::function<std::unique_ptr<SteppedHook>()>;

    explicit KillWalk(ClusterOptions options = by_hand()) : SteppedTest(std::move(options)) {}

    // The world after a run that nobody disturbed is what every other one must end in. A long walk
    // is shared by several tests: each takes every `shares`-th line.
    void walk_boundaries(const Prepare& prepare, const Start& start, const Prepare& again,
                         int at_least, std::size_t share = 0, std::size_t shares = 1) {
        reference(prepare, start, again);
        int killed = 0;
        for (std::size_t line = 1;; ++line) {
            prepare();
            const auto hook = start();
            bool stands = hook->run_to(line);
            while (stands &&
                   (line % shares != share || nothing_happened_since_the_last_line(*hook))) {
                stands = hook->run_to(++line);
            }
            if (!stands) {
                hook->finish();
                again();
                break;
            }
            hook->kill();
            ++killed;
            converge(again, "killed after:\n" + hook->text());
            if (HasFailure()) {
                return;
            }
        }
        RecordProperty("boundaries", killed);
        EXPECT_GE(killed, at_least) << "the walk saw too few boundaries";
    }

    // `victims` take turns.
    void walk_steps(int node, const Prepare& prepare, const Start& start, const Prepare& again,
                    const std::vector<Victim>& victims, int at_least) {
        reference(prepare, start, again);
        int killed = 0;
        for (std::size_t line = 2;; ++line) {
            prepare();
            const auto hook = start();
            const auto remote = [&] { return !remote_programs(node).empty(); };
            // Steps that do nothing on the node have no middle.
            bool stands = hook->run_to(line);
            while (stands) {
                if (!within_a_step(*hook)) {
                    ++line;
                } else if (hook->run_until(remote)) {
                    break;
                } else {
                    line = hook->lines().size() + 1;
                }
                stands = hook->run_to(line);
            }
            if (!stands) {
                hook->finish();
                again();
                break;
            }
            const Victim victim = victims[static_cast<std::size_t>(killed) % victims.size()];
            const std::vector<pid_t> programs = remote_programs(node);
            if (victim != Victim::remote) {
                hook->kill(true);
            }
            if (victim != Victim::hook) {
                for (const pid_t pid : programs) {
                    ::kill(pid, SIGKILL);
                }
            }
            ++killed;
            const std::string how = victim == Victim::hook              ? "the hook"
                                    : victim == Victim::hook_and_remote ? "hook and remote program"
                                                                        : "the remote program";
            const Outcome rest = hook->finish();
            converge(again, "killed: " + how + ", after:\n" + rest.err);
            if (HasFailure()) {
                return;
            }
        }
        RecordProperty("steps", killed);
        EXPECT_GE(killed, at_least) << "the walk saw too few steps";
    }

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

    // What must be the same after every run: slots, locks, settings that were emptied for a while,
    // files that tell of work under way. Which node is the primary does not count.
    std::string leftovers() {
        std::vector<std::string> nodes;
        for (int node = 0; node < cluster.size(); ++node) {
            nodes.push_back(
                cluster.sql_value(
                    node,
                    "SELECT CASE WHEN pg_is_in_recovery() THEN 'standby' ELSE 'primary' END || "
                    "concat(', slots: ', (SELECT count(*) FROM pg_replication_slots),"
                    " ', locks: ', (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'),"
                    " ', emptied: ', (SELECT string_agg(name, ' ') FROM pg_file_settings"
                    "                 WHERE applied AND setting = '' AND name <> "
                    "'unix_socket_directories' AND name <> 'synchronous_standby_names')) || '\n'") +
                cluster
                    .run_shell("cd " + cluster.data_directory(node) +
                               ".pgpool-hooks 2>/dev/null && ls -d incoming* previous* discarded* "
                               "*unfinished* *.new phase* 2>/dev/null")
                    .out);
        }
        std::sort(nodes.begin(), nodes.end());
        std::string text;
        for (const std::string& node : nodes) {
            text += node + "\n";
        }
        return text;
    }
    virtual void expect_converged() {
        EXPECT_EQ(cluster.writable_nodes(), std::vector<int>{0});
        EXPECT_EQ(cluster.streaming_problem(2), "");
        EXPECT_EQ(
            cluster.sql_value(2, "SELECT count(*) FROM pg_class WHERE relname LIKE 'diverged%'"),
            "0");
    }

    Outcome recovery(const std::string& hook, int node) const {
        return cluster.run_hook(hook, right_words(cluster, hook, node, 0));
    }

  private:
    void reference(const Prepare& prepare, const Start& start, const Prepare& again) {
        prepare();
        const Outcome outcome = start()->finish();
        ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
        again();
        expect_converged();
        leftovers_ = leftovers();
    }
    void converge(const Prepare& again, const std::string& when) {
        again();
        expect_converged();
        if (!HasFailure()) {
            EXPECT_EQ(leftovers(), leftovers_);
        }
        if (HasFailure()) {
            ADD_FAILURE() << when;
        }
    }
    // What runs by way of the node's sshd.
    std::vector<pid_t> remote_programs(int node) {
        std::vector<pid_t> programs;
        const std::vector<pid_t> below = descendants_of(cluster.sshd(node).pid());
        for (const ProcessEntry& entry : all_processes()) {
            if (entry.state != 'Z' && entry.name != "sshd" &&
                std::find(below.begin(), below.end(), entry.pid) != below.end()) {
                programs.push_back(entry.pid);
            }
        }
        return programs;
    }

    std::string leftovers_;
};

// ---- failover_command

class FailoverWalk : public KillWalk {
  protected:
    int lost_ = 0;  // the primary of this round
    int rows_ = 0;

    void choose() {
        lost_ = cluster.primary().value();
        cluster.sql(lost_, "CREATE TABLE IF NOT EXISTS public.walked (row int)");
        cluster.sql(lost_, "INSERT INTO public.walked VALUES (" + std::to_string(++rows_) + ")");
    }
    std::unique_ptr<SteppedHook> fail_over() const { return stepped_failover(lost_); }
    void fail_over_again() {
        const Outcome outcome = failover(lost_);
        ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
        const std::optional<int> primary = cluster.primary();
        ASSERT_TRUE(primary && *primary != lost_) << outcome.err;
        for (int node = 0; node < cluster.size(); ++node) {
            if (node != *primary) {
                const Outcome rejoined = worker(node, *primary, lost_)->finish();
                ASSERT_EQ(rejoined.exit_code, 0) << rejoined.err;
            }
        }
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

// ---- in the middle of a step

TEST_F(KillWalk, InTheMiddleOfARewindTheHookIsLost) {
    walk_steps(
        2, [&] { diverge_node(); }, [&] { return worker(2, 0); }, [&] { work_again(); },
        {Victim::hook, Victim::hook_and_remote}, 3);
}

TEST_F(KillWalk, InTheMiddleOfARewindItsProgramIsLost) {
    walk_steps(
        2, [&] { diverge_node(); }, [&] { return worker(2, 0); }, [&] { work_again(); },
        {Victim::remote}, 3);
}

TEST_F(KillWalk, InTheMiddleOfABaseBackup) {
    walk_steps(
        2, [&] { fork_node(); }, [&] { return worker(2, 0); }, [&] { work_again(); },
        {Victim::hook, Victim::remote, Victim::hook_and_remote}, 3);
}

}  // namespace
}  // namespace hooks::harness
