// What every measurement needs: a cluster of its own for each sample, and a program that is run
// against it under a stopwatch, as the account that Pgpool-II runs as.
#pragma once

#include <string>
#include <vector>

#include "tests/bench/table.h"
#include "tests/support/cluster.h"

namespace hooks::bench {

using harness::Cluster;
using harness::ClusterOptions;
using harness::HarnessError;
using harness::Milliseconds;

// What was wrong with a run, so that its time means nothing. Ends the benchmark.
[[noreturn]] void fail(const Cluster& cluster, const std::string& what);

struct Timed {
    double milliseconds = 0;
    double peak_mib = 0;
};

// Pgpool does not call hooks by itself.
ClusterOptions by_hand();

// The same state for everybody: both standbys have replayed all that the primary wrote, to the last
// byte. Killed in the middle of a record, it would leave half of one on the standbys, and that
// decides how a node can follow.
void wait_until_idle(const Cluster& cluster);

// A program that was built beside the benchmark, where the account can run it.
std::string copy_tool(const Cluster& cluster, const std::string& name);

// Start to exit. Fails unless the exit code is 0.
Timed run_timed(const Cluster& cluster, const std::vector<std::string>& argv);
// One of the four hooks: with its configuration, as it is installed.
Timed run_hook_timed(const Cluster& cluster, const std::string& hook,
                     const std::vector<std::string>& arguments);

// The twelve words of failover_command and follow_primary_command.
std::vector<std::string> pool_words(const Cluster& cluster, int node, int new_main,
                                    int old_primary);

// In an order that changes from run to run, so that none always comes first.
template <class Function>
void rotate(int run, int count, const Function& function) {
    for (int i = 0; i < count; ++i) {
        function((run + i) % count);
    }
}

// One line while it goes on: "failover_command: ours 41 ms".
void progress(const std::string& what, const std::string& who, double value, const char* unit);

struct Settings {
    int runs = 10;
    std::string samples_directory;  // of the installed Pgpool-II
};

// The four measurements.
std::vector<Row> failover_bench(const Settings& settings);
std::vector<Row> follow_bench(const Settings& settings);
std::vector<Row> outage_bench(const Settings& settings);
std::vector<Row> memory_bench(const Settings& settings);

}  // namespace hooks::bench
