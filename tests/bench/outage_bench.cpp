// The outage that a client sees who commits through pgpool when the primary is killed.
#include "tests/bench/bench.h"
#include "tests/support/writer.h"

namespace hooks::bench {
namespace {

enum Who { ours, ideal, count };
constexpr const char* kNames[] = {"hooks", "psql"};

// A hook that needs to think of nothing: the right node is promoted by one statement.
ClusterOptions ideal_hook() {
    ClusterOptions options = by_hand();
    options.failover_command = harness::find_postgres_bin_dir() +
                               "/psql -X -h %H -p %r -U postgres -d postgres "
                               "-c \"SELECT pg_promote()\"";
    return options;
}

ClusterOptions our_hooks() {
    ClusterOptions options;
    options.announce = false;
    return options;
}

double one(Who who) {
    Cluster cluster(who == ours ? our_hooks() : ideal_hook());
    cluster.start();
    harness::Writer writer(cluster);
    writer.start();
    writer.wait_for_commits(20);
    const auto killed = harness::Writer::Clock::now();
    cluster.kill_postgres(0);
    writer.wait_for_commits(20);
    const Milliseconds outage = writer.longest_outage(killed).length;
    writer.stop();
    if (cluster.primary() != 1 || !writer.missing_rows().empty()) {
        fail(cluster, std::string(kNames[who]) + ": node 1 is not the primary, or rows are lost");
    }
    progress("outage", kNames[who], static_cast<double>(outage.count()), "ms");
    return static_cast<double>(outage.count());
}

}  // namespace

std::vector<Row> outage_bench(const Settings& settings) {
    Series series[count];
    for (int run = 0; run < settings.runs; ++run) {
        rotate(run, count, [&](int who) { series[who].add(one(static_cast<Who>(who))); });
    }
    return {compare("outage after SIGKILL, as a client sees it", series[ours], kNames[ideal],
                    series[ideal], 1.5)};
}

}  // namespace hooks::bench
