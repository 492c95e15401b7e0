// Two nodes, synchronous replication, and one of them lost: whether commits go on, and what is
// there when both are back.
#include <gtest/gtest.h>

#include <fstream>
#include <future>

#include "tests/cluster/calls.h"

namespace hooks::harness {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr const char* note = "pgpool_hooks.synchronous_standby_names";

ClusterOptions pair(const std::string& hooks_conf = {}) {
    ClusterOptions options = by_hand();
    options.nodes = 2;
    options.synchronous = true;
    options.hooks_conf = hooks_conf;
    return options;
}
const std::string relax = "relax_synchronous = until_standby_returns\n";

// A client as it is in real life; the sessions of the harness do not wait for standbys.
class Client {
  public:
    Client(const Cluster& cluster, int node)
        : connection_(PgConnection::connect(cluster.conninfo(node), "client",
                                            Deadline::after(seconds(10)))) {
        connection_->query("SET synchronous_commit = on", Deadline::after(seconds(10)));
    }
    void commit(int number, milliseconds patience = seconds(20)) {
        connection_->query(
            "INSERT INTO public.writer_rows (number) VALUES (" + std::to_string(number) + ")",
            Deadline::after(patience));
    }

  private:
    std::unique_ptr<PgConnection> connection_;
};

std::string rows_of_clients(const Cluster& cluster, int node) {
    return cluster.sql_value(node,
                             "SELECT count(*) FROM public.writer_rows WHERE number >= 1000000");
}

// As its files and a new session have it: "SETTING", or "SETTING (was NOTE)".
std::string setting(const Cluster& cluster, int node) {
    return cluster.sql_value(
        node, std::string("SELECT current_setting('synchronous_standby_names') ||"
                          " coalesce((SELECT ' (was ' || setting || ')' FROM pg_file_settings"
                          " WHERE name = '") +
                  note + "'), '')");
}

void expect_setting(const Cluster& cluster, int node, const std::string& expected) {
    try {
        cluster.wait_until([&] { return setting(cluster, node) == expected; }, seconds(30),
                           "synchronous_standby_names is " + expected);
    } catch (const HarnessError& error) {
        ADD_FAILURE() << setting(cluster, node) << "\n" << error.what();
    }
}

// As a failover leaves it on the node that it promoted.
void relax_by_hand(const Cluster& cluster, int node, const std::string& was) {
    std::ofstream file(cluster.data_directory(node) + "/postgresql.auto.conf", std::ios::app);
    file << "synchronous_standby_names = ''\n" << note << " = '" << was << "'\n";
    file.close();
    cluster.sql(node, "SELECT pg_reload_conf()");
    expect_setting(cluster, node, " (was " + was + ")");
}

// Rows that were acknowledged before the fault, by both.
void lose_the_primary(Cluster& cluster, Writer& writer) {
    cluster.start();
    writer.start();
    writer.wait_for_commits(10);
    writer.stop();
    cluster.kill_postgres_at_once(0);
}

void bring_back(const Cluster& cluster, int node, int primary) {
    const Outcome outcome = call(cluster, "follow_primary_command", node, primary, node);
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    expect_streaming(cluster, node, seconds(60));
}

TEST(Synchronous, WithNobodyLeftCommitsWaitAndTheVerdictsCommandLetsThemGoOn) {
    Cluster cluster(pair());
    Writer writer(cluster);
    lose_the_primary(cluster, writer);
    const Outcome outcome = call(cluster, "failover_command", 0, 1, 0);
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    EXPECT_NE(outcome.err.find("too few of its standbys are left: commits wait"), std::string::npos)
        << outcome.err;
    const std::string command =
        "ALTER SYSTEM SET synchronous_standby_names = ''; SELECT pg_reload_conf();";
    EXPECT_NE(outcome.err.find(command + " on node 1."), std::string::npos) << outcome.err;

    auto waits = std::async(std::launch::async, [&] { Client(cluster, 1).commit(1000000); });
    cluster.wait_until(
        [&] {
            return cluster.sql_value(1,
                                     "SELECT count(*) FROM pg_stat_activity WHERE"
                                     " application_name = 'client' AND wait_event = 'SyncRep'") ==
                   "1";
        },
        seconds(10), "a commit waits");
    // As a person types it.
    const Conninfo to = cluster.conninfo(1);
    const Outcome typed =
        cluster.run_shell("echo \"" + command + "\" | PGPASSFILE=" + cluster.passfile() + " " +
                          cluster.postgres_bin_dir() + "/psql -X -v ON_ERROR_STOP=1 -h " +
                          *to.find("host") + " -p " + *to.find("port") + " -U postgres postgres");
    EXPECT_TRUE(typed.ok()) << typed.err;
    EXPECT_NO_THROW(waits.get());
    EXPECT_NO_THROW(Client(cluster, 1).commit(1000001));

    bring_back(cluster, 0, 1);
    EXPECT_EQ(setting(cluster, 1), "") << "what a person has set stays";
    expect_no_acknowledged_row_lost(cluster, writer);
    EXPECT_EQ(rows_of_clients(cluster, 0), "2");
}

TEST(Synchronous, RelaxedCommitsGoOnAtOnceUntilTheOldPrimaryIsBackAsAStandby) {
    Cluster cluster(pair(relax));
    Writer writer(cluster);
    lose_the_primary(cluster, writer);
    const Outcome outcome = call(cluster, "failover_command", 0, 1, 0);
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    EXPECT_NE(outcome.err.find("what is committed until then is on this node only"),
              std::string::npos)
        << outcome.err;
    EXPECT_EQ(setting(cluster, 1), " (was reset: ANY 1 (*))");
    EXPECT_NO_THROW(Client(cluster, 1).commit(1000000, seconds(5)));

    bring_back(cluster, 0, 1);
    expect_setting(cluster, 1, "ANY 1 (*)");
    expect_history(cluster, "enough standbys stream: synchronous_standby_names of ");
    EXPECT_EQ(cluster.sql_value(1,
                                "SELECT sourcefile LIKE '%/postgresql.conf' FROM pg_settings WHERE"
                                " name = 'synchronous_standby_names'"),
              "t");
    EXPECT_NO_THROW(Client(cluster, 1).commit(1000001));
    EXPECT_EQ(rows_of_clients(cluster, 0), "2");
    expect_no_acknowledged_row_lost(cluster, writer);
    // And back: what a standby was built from has no trace of it.
    EXPECT_EQ(setting(cluster, 0), "ANY 1 (*)");
}

// A base backup brings the new primary's configuration along, the relaxed setting included.
TEST(Synchronous, ANodeThatIsBuiltFromTheRelaxedPrimaryGetsTheSettingThatIsMeant) {
    Cluster cluster(pair(relax));
    cluster.start();
    cluster.sql(1, "ALTER SYSTEM SET synchronous_standby_names = 'FIRST 1 (nobody, *)'");
    cluster.sql(1, "SELECT pg_reload_conf()");
    cluster.kill_postgres_at_once(0);
    cluster.wipe(0);
    const Outcome outcome = call(cluster, "failover_command", 0, 1, 0);
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    EXPECT_EQ(setting(cluster, 1), " (was FIRST 1 (nobody, *))");
    bring_back(cluster, 0, 1);
    expect_setting(cluster, 1, "FIRST 1 (nobody, *)");
    EXPECT_EQ(setting(cluster, 0), "FIRST 1 (nobody, *)");
    EXPECT_NO_THROW(Client(cluster, 1).commit(1000000));
}

TEST(Synchronous, WhatWasRelaxedForAPromotionThatFailsIsPutBack) {
    Cluster cluster(pair(relax + "failover_timeout = 6s\n"));
    cluster.start();
    // pg_promote() makes a file of that name, and cannot where that is a link to nowhere.
    const std::string in_the_way = cluster.data_directory(1) + "/promote";
    ASSERT_TRUE(cluster.run_shell("ln -s /nowhere/promote " + in_the_way).ok());
    cluster.kill_postgres_at_once(0);
    const Outcome failed = call(cluster, "failover_command", 0, 1, 0);
    EXPECT_NE(failed.exit_code, 0) << failed.err;
    EXPECT_NE(failed.err.find("candidate failed"), std::string::npos) << failed.err;
    EXPECT_EQ(setting(cluster, 1), "ANY 1 (*)");

    ASSERT_TRUE(cluster.run_shell("rm " + in_the_way).ok());
    const Outcome outcome = call(cluster, "failover_command", 0, 1, 0);
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    EXPECT_EQ(setting(cluster, 1), " (was reset: ANY 1 (*))");
}

// Nobody followed while hooks could look; or a run was killed.
TEST(Synchronous, ALaterFailoverPutsBackWhatIsStillRelaxed) {
    ClusterOptions options = pair();
    options.nodes = 3;
    Cluster cluster(options);
    cluster.start();
    relax_by_hand(cluster, 0, "3 (*)");
    EXPECT_EQ(call(cluster, "failover_command", 2, 0, 0).exit_code, 0);
    EXPECT_EQ(setting(cluster, 0), " (was 3 (*))") << "not enough of them stream";

    cluster.sql(0, "ALTER SYSTEM SET synchronous_standby_names = '1 (x)'");
    cluster.sql(0, "SELECT pg_reload_conf()");
    EXPECT_EQ(call(cluster, "failover_command", 2, 0, 0).exit_code, 0);
    EXPECT_EQ(setting(cluster, 0), "1 (x)") << "what somebody set since is not touched";

    cluster.sql(0, "ALTER SYSTEM RESET synchronous_standby_names");
    relax_by_hand(cluster, 0, "2 (*)");
    const Outcome outcome = call(cluster, "failover_command", 2, 0, 0);
    EXPECT_EQ(outcome.exit_code, 0);
    EXPECT_NE(outcome.err.find("synchronous_standby_names of node 0 is '2 (*)' again"),
              std::string::npos)
        << outcome.err;
    EXPECT_EQ(setting(cluster, 0), "2 (*)");

    // A standby that was the primary once, and is promoted again: it means what it meant.
    for (const int node : {1, 2}) {
        relax_by_hand(cluster, node, "reset: ANY 1 (*)");
    }
    cluster.kill_postgres_at_once(0);
    EXPECT_EQ(call(cluster, "failover_command", 0, 1, 0).exit_code, 0);
    for (const int node : {1, 2}) {
        EXPECT_EQ(setting(cluster, node), "ANY 1 (*)") << node;
    }
}

}  // namespace
}  // namespace hooks::harness
