// What the installed Pgpool-II makes of the placeholders: as the other tests, which call the hooks
// themselves, take for granted, and in words that the hooks accept.
#include <gtest/gtest.h>

#include "tests/cluster/calls.h"
#include "tests/support/pgpool_server.h"

namespace hooks::harness {
namespace {

using std::chrono::seconds;

const std::string kWords = "echo \"%d|%h|%p|%D|%m|%H|%M|%P|%r|%R|%N|%S\" >>\"%D/../";

PgpoolStyle installed_style() {
    return installed_pgpool() >= 404 ? PgpoolStyle::v4_4 : PgpoolStyle::v4_3;
}

ClusterOptions write_down() {
    ClusterOptions options;
    options.nodes = 2;
    options.failover_command = kWords + "words\"";
    options.follow_primary_command = "";
    options.pgpool_settings["search_primary_node_timeout"] = "1";
    return options;
}

// Also by way of the shell: values that are absent come as quotes, which it takes away.
void expect_words(const Cluster& cluster, int node, int new_main, int old_primary) {
    const std::string words = cluster.node_directory(node) + "/words";
    cluster.wait_until([&] { return read_file(words).find('\n') != std::string::npos; },
                       seconds(60), "pgpool calls failover_command");
    const std::string line =
        expand_command(kWords + "expected\"", cluster.placeholders(node, new_main, old_primary),
                       installed_style());
    ASSERT_TRUE(cluster.run_shell(line).ok()) << line;
    EXPECT_EQ(read_file(words), read_file(cluster.node_directory(node) + "/expected"));
}

// The same words, taken apart by the hook.
void expect_hook_understands(const Cluster& cluster, int node, int new_main, int old_primary) {
    const Outcome outcome = call(cluster, "failover_command", node, new_main, old_primary,
                                 installed_style(), " --dry-run");
    EXPECT_NE(outcome.exit_code, 2) << outcome.err;
}

TEST(PgpoolWords, WhenAPrimaryIsLost) {
    Cluster cluster(write_down());
    cluster.start();
    cluster.kill_postgres(0);
    expect_words(cluster, 0, 1, 0);
    expect_hook_understands(cluster, 0, 1, 0);
}

TEST(PgpoolWords, WhenAStandbyIsLostAndThenTheLastNode) {
    Cluster cluster(write_down());
    cluster.start();
    cluster.kill_postgres(1);
    expect_words(cluster, 1, 0, 0);
    expect_hook_understands(cluster, 1, 0, 0);
    cluster.kill_postgres(0);
    expect_words(cluster, 0, -1, 0);
    expect_hook_understands(cluster, 0, -1, 0);
}

}  // namespace
}  // namespace hooks::harness
