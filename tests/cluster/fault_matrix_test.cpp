// Runs every row of the fault matrix.
#include <gtest/gtest.h>

#include <fstream>
#include <future>

#include "common/core/error.h"
#include "tests/cluster/calls.h"
#include "tests/cluster/injury.h"
#include "tests/cluster/watcher.h"
#include "tests/support/cluster_files.h"

namespace hooks::harness {
namespace {

using std::chrono::seconds;

ClusterOptions options_for(const FaultCase& row) {
    ClusterOptions options;
    options.synchronous = row.during == During::load;
    options.pgpool_settings["detach_false_primary"] = "on";  // as docs/operations.md says
    if (row.fault == Fault::disk_full || row.fault == Fault::disk_read_only) {
        options.disk_megabytes = 400;
    }
    return options;
}

void set_tcp(const std::string& name, int value) {
    ASSERT_TRUE(std::ofstream("/proc/sys/net/ipv4/tcp_" + name) << value << std::flush) << name;
}

class FaultMatrix : public testing::TestWithParam<FaultCase> {
  protected:
    FaultMatrix()
        : row(GetParam()),
          cluster(options_for(row)),
          writer(cluster),
          watcher(cluster),
          injury(cluster, row) {}

    void run();

    // ---- before
    void lose_the_follower();
    void begin_recovery();
    // ---- after
    void expect_ending();
    void end_recovery();
    void bring_back();
    void recover(int node);
    void expect_whole();

    bool detached(int node) const {
        return !cluster.pool_status().at(static_cast<std::size_t>(node)).attached();
    }
    void wait_until_detached(int node) const {
        cluster.wait_until([&] { return detached(node); }, seconds(40),
                           "pgpool sees the loss of node " + std::to_string(node));
    }
    void wait_until_pgpool_is_ready() const;
    bool is_refused() const {
        const std::string text = cluster.hook_log() + cluster.pgpool_log();
        return text.find("exit=3") != std::string::npos ||
               text.find("rule=F01") != std::string::npos;
    }

