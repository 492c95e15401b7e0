// Runs every row of the fault matrix.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <fstream>
#include <future>

#include "common/core/error.h"
#include "tests/cluster/calls.h"
#include "tests/cluster/faults.h"
#include "tests/support/cluster_files.h"

namespace hooks::harness {
namespace {

using std::chrono::seconds;

constexpr int first_primary = 0;
constexpr int candidate = 1;
constexpr int follower = 2;

ClusterOptions options_for(const FaultCase& row) {
    ClusterOptions options;
    options.synchronous = row.during == During::load;
    if (row.fault == Fault::disk_full || row.fault == Fault::disk_read_only) {
        options.disk_megabytes = 400;
    }
    return options;
}

class FaultMatrix : public testing::TestWithParam<FaultCase> {
  protected:
    FaultMatrix() : row(GetParam()), cluster(options_for(row)), writer(cluster) {}

    void run();

    // ---- before
    void begin_recovery();
    // ---- the fault
    void strike();
    void strike_node(int node);
    void strike_pgpool();
    void lift();
    // ---- after
    void expect_ending();
    void bring_back();
    void expect_whole();

    int victim() const {
        return row.victim == Victim::pgpool
                   ? kHub
                   : (row.victim == Victim::primary
                          ? first_primary
                          : (row.victim == Victim::candidate ? candidate : follower));
    }
    bool detached(int node) const {
        return !cluster.pool_status().at(static_cast<std::size_t>(node)).attached();
    }
    void change_password(const std::string& role, const std::string& connect_with,
                         const std::string& password) const;
    void recover(int node);
    void finish_recovery(bool must_succeed);
    std::string everything_said() const { return cluster.hook_log() + cluster.pgpool_log(); }

    const FaultCase row;
    Cluster cluster;
    Writer writer;
    std::future<Outcome> recovery;
};

void FaultMatrix::begin_recovery() {
    cluster.stop_postgres(follower);
    cluster.wait_until([&] { return detached(follower); }, seconds(30), "pgpool sees the loss");
    cluster.wipe(follower);
    // Long enough to break something in the middle.
    cluster.slow_host(follower, 30'000);
    recovery = std::async(std::launch::async, [this] {
        return cluster.pcp("pcp_recovery_node", {std::to_string(follower)});
    });
    cluster.wait_until(
        [&] {
            return cluster.sql_value(first_primary,
                                     "SELECT count(*) FROM pg_stat_replication WHERE "
                                     "state = 'backup'") != "0";
        },
        seconds(30), "the base backup runs");
}

void FaultMatrix::change_password(const std::string& role, const std::string& connect_with,
                                  const std::string& password) const {
    Conninfo conninfo = cluster.conninfo(first_primary);
    conninfo.set("password", connect_with);
    const Deadline deadline = Deadline::after(seconds(10));
    const auto connection = PgConnection::connect(conninfo, "test", deadline);
    connection->query("SET password_encryption = 'scram-sha-256'", deadline);
    connection->query(fmt::format("ALTER ROLE {} PASSWORD '{}'", role, password), deadline);
}

void FaultMatrix::strike() {
    // Asynchronous: a commit that no standby has yet would be lost for good reasons.
    std::unique_lock<std::mutex> pause;
    if (row.during != During::load && row.fault != Fault::sigkill && row.fault != Fault::sigstop) {
        pause = cluster.pause_writers();
        cluster.wait_until_standbys_have_all(first_primary);
    }
    victim() == kHub ? strike_pgpool() : strike_node(victim());
}

void FaultMatrix::strike_node(int node) {
    // The follower that is being copied to has no server yet.
    const bool copied_to = row.during == During::recovery && node == follower;
    switch (row.fault) {
        case Fault::sigkill:
            row.during == During::load ? cluster.kill_postgres_at_once(node)
                                       : cluster.kill_postgres(node);
            return;
        case Fault::sigstop:
            row.during == During::load ? cluster.server(node).freeze()
                                       : cluster.freeze_postgres(node);
            return;
        case Fault::fast_stop:
            return cluster.stop_postgres(node, StopMode::fast);
        case Fault::immediate_stop:
            return cluster.stop_postgres(node, StopMode::immediate);
        case Fault::host_cut:
            return cluster.cut_network(node);
        case Fault::one_way_cut:
            for (int other = kHub; other < cluster.size(); ++other) {
                if (other != node) {
                    cluster.cut_one_way(node, other);
                }
            }
            return;
        case Fault::slow_link:
            return cluster.slow_host(node, 512);
        case Fault::disk_full:
            cluster.fill_disk(node);
            if (!copied_to) {
                // The next segment has no room.
                try {
                    cluster.sql(first_primary, "SELECT pg_switch_wal()");
                } catch (const hooks::Error&) {
                    // It is the one that ends by this.
                }
            }
            return;
        case Fault::disk_read_only:
            return cluster.set_disk_read_only(node, true);
        case Fault::ssh_dead:
            return cluster.kill_sshd(node);
        case Fault::ssh_and_server_dead:
            cluster.kill_sshd(node);
            return cluster.kill_postgres_at_once(node);
        case Fault::wrong_password:
            return change_password(copied_to ? "repl" : "postgres", Secrets::kSuperuser, "other");
    }
}

void FaultMatrix::strike_pgpool() {
    switch (row.fault) {
        case Fault::sigkill:
            return cluster.pgpool().kill();
        case Fault::fast_stop:
            return cluster.pgpool().stop();
        case Fault::sigstop:
            return cluster.pgpool().freeze();
        case Fault::host_cut:
            for (int node = 0; node < cluster.size(); ++node) {
                cluster.cut_one_way(kHub, node);
                cluster.cut_one_way(node, kHub);
            }
            return;
        case Fault::one_way_cut:
            for (int node = 0; node < cluster.size(); ++node) {
                cluster.cut_one_way(kHub, node);
            }
            return;
        default:
            FAIL() << "no such fault of pgpool's host";
    }
}

void FaultMatrix::lift() {
    const int node = victim();
    switch (row.fault) {
        case Fault::sigkill:
        case Fault::fast_stop:
        case Fault::immediate_stop:
            return;
        case Fault::sigstop:
            return node == kHub ? cluster.pgpool().thaw() : cluster.thaw_postgres(node);
        case Fault::host_cut:
        case Fault::one_way_cut:
            if (node != kHub && row.fault == Fault::host_cut) {
                return cluster.heal_host(node);
            }
            for (int other = kHub; other < cluster.size(); ++other) {
                if (other != node) {
                    cluster.heal_one_way(node, other);
                    cluster.heal_one_way(other, node);
                }
            }
            return;
        case Fault::slow_link:
            return cluster.slow_host(node, 0);
        case Fault::disk_full:
            return cluster.free_disk(node);
        case Fault::disk_read_only:
            return cluster.set_disk_read_only(node, false);
        case Fault::ssh_dead:
        case Fault::ssh_and_server_dead:
            return cluster.start_sshd(node);
        case Fault::wrong_password:
            return row.during == During::recovery
                       ? change_password("repl", Secrets::kSuperuser, Secrets::kReplication)
                       : change_password("postgres", "other", Secrets::kSuperuser);
    }
}

void FaultMatrix::finish_recovery(bool must_succeed) {
    ASSERT_EQ(recovery.wait_for(seconds(100)), std::future_status::ready)
        << "pcp_recovery_node does not end\n"
        << cluster.dump();
    const Outcome outcome = recovery.get();
    const bool succeeded = (outcome.out + outcome.err).find("Successful") != std::string::npos;
    EXPECT_EQ(succeeded, must_succeed) << outcome.describe() << "\n" << cluster.dump();
}

void FaultMatrix::recover(int node) {
    cluster.wait_until([&] { return detached(node); }, seconds(40),
                       "pgpool sees the loss of node " + std::to_string(node));
    Outcome outcome;
    // The server may still be on its way down, or pgpool busy with the failover.
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
                    return primary && *primary != first_primary;
                },
                seconds(60), "another node is the primary");
            if (row.during != During::idle) {
                writer.wait_for_commits(10);
            }
            return;
        case Ending::stays:
            if (row.during != During::recovery || victim() != follower) {
                cluster.wait_until([&] { return detached(victim()); }, seconds(40),
                                   "pgpool sees the loss");
            }
            EXPECT_EQ(cluster.primary(), first_primary);
            if (row.during != During::idle) {
                writer.wait_for_commits(10);
            }
            return;
        case Ending::refused:
            cluster.wait_until(
                [&] {
                    return everything_said().find("exit=3") != std::string::npos ||
                           everything_said().find("rule=F01") != std::string::npos;
                },
                seconds(60), "a hook says why it does nothing");
            return;
        case Ending::unharmed:
            if (row.during != During::idle && row.victim != Victim::pgpool) {
                writer.wait_for_commits(100);
            } else if (row.victim != Victim::pgpool) {
                // Some rounds of health checks.
                Writer clients(cluster);
                clients.start();
                clients.wait_for_commits(100);
            }
            EXPECT_EQ(everything_said().find("rule=F0"), everything_said().find("rule=F02"))
                << "nobody was to be promoted\n"
                << cluster.dump();
            return;
    }
}

