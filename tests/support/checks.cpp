#include "tests/support/checks.h"

#include <gtest/gtest.h>

namespace hooks::harness {

void expect_one_writable(const Cluster& cluster) {
    const std::vector<int> nodes = cluster.writable_nodes();
    EXPECT_EQ(nodes.size(), 1u) << cluster.dump();
}

void expect_no_acknowledged_row_lost(const Cluster& cluster, Writer& writer) {
    writer.stop();
    ASSERT_GT(writer.acknowledged(), 0u) << "the writer committed nothing: " << writer.last_error();
    try {
        const std::vector<std::int64_t> missing = writer.missing_rows();
        EXPECT_TRUE(missing.empty()) << missing.size() << " of " << writer.acknowledged()
                                     << " acknowledged rows are lost, from number "
                                     << missing.front() << " to " << missing.back() << "\n"
                                     << cluster.dump();
    } catch (const std::exception& error) {
        ADD_FAILURE() << error.what() << "\n" << cluster.dump();
    }
}

void expect_one_history(const Writer& writer) {
    const std::vector<Writer::Commit> commits = writer.commits();
    for (std::size_t i = 1; i < commits.size(); ++i) {
        const Writer::Commit& before = commits[i - 1];
        const Writer::Commit& now = commits[i];
        if (now.timeline < before.timeline ||
            (now.timeline == before.timeline && now.server != before.server)) {
            ADD_FAILURE() << "row " << before.number << " went to " << before.server
                          << " on timeline " << before.timeline << ", then row " << now.number
                          << " to " << now.server << " on timeline " << now.timeline;
            return;
        }
    }
}

void expect_streaming(const Cluster& cluster, int node, Milliseconds patience) {
    std::string problem;
    try {
        cluster.wait_until(
            [&] {
                problem = cluster.streaming_problem(node);
                return problem.empty();
            },
            patience, "node " + std::to_string(node) + " streams");
    } catch (const HarnessError& error) {
        ADD_FAILURE() << "node " << node << ": " << problem << "\n" << error.what();
    }
}

void expect_attached(const Cluster& cluster, int node, Milliseconds patience) {
    try {
        cluster.wait_until(
            [&] { return cluster.pool_status().at(static_cast<std::size_t>(node)).attached(); },
            patience, "pgpool shows node " + std::to_string(node) + " as up");
    } catch (const HarnessError& error) {
        ADD_FAILURE() << error.what();
    }
}

}  // namespace hooks::harness