    const FaultCase row;
    Cluster cluster;
    Writer writer;
    Watcher watcher;
    Injury injury;
    std::future<Outcome> recovery;
};

// Pgpool-II ends a failover with a new PCP process, a second after all else. A recovery that the
// old one still took holds up everything until it ends.
void FaultMatrix::wait_until_pgpool_is_ready() const {
    cluster.wait_until(
        [&] {
            const std::string log = cluster.pgpool_log();
            const auto last = [&](const char* text) {
                const std::size_t place = log.rfind(text);
                return place == std::string::npos ? 0 : place;
            };
            return last("fork a new PCP child") >=
                   std::max(last("starting degeneration"), last("failover done"));
        },
        seconds(40), "pgpool is done with a failover");
}

void FaultMatrix::lose_the_follower() {
    cluster.stop_postgres(kFollower);
    wait_until_detached(kFollower);
    wait_until_pgpool_is_ready();
    cluster.wipe(kFollower);
}

void FaultMatrix::begin_recovery() {
    // Long enough to break something in the middle.
    cluster.network().slow_host(kFollower, "30mbit");
    recovery = std::async(std::launch::async, [this] {
        return cluster.pcp("pcp_recovery_node", {std::to_string(kFollower)});
    });
    if (row.fault == Fault::disk_read_only) {
        return;  // nothing is copied
    }
    cluster.wait_until(
        [&] {
            return cluster.sql_value(kFirstPrimary,
                                     "SELECT count(*) FROM pg_stat_replication WHERE "
                                     "state = 'backup'") != "0";
        },
        seconds(30), "the base backup runs");
}

void FaultMatrix::end_recovery() {
    ASSERT_EQ(recovery.wait_for(seconds(100)), std::future_status::ready)
        << "pcp_recovery_node does not end\n"
        << cluster.dump();
    const Outcome outcome = recovery.get();
    const bool succeeded = (outcome.out + outcome.err).find("Successful") != std::string::npos;
    EXPECT_EQ(succeeded, !injury.of_the_copy() && row.ending != Ending::taken_over &&
                             row.back != Back::restart_of_pgpool)
        << outcome.describe() << "\n"
        << cluster.dump();
}

void FaultMatrix::recover(int node) {
    wait_until_detached(node);
    wait_until_pgpool_is_ready();
    Outcome outcome;
    // The server may still be on its way down.
    cluster.wait_until(
        [&] {
            outcome = cluster.pcp("pcp_recovery_node", {std::to_string(node)});
            return (outcome.out + outcome.err).find("Successful") != std::string::npos;
        },
        seconds(90), "pcp_recovery_node succeeds");
}

void FaultMatrix::expect_ending() {
    switch (row.ending) {
        case Ending::taken_over:
            cluster.wait_until(
                [&] {
                    const auto primary = cluster.primary();
                    return primary && *primary != kFirstPrimary;
                },
                seconds(60), "another node is the primary");
            break;
        case Ending::stays:
            if (!injury.of_the_copy()) {
                wait_until_detached(injury.victim());
            }
            EXPECT_EQ(cluster.primary(), kFirstPrimary);
            break;
        case Ending::refused:
            cluster.wait_until([&] { return is_refused(); }, seconds(60),
                               "a hook says why it does nothing");
            if (row.fault != Fault::wrong_password) {
                return;
            }
            // Not before pgpool has nothing more to ask: it works through its requests in turn,
            // also those that are no longer true.
            for (int node = 0; node < cluster.size(); ++node) {
                wait_until_detached(node);
            }
            wait_until_pgpool_is_ready();
            return;
        case Ending::unharmed:
            if (row.victim == Victim::pgpool) {
                return;  // nobody can write
            }
            writer.start();
            writer.wait_for_commits(100);
            if (row.during == During::idle) {
                writer.stop();
            }
            EXPECT_EQ(cluster.primary(), kFirstPrimary);
            return;
    }
    if (row.during != During::idle) {
        writer.wait_for_commits(10);
    }
}

void FaultMatrix::bring_back() {
    switch (row.back) {
        case Back::by_itself:
            return;
        case Back::recovery:
            return recover(injury.victim());
        case Back::attach:
            for (int node = 0; node < cluster.size(); ++node) {
                cluster.wait_until(
                    [&] {
                        if (detached(node)) {
                            cluster.pcp("pcp_attach_node", {std::to_string(node)});
                        }
                        return !detached(node);
                    },
                    seconds(60), "node " + std::to_string(node) + " is attached");
            }
            return;
        case Back::restart_of_pgpool:
            cluster.pgpool().start_again();
            if (row.during == During::recovery) {
                recover(kFollower);
            }
            return;
    }
}

void FaultMatrix::expect_whole() {
    std::optional<int> primary;
    cluster.wait_until(
        [&] {
            primary = cluster.primary();
            return primary.has_value();
        },
        seconds(60), "one node is writable");
    EXPECT_EQ(*primary == kFirstPrimary, row.ending != Ending::taken_over) << cluster.dump();
    for (int node = 0; node < cluster.size(); ++node) {
        if (node != *primary) {
            expect_streaming(cluster, node, seconds(120));
        }
        expect_attached(cluster, node, seconds(120));
    }
    writer.start();
    writer.wait_for_commits(10);
    writer.stop();
    watcher.stop();
    expect_one_writable(cluster);
    expect_one_history(writer);
    expect_no_acknowledged_row_lost(cluster, writer);
    // Whom nobody could reach is stopped when somebody can.
    const bool out_of_reach = row.fault == Fault::host_cut || row.fault == Fault::one_way_cut;
    EXPECT_LE(watcher.longest_overlap(), out_of_reach ? seconds(15) : seconds(0))
        << "two primaries: " << watcher.overlap() << "\n"
        << cluster.dump();
}

void FaultMatrix::run() {
    // What docs/operations.md says about a host that vanishes in the middle of a recovery.
    set_tcp("keepalive_time", 5);
    set_tcp("keepalive_intvl", 1);
    set_tcp("keepalive_probes", 3);
    cluster.start();
    watcher.start();
    if (row.during == During::recovery) {
        lose_the_follower();
        if (row.fault != Fault::disk_read_only) {
            begin_recovery();
        }
    }
    writer.start();
    writer.wait_for_commits(10);
    if (row.during == During::idle) {
        writer.stop();
    }
    injury.strike();
    if (row.fault == Fault::disk_read_only) {
        begin_recovery();
    }
    injury.wait_until_it_shows();
    expect_ending();
    if (row.during == During::recovery) {
        cluster.network().heal_slow_host(kFollower);
    }
    if (injury.of_the_copy()) {
        end_recovery();
    }
    injury.lift();
    if (row.during == During::recovery && !injury.of_the_copy()) {
        end_recovery();
    }
    bring_back();
    expect_whole();
}

TEST_P(FaultMatrix, Row) {
    try {
        run();
    } catch (const std::exception& error) {
        FAIL() << error.what();
    }
}

INSTANTIATE_TEST_SUITE_P(, FaultMatrix, testing::ValuesIn(fault_matrix()),
                         [](const auto& row) { return name_of(row.param); });

TEST(FaultMatrixPage, IsPrintedFromTheTable) {
    const std::string path = HOOKS_SOURCE_DIR "/docs/fault-matrix.md";
    if (std::getenv("HOOKS_WRITE_DOCS") != nullptr) {
        std::ofstream(path) << fault_matrix_page();
    }
    EXPECT_EQ(read_file(path), fault_matrix_page())
        << "HOOKS_WRITE_DOCS=1 cluster_tests --gtest_filter=FaultMatrixPage.* writes it";
}

}  // namespace
}  // namespace hooks::harness
