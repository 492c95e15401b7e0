#include "tests/support/stories.h"

#include <gtest/gtest.h>

#include "tests/support/checks.h"

namespace hooks::harness {

void expect_primary_is_replaced(Cluster& cluster, Writer& writer) {
    cluster.kill_postgres(0);
    writer.wait_for_commits(20);
    EXPECT_EQ(cluster.primary(), 1) << cluster.dump();
    for (const int node : {2, 0}) {
        expect_streaming(cluster, node);
        expect_attached(cluster, node);
    }
}

void wipe_out(Cluster& cluster, int node) {
    cluster.kill_postgres(node);
    cluster.wipe(node);
    cluster.wait_until(
        [&] { return !cluster.pool_status().at(static_cast<std::size_t>(node)).attached(); },
        std::chrono::seconds(30), "pgpool sees the loss");
}

void expect_recovered(Cluster& cluster, int node) {
    Outcome outcome;
    cluster.wait_until(
        [&] {
            outcome = cluster.pcp("pcp_recovery_node", {std::to_string(node)});
            return outcome.err.find("failover is in progress") == std::string::npos;
        },
        std::chrono::seconds(30), "pgpool is done with its failover");
    EXPECT_NE((outcome.out + outcome.err).find("Command Successful"), std::string::npos)
        << outcome.out << outcome.err << cluster.dump();
    EXPECT_EQ(cluster.streaming_problem(node), "") << cluster.dump();
    expect_attached(cluster, node);
}

}  // namespace hooks::harness
