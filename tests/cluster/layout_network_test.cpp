// How nodes are reached: TLS that checks who answers, IPv6, several nodes on one machine.
#include <gtest/gtest.h>

#include "tests/cluster/calls.h"
#include "tests/support/stories.h"

namespace hooks::harness {
namespace {

using std::chrono::seconds;

class Reaching : public ByHandTest {
  protected:
    using ByHandTest::ByHandTest;

    std::string shell(const std::string& line) {
        const Outcome outcome = cluster.run_shell("set -e; " + line);
        EXPECT_TRUE(outcome.ok()) << line << ": " << outcome.err;
        return outcome.out;
    }
    std::string host(int node) const { return cluster.host(node); }
    // Failover, a standby re-pointed by a reload, the old primary rewound, a wiped node rebuilt by
    // a base backup through pcp_recovery_node: each way there is of reaching a node.
    void expect_everything_works() {
        const std::string since = cluster.start_time(2);
        diverge();
        cluster.kill_postgres(0);
        const Outcome promoted = call(cluster, "failover_command", 0, 1, 0);
        ASSERT_EQ(promoted.exit_code, 0) << promoted.err;
        const Outcome followed = call(cluster, "follow_primary_command", 2, 1, 0);
        EXPECT_EQ(followed.exit_code, 0) << followed.err;
        expect_streaming(cluster, 2);
        EXPECT_EQ(cluster.start_time(2), since);
        EXPECT_EQ(call(cluster, "follow_primary_command", 0, 1, 0).exit_code, 0);
        expect_streaming(cluster, 0, seconds(60));
        expect_history(cluster, "rule=R08 exit=0");
        expect_not_diverged(0);
        expect_attached(cluster, 0);

        wipe_out(cluster, 2);
        recover(2);
    }
    void recover(int node) {
        // Pgpool takes no recovery while it is still about its failover.
        cluster.wait_until(
            [&] {
                const Outcome outcome = cluster.pcp("pcp_recovery_node", {std::to_string(node)});
                return (outcome.out + outcome.err).find("Command Successful") != std::string::npos;
            },
            seconds(90), "pcp_recovery_node");
        EXPECT_EQ(cluster.streaming_problem(node), "") << cluster.dump();
        expect_attached(cluster, node);
    }
};

// --- TLS ---

std::string tls_directory() {
    return Account::for_servers().home + "/cluster/tls";
}

ClusterOptions with_tls() {
    ClusterOptions options = by_hand();
    options.base_directory = Account::for_servers().home + "/cluster";
    options.with_pgpool = false;  // not before there are certificates
    options.pgpool_settings = {{"ssl", "on"},
                               {"ssl_cert", tls_directory() + "/hub.crt"},
                               {"ssl_key", tls_directory() + "/hub.key"}};
    const std::string verify = "'sslmode=verify-full sslrootcert=" + tls_directory() + "/ca.crt'\n";
    options.hooks_conf = "postgres_conninfo = " + verify + "replication_conninfo = " + verify;
    return options;
}

class Tls : public Reaching {
  protected:
    Tls() : Reaching(with_tls()) {}

