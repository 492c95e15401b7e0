// Whose slots they are, what they keep back for nodes that are gone, and what becomes of them.
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <sstream>

#include "tests/cluster/calls.h"

namespace hooks::harness {
namespace {

using std::chrono::seconds;

std::string slots_on(const Cluster& cluster, int node) {
    return cluster.sql_value(node,
                             "SELECT coalesce(string_agg(slot_name, ' ' ORDER BY slot_name), '') "
                             "FROM pg_replication_slots");
}

std::string content(const std::string& path) {
    std::ifstream stream(path, std::ios::binary);
    std::ostringstream text;
    text << stream.rdbuf();
    return text.str();
}

std::string ledger(const Cluster& cluster) {
    return content(cluster.state_dir() + "/slots");
}

// Lines of the ledger that have all of these.
int lines_with(const Cluster& cluster, const std::vector<std::string>& words) {
    std::istringstream lines(ledger(cluster));
    int found = 0;
    for (std::string line; std::getline(lines, line);) {
        found += std::all_of(words.begin(), words.end(), [&](const std::string& word) {
            return line.find(word) != std::string::npos;
        });
    }
    return found;
}

void expect_says(const Outcome& outcome, const std::vector<std::string>& texts) {
    for (const std::string& text : texts) {
        EXPECT_NE(outcome.err.find(text), std::string::npos) << text << "\n" << outcome.err;
    }
}

ClusterOptions with(const std::string& bound, const std::string& hooks_conf = {}) {
    ClusterOptions options = by_hand();
    options.postgres_settings["max_slot_wal_keep_size"] = bound;
    options.hooks_conf = hooks_conf;
    return options;
}

class SlotsTest : public ByHandTest {
  protected:
    explicit SlotsTest(ClusterOptions options = with("1GB")) : ByHandTest(std::move(options)) {}

