// follow_primary_command: a running standby, detached in pgpool, its old primary gone and a new
// one there. From the start to the exit, with the node attached and streaming at the end.
#include <thread>

#include "tests/bench/bench.h"
#include "tests/bench/samples.h"
#include "tests/support/place.h"

namespace hooks::bench {
namespace {

using std::chrono::seconds;

constexpr int kOldPrimary = 0;
constexpr int kNewPrimary = 1;
constexpr int kTarget = 2;

enum Who { ours, sample, count };
constexpr const char* kNames[] = {"ours", "follow_primary.sh"};

// Where a node that was made with the sample scripts has its settings. In postgresql.auto.conf,
// where `pg_basebackup -R` writes them, they would outrank what follow_primary.sh writes. For both
// alike.
void keep_settings_as_the_samples_do(const Cluster& cluster) {
    const harness::Place hub(cluster.account());
    const std::string directory = cluster.data_directory(kTarget);
    const std::string mine = directory + "/myrecovery.conf";
    hub.write_file(mine, harness::read_file(directory + "/postgresql.auto.conf"));
    hub.write_file(directory + "/postgresql.conf",
                   harness::read_file(directory + "/postgresql.conf") + "include_if_exists = '" +
                       mine + "'\n");
    hub.write_file(directory + "/postgresql.auto.conf", "");
    cluster.sql(kTarget, "SELECT pg_reload_conf()");
}

bool follows(const Cluster& cluster) {
    const harness::NodeView there = cluster.view(kNewPrimary);
    const harness::NodeView here = cluster.view(kTarget);
    return here.in_recovery && here.receiver_status == "streaming" &&
           cluster.node_at(here.sender_host, here.sender_port) == kNewPrimary &&
           here.timeline == there.timeline;
}

bool attached(const Cluster& cluster) {
    return cluster.pool_status().at(kTarget).attached();
}

void lose_the_primary(Cluster& cluster) {
    keep_settings_as_the_samples_do(cluster);
    wait_until_idle(cluster);
    cluster.kill_postgres(kOldPrimary);
    cluster.sql(kNewPrimary, "SELECT pg_promote()");
    cluster.wait_until(
        [&] {
            const auto pool = cluster.pool_status();
            return !pool.at(kOldPrimary).attached() && pool.at(kNewPrimary).role == "primary";
        },
        seconds(30), "pgpool has the new primary");
    cluster.pcp("pcp_detach_node", {std::to_string(kTarget)});
    cluster.wait_until([&] { return !attached(cluster); }, seconds(30), "the target is detached");
    // After each change pgpool restarts its PCP process; idle is when it answers to a client and
    // to pcp twice in a row.
    for (int i = 0; i < 2; ++i) {
        std::this_thread::sleep_for(Milliseconds(300));
        cluster.wait_until(
            [&] { return !attached(cluster) && !cluster.pgpool_sql("SELECT 1").empty(); },
            seconds(30), "pgpool is idle");
    }
}

double one(Who who, const Settings& settings) {
    Cluster cluster(by_hand());
    cluster.start();
    lose_the_primary(cluster);
    const std::string started = cluster.start_time(kTarget);
    const std::vector<std::string> words = pool_words(cluster, kTarget, kNewPrimary, kOldPrimary);
    Timed timed;
    if (who == ours) {
        timed = run_hook_timed(cluster, "follow_primary_command", words);
        // When the hook says so, it is so.
        if (!attached(cluster) || !follows(cluster)) {
            fail(cluster, "ours: the node is not attached, or does not stream");
        }
        if (cluster.start_time(kTarget) != started) {
            fail(cluster, "ours: the server was restarted");
        }
    } else {
        std::vector<std::string> argv = {
            install_sample(cluster, settings.samples_directory, "follow_primary.sh")};
        argv.insert(argv.end(), words.begin(), words.end());
        timed = run_timed(cluster, argv);
        cluster.wait_until([&] { return attached(cluster) && follows(cluster); }, seconds(10),
                           "the node that follow_primary.sh dealt with is attached and streams");
    }
    progress("follow_primary_command", kNames[who], timed.milliseconds, "ms");
    return timed.milliseconds;
}

}  // namespace

std::vector<Row> follow_bench(const Settings& settings) {
    Series series[count];
    for (int run = 0; run < settings.runs; ++run) {
        rotate(run, count, [&](int who) { series[who].add(one(static_cast<Who>(who), settings)); });
    }
    return {
        compare("follow_primary_command", series[ours], kNames[sample], series[sample], 1.0 / 3)};
}

}  // namespace hooks::bench
