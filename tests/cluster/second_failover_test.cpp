// A second failover while Pgpool-II still runs its loop of follow_primary_command for the first.
#include <gtest/gtest.h>

#include "tests/cluster/calls.h"

namespace hooks::harness {
namespace {

using std::chrono::seconds;

// Each call begins a second late, so that there is time for something in the loop.
ClusterOptions slow_follow() {
    ClusterOptions options;
    options.synchronous = true;
    options.nodes = 4;
    options.base_directory = Account::for_servers().home + "/second";
    options.follow_primary_command =
        "sleep 1; " + options.base_directory + "/bin/follow_primary_command --config " +
        options.base_directory + "/hooks.conf %d %h %p \"%D\" %m %H %M %P %r \"%R\" %N %S";
    return options;
}

TEST(SecondFailover, DuringTheFollowLoopOfTheFirstPgpoolIsToldOfThePrimaryAndEveryNodeFollowsIt) {
    Cluster cluster(slow_follow());
    cluster.start();
    Writer writer(cluster);
    writer.start();
    writer.wait_for_commits(10);
    cluster.kill_postgres_at_once(0);
    cluster.wait_until([&] { return cluster.primary() == 1; }, seconds(30), "node 1 takes over");
    writer.wait_for_commits(5);
    cluster.wait_until(
        [&] {
            return cluster.pgpool_log().find("start triggering follow command") !=
                   std::string::npos;
        },
        seconds(20), "the loop runs");
    cluster.kill_postgres_at_once(1);
    cluster.wait_until(
        [&] {
            const auto primary = cluster.primary();
            return primary && *primary != 1;
        },
        seconds(30), "another node takes over");
    const int primary = cluster.primary().value();
    // The first loop ends, the second calls with the dead one, and a worker puts it right.
    cluster.wait_until(
        [&] {
            const auto nodes = cluster.pool_status();
            return nodes.at(static_cast<std::size_t>(primary)).attached() &&
                   nodes.at(static_cast<std::size_t>(primary)).role == "primary";
        },
        seconds(60), "pgpool knows the primary");
    writer.wait_for_commits(10);
    for (int node = 0; node < cluster.size(); ++node) {
        if (node != primary) {
            expect_streaming(cluster, node, seconds(60));
            expect_attached(cluster, node, seconds(60));
        }
    }
    expect_one_writable(cluster);
    expect_no_acknowledged_row_lost(cluster, writer);
}

}  // namespace
}  // namespace hooks::harness