    void lose_primary() {
        cluster.kill_postgres(0);
        const Outcome outcome = call(cluster, "failover_command", 0, 1, 0);
        ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
        ASSERT_EQ(cluster.sql_value(1, "SELECT pg_is_in_recovery()"), "f") << outcome.err;
        // A node that is back before its health check misses it stays the primary for pgpool.
        cluster.wait_until([&] { return !cluster.pool_status().at(0).attached(); }, seconds(30),
                           "pgpool detaches node 0");
    }
    void remove_from_pgpool_conf(int node) {
        // The last line of a setting counts.
        std::ofstream(cluster.base_directory() + "/pgpool/pgpool.conf", std::ios::app)
            << "\nbackend_port" << node << " = 0\n";
    }
    std::string on(int node) { return cluster.host(node) + ":5432"; }
};

class Slots : public SlotsTest {};

TEST_F(Slots, TheLedgerSaysWhoMadeAndDroppedWhichAndWhere) {
    lose_primary();
    for (const char* slot : {"slot=pgpool_node_0 ", "slot=pgpool_node_2 "}) {
        EXPECT_EQ(lines_with(cluster, {"event=made", slot, "server=" + on(1),
                                       "hook=failover_command", "promotion"}),
                  1)
            << ledger(cluster);
    }
    EXPECT_EQ(call(cluster, "follow_primary_command", 2, 1, 0).exit_code, 0);
    EXPECT_EQ(call(cluster, "follow_primary_command", 0, 1, 0).exit_code, 0);
    expect_streaming(cluster, 0);
    expect_attached(cluster, 0);
    expect_no_locks(cluster, 1);
    EXPECT_EQ(lines_with(cluster, {"event=made"}), 2) << "made anew:\n" << ledger(cluster);

    cluster.stop_postgres(2);
    expect_says(call(cluster, "failover_command", 2, 0, 1),
                {"rule=F02", "slot pgpool_node_2 keeps back", "for node 2, which is down",
                 "max_slot_wal_keep_size bounds it at 1 GB"});
    cluster.sql(1, "SELECT pg_drop_replication_slot('pgpool_node_2')");  // by hand
    cluster.wipe(2);
    cluster.wait_until([&] { return !cluster.pool_status().at(2).attached(); }, seconds(30),
                       "pgpool detaches node 2");
    const Outcome recovery = cluster.pcp("pcp_recovery_node", {"2"});
    EXPECT_EQ(cluster.streaming_problem(2), "") << recovery.err << cluster.dump();
    EXPECT_EQ(lines_with(cluster, {"event=made", "slot=pgpool_node_2 ", "server=" + on(1),
                                   "hook=recovery_1st_stage"}),
              1)
        << ledger(cluster);
}

TEST_F(Slots, TheSlotOfANodeThatLeftGoesWhenItIsNotUsedAnyMoreAndAForeignOneStays) {
    lose_primary();
    EXPECT_EQ(call(cluster, "follow_primary_command", 2, 1, 0).exit_code, 0);
    EXPECT_EQ(call(cluster, "follow_primary_command", 0, 1, 0).exit_code, 0);
    expect_streaming(cluster, 0);
    expect_attached(cluster, 0);
    expect_no_locks(cluster, 1);
    cluster.sql(1, "SELECT pg_create_physical_replication_slot('pgpool_node_7', true)");
    cluster.sql(1, "SELECT pg_create_physical_replication_slot('pgpool_node_1', true)");
    cluster.sql(1, "SELECT pg_create_physical_replication_slot('mine', true)");
    // A writer that was cut off.
    std::ofstream(cluster.state_dir() + "/slots", std::ios::app) << "time=2026-11-2";

    remove_from_pgpool_conf(2);  // it streams all the same
    cluster.stop_postgres(0);
    expect_says(call(cluster, "failover_command", 0, 1, 1),
                {"slot pgpool_node_1 was for the primary itself and was dropped",
                 "slot pgpool_node_7 keeps back", "for a node that is not in pgpool.conf; it stays",
                 "SELECT pg_drop_replication_slot('pgpool_node_7') on node 1"});
    EXPECT_EQ(slots_on(cluster, 1), "mine pgpool_node_0 pgpool_node_2 pgpool_node_7");

    cluster.stop_postgres(2);
    cluster.wait_until(
        [&] { return cluster.sql(1, "SELECT 1 FROM pg_replication_slots WHERE active").empty(); },
        seconds(20), "its walsender ends");
    expect_says(call(cluster, "failover_command", 0, 1, 1),
                {"slot pgpool_node_2 was for node 2, which is not in pgpool.conf any more and was "
                 "dropped"});
    EXPECT_EQ(slots_on(cluster, 1), "mine pgpool_node_0 pgpool_node_7");
    EXPECT_EQ(lines_with(cluster, {"event=dropped", "slot=pgpool_node_2 ", "why=\"L03: "}), 1)
        << ledger(cluster);
    EXPECT_EQ(lines_with(cluster, {"event=dropped", "slot=pgpool_node_1 ", "why=\"L02: "}), 1)
        << ledger(cluster);
}

// The old primary is back before the other standby was re-pointed, which streams from it meanwhile.
TEST_F(Slots, AStandbyKeepsNoSlotOfANodeThatFollowsThePrimary) {
    lose_primary();
    EXPECT_EQ(call(cluster, "follow_primary_command", 0, 1, 0).exit_code, 0);
    expect_streaming(cluster, 0);
    expect_attached(cluster, 0);
    expect_no_locks(cluster, 1);
    ASSERT_EQ(slots_on(cluster, 0), "");
    cluster.sql(0, "SELECT pg_create_physical_replication_slot('pgpool_node_2', true)");
    cluster.sql(0, "SELECT pg_create_physical_replication_slot('mine', true)");
    EXPECT_EQ(call(cluster, "follow_primary_command", 2, 1, 0).exit_code, 0);
    expect_streaming(cluster, 2);
    EXPECT_EQ(slots_on(cluster, 0), "mine");
    EXPECT_EQ(lines_with(cluster, {"event=dropped", "slot=pgpool_node_2 ", "server=" + on(0),
                                   "why=\"its node streams from the primary\""}),
              1)
        << ledger(cluster);
}

TEST_F(Slots, AFailoverTellsOfForeignSlotsOnTheNewPrimaryAndDropsNone) {
    cluster.sql(1, "SELECT pg_create_physical_replication_slot('pgpool_node_7', true)");
    cluster.kill_postgres(0);
    const Outcome outcome = call(cluster, "failover_command", 0, 1, 0);
    EXPECT_EQ(outcome.exit_code, 0);
    expect_says(outcome, {"rule=F05", "slot pgpool_node_7 keeps back",
                          "SELECT pg_drop_replication_slot('pgpool_node_7') on node 1"});
    EXPECT_EQ(slots_on(cluster, 1), "pgpool_node_0 pgpool_node_2 pgpool_node_7");
}

// A host that does not come back within follow_timeout.
void give_up(Cluster& cluster) {
    cluster.kill_sshd(0);
    EXPECT_EQ(call(cluster, "follow_primary_command", 0, 1, 0).exit_code, 0);
    expect_history(cluster, "it was waited for until follow_timeout and is given up");
    expect_history(cluster, "pcp_recovery_node -n 0");
}

class GivenUpUnbounded : public SlotsTest {
  protected:
    GivenUpUnbounded() : SlotsTest(with("-1", "follow_timeout = '3s'\nconnect_timeout = '1s'\n")) {}
};

TEST_F(GivenUpUnbounded, ItsSlotGoes) {
    lose_primary();
    EXPECT_EQ(slots_on(cluster, 1), "pgpool_node_0 pgpool_node_2");
    give_up(cluster);
    expect_history(cluster, "slot pgpool_node_0 was for node 0 and was dropped");
    EXPECT_EQ(slots_on(cluster, 1), "pgpool_node_2");
    EXPECT_EQ(lines_with(cluster, {"event=dropped", "slot=pgpool_node_0 ", "why=\"L05: "}), 1)
        << ledger(cluster);
}

class GivenUpBounded : public SlotsTest {
  protected:
    GivenUpBounded() : SlotsTest(with("2GB", "follow_timeout = '3s'\nconnect_timeout = '1s'\n")) {}
};

TEST_F(GivenUpBounded, ItsSlotStaysAndTheVerdictTellsWhatItKeepsBack) {
    lose_primary();
    give_up(cluster);
    expect_history(cluster, "slot pgpool_node_0 keeps back");
    expect_history(cluster, "for node 0, which is down; max_slot_wal_keep_size bounds it at 2 GB");
    EXPECT_EQ(slots_on(cluster, 1), "pgpool_node_0 pgpool_node_2");
}

class NoRejoin : public SlotsTest {
  protected:
    NoRejoin() : SlotsTest(with("-1", "rejoin_old_primary = off\nfailed_standby_slot = keep\n")) {}
};

TEST_F(NoRejoin, TheVerdictTellsWhatTheSlotKeepsBackAndHowTheNodeComesBack) {
    lose_primary();
    const Outcome outcome = call(cluster, "follow_primary_command", 0, 1, 0);
    EXPECT_EQ(outcome.exit_code, 0);
    expect_says(outcome, {"rule=H03", "slot pgpool_node_0 keeps back",
                          "for node 0, which is down; nothing bounds it",
                          "pcp_recovery_node -n 0 makes it a standby.",
                          "SELECT pg_drop_replication_slot('pgpool_node_0') on node 1"});
    EXPECT_EQ(slots_on(cluster, 1), "pgpool_node_0 pgpool_node_2");
}

class NoRejoinDrop : public SlotsTest {
  protected:
    NoRejoinDrop() : SlotsTest(with("-1", "rejoin_old_primary = off\n")) {}
};

TEST_F(NoRejoinDrop, TheSlotGoesWhereNothingBoundsIt) {
    lose_primary();
    expect_says(call(cluster, "follow_primary_command", 0, 1, 0),
                {"rule=H03", "slot pgpool_node_0 was for node 0 and was dropped"});
    EXPECT_EQ(slots_on(cluster, 1), "pgpool_node_2");
}

}  // namespace
}  // namespace hooks::harness
