// The hooks of the installed package, at their places and with the lines, wrappers and settings
// that it brings. package_test.sh runs this inside a root where it is installed.
#include <gtest/gtest.h>

#include "common/core/conf_file.h"
#include "tests/support/checks.h"
#include "tests/support/cluster.h"
#include "tests/support/stories.h"
#include "tests/support/writer.h"

namespace hooks::harness {
namespace {

using std::chrono::seconds;

const std::string examples = "/usr/share/doc/pgpool-hooks/examples/";

std::string example(const std::string& name) {
    std::string text = read_file(examples + name);
    EXPECT_NE(text, "") << "not installed: " << name;
    return text;
}

ClusterOptions installed() {
    const ConfFile snippet = ConfFile::parse(example("pgpool.conf.snippet"), "pgpool.conf.snippet");
    ClusterOptions options;
    options.hooks_bin_dir = "/usr/lib/pgpool-hooks";
    options.failover_command = snippet.value("failover_command");
    options.follow_primary_command = snippet.value("follow_primary_command");
    options.recovery_1st_stage = example("pgdata/recovery_1st_stage");
    options.pgpool_remote_start = example("pgdata/pgpool_remote_start");
    return options;
}

class Installed : public testing::Test {
  protected:
    Installed() : cluster(installed()), writer(cluster) {}

    void SetUp() override {
        cluster.start();
        const Place here(cluster.account());
        here.write_file(
            "/etc/pgpool-hooks/hooks.conf",
            read_file(cluster.hooks_conf_path()) + "state_dir = '/var/lib/pgpool-hooks'\n", 0644);
        writer.start();
        writer.wait_for_commits(10);
    }
    void TearDown() override {
        expect_one_writable(cluster);
        expect_no_acknowledged_row_lost(cluster, writer);
    }
    // Of a run that no option pointed to another configuration.
    void expect_history(const std::string& hook, const std::string& text) {
        cluster.wait_until(
            [&] {
                const std::string history = read_file("/var/lib/pgpool-hooks/history");
                return history.find("hook=" + hook) != std::string::npos &&
                       history.find(text) != std::string::npos;
            },
            seconds(30), "the history says " + text);
    }

    Cluster cluster;
    Writer writer;
};

TEST_F(Installed, ThePrimaryIsKilledAndEveryNodeIsAStandbyAgain) {
    expect_primary_is_replaced(cluster, writer);
    expect_history("failover_command", "rule=F05");
    expect_history("follow_primary_command", "exit=0");
}

TEST_F(Installed, AWipedNodeIsBroughtBackByPcpRecoveryNode) {
    wipe_out(cluster, 2);
    expect_recovered(cluster, 2);
    expect_history("recovery_1st_stage", "exit=0");
    expect_history("pgpool_remote_start", "exit=0");
}

}  // namespace
}  // namespace hooks::harness