void FaultMatrix::bring_back() {
    switch (row.back) {
        case Back::by_itself:
            return;
        case Back::recovery:
            return recover(victim());
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
            cluster.pgpool().start();
            if (row.during == During::recovery) {
                recover(follower);
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
    EXPECT_EQ(*primary == first_primary, row.ending != Ending::taken_over) << cluster.dump();
    for (int node = 0; node < cluster.size(); ++node) {
        if (node != *primary) {
            expect_streaming(cluster, node, seconds(120));
        }
        expect_attached(cluster, node, seconds(120));
    }
    writer.stop();
    Writer after(cluster);
    after.start();
    after.wait_for_commits(10);
    after.stop();
    expect_one_writable(cluster);
    expect_no_acknowledged_row_lost(cluster, after);
    expect_no_acknowledged_row_lost(cluster, writer);
}

void FaultMatrix::run() {
    // A host that is silent for pgpool's own connects: docs/operations.md says to bound them.
    ASSERT_TRUE(std::ofstream("/proc/sys/net/ipv4/tcp_syn_retries") << 2 << std::flush);
    cluster.start();
    if (row.during == During::recovery) {
        begin_recovery();
    }
    writer.start();
    writer.wait_for_commits(10);
    if (row.during == During::idle) {
        writer.stop();
    }
    strike();
    expect_ending();
    if (row.during == During::recovery && row.fault != Fault::slow_link) {
        cluster.slow_host(follower, 0);
    }
    const bool of_the_copy = row.during == During::recovery && victim() == follower;
    if (of_the_copy) {
        finish_recovery(false);
    }
    lift();
    if (row.during == During::recovery && !of_the_copy) {
        finish_recovery(row.ending != Ending::taken_over && row.back != Back::restart_of_pgpool);
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
