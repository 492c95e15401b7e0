#include "tests/cluster/kill_walk.h"

#include <algorithm>
#include <csignal>

#include "tests/support/process_table.h"

namespace hooks::harness {
namespace {

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

}  // namespace

// Boundaries of which the one before is the same world are left out.
bool KillWalkTest::is_walked(const SteppedHook& hook) const {
    return (begin_at_.empty() || count_lines(hook, begin_at_) > 0) &&
           !nothing_happened_since_the_last_line(hook);
}

void KillWalkTest::walk_boundaries(const Prepare& prepare, const Start& start, const Prepare& again,
                                   int at_least, std::size_t share, std::size_t shares) {
    reference(prepare, start, again);
    int killed = 0;
    for (std::size_t line = 1;; ++line) {
        prepare();
        const auto hook = start();
        bool stands = hook->run_to(line);
        while (stands && (line % shares != share || !is_walked(*hook))) {
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

void KillWalkTest::walk_steps(const Prepare& prepare, const Start& start, const Prepare& again,
                              const std::vector<Victim>& victims, int at_least) {
    reference(prepare, start, again);
    int killed = 0;
    for (std::size_t line = 2;; ++line) {
        prepare();
        const auto hook = start();
        const auto remote = [&] { return !remote_programs().empty(); };
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
        const std::vector<pid_t> programs = remote_programs();
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

std::string KillWalkTest::leftovers() {
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
                .run_shell(
                    "cd " + cluster.data_directory(node) +
                    ".pgpool-hooks 2>/dev/null && ls -d incoming* previous* discarded* trimmed* "
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

void KillWalkTest::expect_converged() {
    EXPECT_EQ(cluster.writable_nodes(), std::vector<int>{0});
    EXPECT_EQ(cluster.streaming_problem(2), "");
    EXPECT_EQ(cluster.sql_value(2, "SELECT count(*) FROM pg_class WHERE relname LIKE 'diverged%'"),
              "0");
}

void KillWalkTest::reference(const Prepare& prepare, const Start& start, const Prepare& again) {
    prepare();
    const Outcome outcome = start()->finish();
    ASSERT_EQ(outcome.exit_code, exit_) << outcome.err;
    again();
    expect_converged();
    leftovers_ = leftovers();
}

void KillWalkTest::converge(const Prepare& again, const std::string& when) {
    again();
    expect_converged();
    if (!HasFailure()) {
        EXPECT_EQ(leftovers(), leftovers_);
    }
    if (HasFailure()) {
        ADD_FAILURE() << when;
    }
}

// What runs by way of the sshd of a node.
std::vector<pid_t> KillWalkTest::remote_programs() {
    std::vector<pid_t> programs;
    std::vector<pid_t> below;
    for (int node = 0; node < cluster.size(); ++node) {
        const std::vector<pid_t> of_node = descendants_of(cluster.sshd(node).pid());
        below.insert(below.end(), of_node.begin(), of_node.end());
    }
    for (const ProcessEntry& entry : all_processes()) {
        if (entry.state != 'Z' && !is_sshd(entry) &&
            std::find(below.begin(), below.end(), entry.pid) != below.end()) {
            programs.push_back(entry.pid);
        }
    }
    return programs;
}

}  // namespace hooks::harness
