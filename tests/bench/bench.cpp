#include "tests/bench/bench.h"

#include <fmt/format.h>

#include <cstdio>
#include <filesystem>
#include <sstream>
#include <thread>

#include "tests/support/place.h"

namespace hooks::bench {

namespace fs = std::filesystem;

namespace {

// Of the program that was run last.
std::string log_path(const Cluster& cluster) {
    return cluster.base_directory() + "/bench.log";
}

}  // namespace

void fail(const Cluster& cluster, const std::string& what) {
    throw HarnessError(what + "\n----- printed\n" + harness::read_file(log_path(cluster)) +
                       cluster.dump());
}

ClusterOptions by_hand() {
    ClusterOptions options;
    options.failover_command = "";
    options.follow_primary_command = "";
    options.announce = false;
    return options;
}

void wait_until_idle(const Cluster& cluster) {
    cluster.wait_until(
        [&] {
            for (int node = 1; node < cluster.size(); ++node) {
                // Writes a row, so that each time it ends at another position.
                if (!cluster.streaming_problem(node).empty()) {
                    return false;
                }
            }
            std::this_thread::sleep_for(Milliseconds(100));
            const std::string replayed_all = std::to_string(cluster.size() - 1);
            return cluster.sql_value(0,
                                     "SELECT count(*) FROM pg_stat_replication "
                                     "WHERE replay_lsn = pg_current_wal_insert_lsn()") ==
                   replayed_all;
        },
        std::chrono::seconds(20), "the standbys are idle");
}

std::string copy_tool(const Cluster& cluster, const std::string& name) {
    const std::string path = cluster.hook_path(name);
    fs::copy_file(fs::path(HOOKS_BIN_DIR) / name, path, fs::copy_options::overwrite_existing);
    fs::permissions(path, fs::perms(0755));
    return path;
}

Timed run_timed(const Cluster& cluster, const std::vector<std::string>& argv) {
    std::vector<std::string> words = {copy_tool(cluster, "bench_stopwatch"), log_path(cluster)};
    words.insert(words.end(), argv.begin(), argv.end());
    const std::string printed = harness::Place(cluster.account()).must_run(words);
    long long nanoseconds = 0;
    long kilobytes = 0;
    int code = -1;
    if (std::istringstream in(printed); !(in >> nanoseconds >> kilobytes >> code)) {
        throw HarnessError("the stopwatch printed: " + printed);
    }
    if (code != 0) {
        fail(cluster, fmt::format("{}: exit code {}", argv.at(0), code));
    }
    return {static_cast<double>(nanoseconds) / 1e6, static_cast<double>(kilobytes) / 1024};
}

Timed run_hook_timed(const Cluster& cluster, const std::string& hook,
                     const std::vector<std::string>& arguments) {
    std::vector<std::string> argv = {cluster.hook_path(hook), "--config",
                                     cluster.hooks_conf_path()};
    argv.insert(argv.end(), arguments.begin(), arguments.end());
    return run_timed(cluster, argv);
}

std::vector<std::string> pool_words(const Cluster& cluster, int node, int new_main,
                                    int old_primary) {
    const harness::Placeholders all = cluster.placeholders(node, new_main, old_primary);
    return {std::to_string(all.node_id),
            all.node_host,
            std::to_string(all.node_port),
            all.node_directory,
            std::to_string(all.new_main_id),
            all.new_main_host,
            std::to_string(all.old_main_id),
            std::to_string(all.old_primary_id),
            std::to_string(all.new_main_port),
            all.new_main_directory,
            all.old_primary_host,
            std::to_string(all.old_primary_port)};
}

void progress(const std::string& what, const std::string& who, double value, const char* unit) {
    std::puts(fmt::format("  {}, {}: {:.1f} {}", what, who, value, unit).c_str());
    std::fflush(stdout);
}

}  // namespace hooks::bench
