// failover_command: from its start to its exit, the primary dead and the standbys idle.
#include "tests/bench/bench.h"
#include "tests/bench/samples.h"

namespace hooks::bench {
namespace {

enum Who { ours, sample, floor, count };
constexpr const char* kNames[] = {"ours", "failover.sh", "floor"};

double one(Who who, const Settings& settings) {
    ClusterOptions options = by_hand();
    options.with_pgpool = false;
    Cluster cluster(options);
    cluster.start();
    wait_until_idle(cluster);
    cluster.kill_postgres(0);
    cluster.wait_until(
        [&] {
            return cluster.view(1).receiver_status.empty() &&
                   cluster.view(2).receiver_status.empty();
        },
        std::chrono::seconds(10), "the standbys have noticed");
    const std::vector<std::string> words = pool_words(cluster, 0, 1, 0);
    Timed timed;
    if (who == ours) {
        timed = run_hook_timed(cluster, "failover_command", words);
    } else if (who == sample) {
        std::vector<std::string> argv = {
            install_sample(cluster, settings.samples_directory, "failover.sh")};
        argv.insert(argv.end(), words.begin(), words.end());
        timed = run_timed(cluster, argv);
    } else {
        timed = run_timed(cluster, {copy_tool(cluster, "bench_floor"), cluster.conninfo(1).str()});
    }
    if (cluster.writable_nodes() != std::vector<int>{1}) {
        fail(cluster, std::string(kNames[who]) + " did not promote node 1");
    }
    progress("failover_command", kNames[who], timed.milliseconds, "ms");
    return timed.milliseconds;
}

}  // namespace

std::vector<Row> failover_bench(const Settings& settings) {
    Series series[count];
    for (int run = 0; run < settings.runs; ++run) {
        rotate(run, count, [&](int who) { series[who].add(one(static_cast<Who>(who), settings)); });
    }
    return {compare("failover_command", series[ours], kNames[sample], series[sample], 0.125),
            compare("failover_command", series[ours], kNames[floor], series[floor], 2.5)};
}

}  // namespace hooks::bench