    void prepare() override {
        shell("mkdir -p " + tls_directory() + " && cd " + tls_directory() +
              " && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days "
              "2 -subj /CN=ca -keyout ca.key -out ca.crt 2>&1");
        certify("hub", "10.77.0.254");
        for (int node = 0; node < cluster.size(); ++node) {
            const std::string name = "node" + std::to_string(node);
            certify(name, host(node));
            shell("printf \"ssl = on\\nssl_cert_file = '" + tls_directory() + "/" + name +
                  ".crt'\\nssl_key_file = '" + tls_directory() + "/" + name + ".key'\\n\" >>" +
                  cluster.node_directory(node) + "/node.conf");
            shell("sed -i 's/^host /hostssl /' " + cluster.data_directory(node) + "/pg_hba.conf");
            cluster.stop_postgres(node);
            cluster.start_postgres(node);
        }
        cluster.pgpool().start();
        cluster.wait_until(
            [&] {
                return !cluster.pgpool_sql("SELECT 1").empty() &&
                       cluster.streaming_problem(1).empty() && cluster.streaming_problem(2).empty();
            },
            seconds(30), "they stream again");
    }
    void certify(const std::string& name, const std::string& address) {
        shell("cd " + tls_directory() +
              " && openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=" +
              name + " -keyout " + name + ".key -out " + name +
              ".csr 2>&1 && echo subjectAltName=IP:" + address + " >" + name +
              ".ext && openssl x509 -req -days 2 -in " + name +
              ".csr -CA ca.crt -CAkey ca.key -CAcreateserial -extfile " + name + ".ext -out " +
              name + ".crt 2>&1 && chmod 600 " + name + ".key");
    }
};

TEST_F(Tls, EveryConnectionChecksWhoAnswers) {
    expect_everything_works();
    EXPECT_EQ(cluster.sql_value(1,
                                "SELECT count(*) || ' ' || bool_and(ssl) FROM "
                                "pg_stat_replication JOIN pg_stat_ssl USING (pid)"),
              "2 true");
    for (const int node : {0, 2}) {
        const std::string conninfo = cluster.sql_value(node, "SHOW primary_conninfo");
        EXPECT_NE(conninfo.find("verify-full"), std::string::npos) << conninfo;
        EXPECT_NE(conninfo.find(tls_directory() + "/ca.crt"), std::string::npos) << conninfo;
    }
}

// It runs, and it is not known who it is: neither dead nor a candidate.
TEST_F(Tls, AServerWhoseCertificateNamesAnotherIsNeitherPromotedNorTouched) {
    const std::string since = cluster.start_time(1);
    certify("node1", "10.77.0.77");
    cluster.sql(1, "SELECT pg_reload_conf()");
    cluster.wait_until(
        [&] {
            Conninfo checked = cluster.conninfo(1);
            checked.set("sslmode", "verify-full").set("sslrootcert", tls_directory() + "/ca.crt");
            return PgConnection::open(checked, "a test", Deadline::after(seconds(5))).kind ==
                   PgAnswer::Kind::denied;
        },
        seconds(10), "it shows its new certificate");
    cluster.kill_postgres(0);
    const Outcome outcome = call(cluster, "failover_command", 0, 1, 0);
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    EXPECT_NE(outcome.err.find("10.77.0.77"), std::string::npos) << outcome.err;
    EXPECT_EQ(cluster.sql_value(2, "SELECT pg_is_in_recovery()"), "f");

    // A worker waits until it can ask.
    EXPECT_EQ(call(cluster, "follow_primary_command", 1, 2, 0).exit_code, 0);
    expect_history(cluster, "Look at sslmode and sslrootcert in postgres_conninfo");
    certify("node1", host(1));
    cluster.sql(1, "SELECT pg_reload_conf()");
    expect_streaming(cluster, 1, seconds(60));
    EXPECT_EQ(cluster.start_time(1), since);
}

// --- IPv6 ---

class Ipv6 : public Reaching {
  protected:
    Ipv6() : Reaching(with_ipv6()) {}
    static ClusterOptions with_ipv6() {
        ClusterOptions options = by_hand();
        options.network = NetworkMode::ipv6;
        return options;
    }
    // A line for each host, as README says that they are written.
    void prepare() override {
        shell("cd " + cluster.base_directory() + R"( && for i in 1 2 3 99; do
                  sed "s/^\*/fd77\\\\:\\\\:$i/" pgpass
              done >all && cat all >pgpass)");
    }
};

TEST_F(Ipv6, NodesAreReachedByTheirAddresses) {
    expect_everything_works();
    EXPECT_NE(cluster.hook_log().find("node 1 ([fd77::2]:5432)"), std::string::npos);
}

TEST_F(Ipv6, AnUnreachablePrimaryIsShutDownThroughAStandby) {
    cluster.cut_one_way(0, kHub);
    cluster.cut_one_way(kHub, 0);
    const Outcome outcome = call(cluster, "failover_command", 0, 1, 0);
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    EXPECT_NE(outcome.err.find("fenced by ssh through node "), std::string::npos) << outcome.err;
    EXPECT_FALSE(cluster.postgres_runs(0));
    cluster.heal_one_way(0, kHub);
    cluster.heal_one_way(kHub, 0);
}

// --- several nodes on one machine ---

ClusterOptions on_one_machine() {
    ClusterOptions options = by_hand();
    options.network = NetworkMode::loopback;
    options.hooks_conf = "local_nodes = 'on'\n";
    return options;
}

class OneMachine : public Reaching {
  protected:
    explicit OneMachine(ClusterOptions options = on_one_machine()) : Reaching(std::move(options)) {}
    void prepare() override {
        for (int node = 0; node < cluster.size(); ++node) {
            cluster.kill_sshd(node);
        }
    }
};

TEST_F(OneMachine, NeedsNoSsh) {
    switch_over(cluster, 0, 1);
    cluster.stop_postgres(2);
    cluster.wipe(2);
    EXPECT_EQ(call(cluster, "follow_primary_command", 2, 1, 0).exit_code, 0);
    expect_streaming(cluster, 2, seconds(60));
    expect_history(cluster, "rule=R09 exit=0");
}

// They share one socket directory, and differ in their ports.
class Sockets : public OneMachine {
  protected:
    Sockets() : OneMachine(with_sockets()) {}
    static ClusterOptions with_sockets() {
        ClusterOptions options = on_one_machine();
        options.network = NetworkMode::sockets;
        return options;
    }
};

TEST_F(Sockets, AreAsGoodAsAddressesOnOneMachine) {
    expect_everything_works();
    EXPECT_EQ(cluster.sql_value(2, "SELECT sender_host FROM pg_stat_wal_receiver"),
              "/var/run/postgresql");
}

// A socket is on this machine whatever local_nodes says.
TEST_F(Sockets, NeedNoSshEither) {
    shell("echo \"local_nodes = 'off'\" >>" + cluster.hooks_conf_path());
    switch_over(cluster, 0, 1);
}

}  // namespace
}  // namespace hooks::harness
