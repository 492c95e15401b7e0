// What only some versions have, and what it must not do to a cluster.
#include <gtest/gtest.h>

#include <fstream>

#include "common/io/pg_connection.h"
#include "tests/versions/servers.h"

namespace hooks::harness {
namespace {

using std::chrono::seconds;

class Traps : public ByHandTest, public testing::WithParamInterface<int> {
  protected:
    Traps() : ByHandTest(on_version(GetParam(), by_hand())) {}
};

class RefusedInItsName : public Traps {
  protected:
    void as_root(const std::string& verb) {
        Command command;
        command.argv = {"ip", "addr", verb, cluster.host(0) + "/32", "dev", "lo"};
        const Outcome outcome = run_process(command, Deadline::after(seconds(10)));
        ASSERT_TRUE(outcome.ok()) << outcome.describe();
    }
};

// A firewall that resets connections speaks in the name of a server that goes on for others. Here
// the address leads to this host itself, where nothing listens; nobody else is told of it.
TEST_P(RefusedInItsName, APrimaryThatStillSendsToItsStandbysIsFencedFirst) {
    ASSERT_TRUE(std::ofstream("/proc/sys/net/ipv4/conf/all/arp_ignore") << 1 << std::flush);
    ASSERT_TRUE(cluster
                    .run_shell("printf '%s\\n' 'local_nodes = off' \"unfenced_primary = "
                               "'refuse'\" >>" +
                               cluster.hooks_conf_path())
                    .ok());
    as_root("add");
    const Outcome outcome = call(cluster, "failover_command", 0, 1, 0);
    as_root("del");
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    EXPECT_NE(outcome.err.find("refuses connections from here and goes on for its standbys"),
              std::string::npos)
        << outcome.err;
    EXPECT_NE(outcome.err.find("fenced by ssh through node "), std::string::npos) << outcome.err;
    EXPECT_FALSE(cluster.postgres_runs(0));
    EXPECT_EQ(cluster.writable_nodes(), std::vector<int>{1});
}

// A slot that is invalidated for idleness still shows a restart_lsn, and serves nobody.
using IdleSlots = Traps;
TEST_P(IdleSlots, ThatWereInvalidatedAreMadeAgain) {
    cluster.stop_postgres(2);
    const auto set_timeout = [&](const std::string& value) {
        cluster.sql(0, "ALTER SYSTEM SET idle_replication_slot_timeout = '" + value + "'");
        cluster.sql(0, "SELECT pg_reload_conf()");
    };
    set_timeout("1s");
    cluster.wait_until(
        [&] {
            cluster.sql(0, "CHECKPOINT");
            return cluster.sql_value(0,
                                     "SELECT wal_status FROM pg_replication_slots WHERE slot_name "
                                     "= 'pgpool_node_2' AND restart_lsn IS NOT NULL") == "lost";
        },
        seconds(30), "the slot is invalidated");
    set_timeout("0");
    Outcome outcome = cluster.run_hook(
        "recovery_1st_stage",
        {cluster.data_directory(0), cluster.host(2), cluster.data_directory(2),
         std::to_string(cluster.port(0)), "2", std::to_string(cluster.port(2)), cluster.host(0)});
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    outcome = cluster.run_hook("pgpool_remote_start", {cluster.host(2), cluster.data_directory(2)});
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    expect_streaming(cluster, 2);
    EXPECT_EQ(cluster.sql_value(0,
                                "SELECT count(*) FROM pg_replication_slots WHERE active AND "
                                "slot_name = 'pgpool_node_2'"),
              "1");
}

using Limits = Traps;
TEST_P(Limits, ThatWereSetForADatabaseEndNoSessionOfTheHooks) {
    cluster.sql(0, "ALTER DATABASE postgres SET transaction_timeout = '200ms'");
    Conninfo target;
    target.set("host", cluster.host(0));
    target.set("port", std::to_string(cluster.port(0)));
    target.set("user", "postgres");
    target.set("dbname", "postgres");
    target.set("passfile", cluster.base_directory() + "/pgpass");
    const Deadline deadline = Deadline::after(seconds(20));
    const auto session = PgConnection::connect(target, "test", deadline);
    EXPECT_EQ(session->value("SELECT 'alive' FROM pg_sleep(1)", deadline), "alive");
}

INSTANTIATE_TEST_SUITE_P(Versions, RefusedInItsName,
                         testing::Values(10, 11, 12, 13, 14, 16, 17, 18), name_of_version);
INSTANTIATE_TEST_SUITE_P(Versions, IdleSlots, testing::Values(18), name_of_version);
INSTANTIATE_TEST_SUITE_P(Versions, Limits, testing::Values(17, 18), name_of_version);

}  // namespace
}  // namespace hooks::harness
