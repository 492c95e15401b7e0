// Peak memory of every hook, each doing the most that it can have to do.
#include <map>

#include "tests/bench/bench.h"

namespace hooks::bench {
namespace {

using std::chrono::seconds;

constexpr double kLimitMib = 20;

// Nodes 1 and 2 get nothing more; then node 0 commits what only it has.
void diverge(const Cluster& cluster) {
    wait_until_idle(cluster);
    for (const int node : {1, 2}) {
        cluster.sql(node, "ALTER SYSTEM SET primary_conninfo = ''");
        cluster.sql(node, "SELECT pg_reload_conf()");
    }
    cluster.wait_until(
        [&] {
            return cluster.view(1).receiver_status.empty() &&
                   cluster.view(2).receiver_status.empty();
        },
        seconds(10), "the standbys receive nothing");
    cluster.sql(0, "CREATE TABLE public.diverged AS SELECT generate_series(1, 1000) AS row");
}

using Peaks = std::map<std::string, Series>;

void measure(Peaks& peaks, const Cluster& cluster, const std::string& name, const std::string& hook,
             const std::vector<std::string>& arguments) {
    const Timed timed = run_hook_timed(cluster, hook, arguments);
    progress("peak memory", name, timed.peak_mib, "MiB");
    peaks[name].add(timed.peak_mib);
}

void one(Peaks& peaks) {
    Cluster cluster(by_hand());
    cluster.start();
    diverge(cluster);
    cluster.kill_postgres(0);
    measure(peaks, cluster, "failover_command", "failover_command", pool_words(cluster, 0, 1, 0));
    measure(peaks, cluster, "follow_primary_command", "follow_primary_command",
            pool_words(cluster, 2, 1, 0));
    // What the hook would start in the background: the old primary has to be rewound.
    std::vector<std::string> words = pool_words(cluster, 0, 1, 0);
    words.insert(words.begin(), "--worker");
    measure(peaks, cluster, "follow_primary_command's worker", "follow_primary_command", words);

    cluster.stop_postgres(2);
    cluster.wipe(2);
    measure(
        peaks, cluster, "recovery_1st_stage", "recovery_1st_stage",
        {cluster.data_directory(1), cluster.host(2), cluster.data_directory(2),
         std::to_string(cluster.port(1)), "2", std::to_string(cluster.port(2)), cluster.host(1)});
    measure(peaks, cluster, "pgpool_remote_start", "pgpool_remote_start",
            {cluster.host(2), cluster.data_directory(2)});
    for (const int node : {0, 2}) {
        if (const std::string problem = cluster.streaming_problem(node); !problem.empty()) {
            fail(cluster, "node " + std::to_string(node) + ": " + problem);
        }
    }
}

}  // namespace

std::vector<Row> memory_bench(const Settings& settings) {
    Peaks peaks;
    for (int run = 0; run < settings.runs; ++run) {
        one(peaks);
    }
    std::vector<Row> rows;
    for (const auto& [name, series] : peaks) {
        rows.push_back(at_most("peak memory of " + name, series, kLimitMib, "MiB"));
    }
    return rows;
}

}  // namespace hooks::bench
