// Nodes that do not let the hooks in, by SQL or by SSH: the verdict names the node, the step, the
// cause and what to do about it, and nothing was touched.
#include <gtest/gtest.h>

#include <filesystem>

#include "tests/support/cluster.h"
#include "tests/support/hook_call.h"
#include "tests/support/snapshot.h"

namespace hooks::harness {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using Words = std::vector<std::string>;

// Something that is wrong with the way to a node.
struct Obstacle {
    std::string name;
    std::string conf;  // lines for hooks.conf
    std::vector<std::string> cause;
    std::vector<std::string> next;
};

class Access : public testing::Test {
  protected:
    static ClusterOptions options() {
        ClusterOptions options;
        options.nodes = 2;
        options.with_pgpool = false;
        options.hooks_conf =
            "connect_timeout = '1s'\nfailover_timeout = '3s'\nfollow_timeout = '3s'\n"
            "recovery_timeout = '3s'\nfailed_standby_slot = 'keep'\n";
        return options;
    }
    void SetUp() override { cluster.start(); }

    std::string path(const std::string& name) const {
        return cluster.base_directory() + "/" + name;
    }
    const Place& place() const { return cluster.server(0).place(); }
    std::string write(const std::string& name, const std::string& text, unsigned mode = 0600) {
        place().write_file(path(name), text, mode);
        return path(name);
    }

    // `words` may begin with options.
    void refuses(const std::string& hook, Words words, const Obstacle& obstacle, ExitCode exit,
                 std::vector<std::string> says, seconds within = seconds(4)) {
        SCOPED_TRACE(hook + ": " + obstacle.name);
        const std::string conf =
            write("obstacle.conf", read_file(cluster.hooks_conf_path()) + obstacle.conf, 0644);
        words.insert(words.begin(), {"--config", conf});
        const std::string before = snapshot(cluster);
        const HookCall call = call_hook(cluster, hook, words);
        says.insert(says.end(), obstacle.cause.begin(), obstacle.cause.end());
        expect_complaint(cluster, call, {exit, says, obstacle.next, within});
        EXPECT_EQ(snapshot(cluster), before) << call.text();
        EXPECT_FALSE(std::filesystem::exists(path("executed"))) << call.text();
    }

    std::string label(int node) const {
        return "node " + std::to_string(node) + " (" + cluster.host(node) + ":" +
               std::to_string(cluster.port(node)) + ")";
    }
    Words lost_primary() const {
        Words words = right_words(cluster, "failover_command", 0, 1);
        words[7] = words[0];
        return words;
    }
    Words lost_standby() const { return right_words(cluster, "failover_command", 1, 0); }
    Words follow() const { return right_words(cluster, "follow_primary_command", 1, 0); }
    Words recover() const { return right_words(cluster, "recovery_1st_stage", 1, 0); }
    Words start_it() const { return right_words(cluster, "pgpool_remote_start", 1, 0); }

    Cluster cluster{options()};
};

class SqlAccess : public Access {
  protected:
    std::vector<Obstacle> obstacles() {
        const auto passfile = [](const std::string& path) { return "passfile = '" + path + "'\n"; };
        const std::string wrong = write("wrongpass", "*:*:*:*:nothing like it\n");
        // No role of the harness uses this database.
        for (const int node : {0, 1}) {
            const std::string hba = cluster.data_directory(node) + "/pg_hba.conf";
            place().write_file(hba, "host template1 all all reject\n" + read_file(hba));
            cluster.sql(node, "SELECT pg_reload_conf()");
        }
        return {
            {"wrong password",
             passfile(wrong),
             {"password authentication failed for user \"postgres\""},
             {":5432:*:postgres:PASSWORD\"", wrong, "0600"}},
            {"no passfile",
             passfile("/nowhere/pgpass"),
             {"no password supplied"},
             {":postgres:PASSWORD\"", "/nowhere/pgpass"}},
            {"passfile without a line for it",
             passfile(write("otherpass", "*:*:*:me:x\n")),
             {"no password supplied"},
             {":postgres:PASSWORD\"", path("otherpass")}},
            {"no such role",
             passfile(wrong) + "postgres_user = 'nobody'\n",
             {"authentication failed for user \"nobody\""},
             {":nobody:PASSWORD\"", wrong}},
            {"role that may not log in",
             passfile(write("monitor", "*:*:*:*:x\n")) + "postgres_user = 'pg_monitor'\n",
             {"\"pg_monitor\""},
             {"pg_monitor"}},
            {"no such database",
             "postgres_database = 'nowhere'\n",
             {"database \"nowhere\" does not exist"},
             {"\"nowhere\" (postgres_database)"}},
            {"pg_hba.conf rejects",
             "postgres_database = 'template1'\n",
             {"pg_hba.conf rejects connection"},
             {"host template1 postgres", "pg_hba.conf"}},
            {"role that may not look",
             "postgres_user = 'repl'\n",
             {"permission denied"},
             {"postgres_user", "superuser"}},
        };
    }
};

TEST_F(SqlAccess, FailoverCommandPromotesNobodyAndSaysWhy) {
    for (const Obstacle& obstacle : obstacles()) {
        refuses("failover_command", lost_primary(), obstacle, ExitCode::refused,
                {"no standby can be promoted", label(1), "access denied"});
    }
}

TEST_F(SqlAccess, FailoverCommandForAStandbySaysThatItCannotAskThePrimary) {
    for (const Obstacle& obstacle : obstacles()) {
        refuses("failover_command", lost_standby(), obstacle, ExitCode::refused,
                {"node 1 was a standby", label(0), "access denied"});
    }
}

TEST_F(SqlAccess, FollowPrimaryCommandSaysThatItCannotAskThePrimary) {
    for (const Obstacle& obstacle : obstacles()) {
        refuses("follow_primary_command", follow(), obstacle, ExitCode::refused,
                {"node 1 shall follow", label(0), "access denied"});
    }
}

TEST_F(SqlAccess, FollowWorkerAndRecovery1stStageSayThatTheyCannotConnectToThePrimary) {
    for (const Obstacle& obstacle : obstacles()) {
        const bool may_not_look = obstacle.name == "role that may not look";
        const ExitCode exit = may_not_look ? ExitCode::failed : ExitCode::unreachable;
        Words worker = follow();
        worker.insert(worker.begin(), "--worker");
        refuses("follow_primary_command", worker, obstacle, exit, {label(0)});
        refuses("recovery_1st_stage", recover(), obstacle, exit, {label(0)});
    }
}

TEST_F(SqlAccess, PgpoolRemoteStartSaysThatItCannotProveThatTheNodeStreams) {
    for (const Obstacle& obstacle : obstacles()) {
        refuses("pgpool_remote_start", start_it(), obstacle, ExitCode::not_verified,
                {"prove that node 1 streams"});
    }
}

TEST_F(SqlAccess, OfTheNodeOnlyWhileThePrimaryLetsUsIn) {
    const std::string passfile = write(
        "halfpass", cluster.host(1) + ":*:*:postgres:wrong\n" + read_file(cluster.passfile()));
    const Obstacle obstacle{"wrong password of one node",
                            "passfile = '" + passfile + "'\nfollow_timeout = '2s'\n",
                            {"password authentication failed for user \"postgres\""},
                            {cluster.host(1) + ":5432:*:postgres:PASSWORD", passfile}};
    Words worker = follow();
    worker.insert(worker.begin(), "--worker");
    refuses("follow_primary_command", worker, obstacle, ExitCode::unreachable,
            {"looking at the node", label(1)});
    refuses("recovery_1st_stage", recover(), obstacle, ExitCode::unreachable,
            {"looking at the node", label(1)});
    refuses("pgpool_remote_start", start_it(), obstacle, ExitCode::not_verified,
            {"prove that node 1 streams", label(1)});
}

class SshAccess : public Access {
  protected:
    static std::string quoted(const std::string& key, const std::string& value) {
        return key + " = '" + value + "'\n";
    }

    // In the way to `node`.
    std::vector<Obstacle> obstacles(int node) {
        const std::string host = cluster.host(node);
        make_ssh_key(place(), path("other_key"));
        write("locked_key", read_file(path("ssh/id_ed25519")));
        place().must_run(
            {"ssh-keygen", "-q", "-p", "-P", "", "-N", "a passphrase", "-f", path("locked_key")});
        const std::string id = std::to_string(node);
        const std::string touch = "$(touch " + path("executed") + ")";
        return {
            {"host key unknown",
             quoted("ssh_known_hosts_file", write("empty_hosts", "")),
             {"the host key of", host, "is not in " + path("empty_hosts"), "SHA256:"},
             {"ssh-keyscan -p 22 " + host, path("empty_hosts")}},
            {"no known_hosts at all",
             quoted("ssh_known_hosts_file", "/nowhere/known_hosts"),
             {"the host key of", host, "/nowhere/known_hosts"},
             {"ssh-keyscan -p 22 " + host}},
            {"host key changed",
             quoted("ssh_known_hosts_file",
                    write("old_hosts", host + " " + read_file(path("other_key.pub")))),
             {"the host key of", host, "is not the one in " + path("old_hosts"), "SHA256:"},
             {"ssh-keygen -R", "installed anew", "in between"}},
            {"key with a passphrase",
             quoted("ssh_identity_file", path("locked_key")),
             {host, path("locked_key") + " has a passphrase"},
             {"ssh-keygen -p", "agent"}},
            {"key that is not accepted",
             quoted("ssh_identity_file", path("other_key")),
             {host, path("other_key") + " is refused"},
             {"ssh-copy-id -i", path("other_key")}},
            {"no such key",
             quoted("ssh_identity_file", "/nowhere/id"),
             {host, "/nowhere/id: No such file"},
             {"ssh_identity_file", host}},
            {"no key at all",
             quoted("ssh_identity_file", write("text", "not a key\n")),
             {host, path("text"), "not a private key"},
             {"ssh_identity_file", host}},
            {"no such user",
             quoted("ssh_user", "nobody"),
             {"nobody@" + host, "is refused"},
             {"ssh-copy-id", "nobody@" + host}},
            {"user that a shell would run",
             quoted("ssh_user", touch),
             {"not a legal ssh_user"},
             {"ssh_user", "hooks.conf"}},
            {"host that a shell would run",
             id + "." + quoted("ssh_host", touch),
             {"not a legal host name"},
             {"ssh_host", "hooks.conf"}},
            {"host that is an option",
             id + "." + quoted("ssh_host", "-oProxyCommand=" + touch),
             {"not a legal host name"},
             {"ssh_host", "hooks.conf"}},
            {"host that has no address",
             id + "." + quoted("ssh_host", "db.invalid"),
             {"\"db.invalid\""},
             {"getent ahosts db.invalid"}},
            {"port that is closed",
             "ssh_port = 1\n",
             {"cannot connect to " + host + " port 1", "connection refused"},
             {"listen on that port"}},
            {"port of a service that waits for us to speak",
             "ssh_port = 5432\n" + id + "." + quoted("ssh_host", cluster.host(0)),
             {" port 5432 accepted the connection and then said nothing"},
             {"hangs", "something else"}},
        };
    }

    static ExitCode exit_for(const Obstacle& obstacle) {
        return obstacle.cause[0].find("not a legal") == 0 ? ExitCode::usage : ExitCode::unreachable;
    }

    std::vector<std::string> steps(const std::string& step, int node) const {
        return {step, label(node)};
    }
};

TEST_F(SshAccess, FailoverCommandCannotStopThePrimaryThatIsStillThereAndPromotesNobody) {
    for (const Obstacle& obstacle : obstacles(0)) {
        refuses("failover_command", lost_primary(), obstacle, exit_for(obstacle),
                steps("stop the server of node 0", 0));
    }
}

TEST_F(SshAccess, FollowWorkerGivesUpAtItsDeadline) {
    cluster.stop_postgres(1);
    Words worker = follow();
    worker.insert(worker.begin(), "--worker");
    auto table = obstacles(1);
    for (Obstacle& obstacle : table) {
        obstacle.conf += "follow_timeout = '1s'\n";
        refuses("follow_primary_command", worker, obstacle, exit_for(obstacle),
                steps("looking at the node", 1), seconds(3));
    }
}

TEST_F(SshAccess, Recovery1stStage) {
    for (const Obstacle& obstacle : obstacles(1)) {
        refuses("recovery_1st_stage", recover(), obstacle, exit_for(obstacle),
                steps("looking at the node", 1), seconds(2));
    }
}

TEST_F(SshAccess, PgpoolRemoteStart) {
    cluster.stop_postgres(1);
    for (const Obstacle& obstacle : obstacles(1)) {
        refuses("pgpool_remote_start", start_it(), obstacle, exit_for(obstacle),
                steps("looking at the node", 1), seconds(2));
    }
}

// The server of a node is known by its data directory, and pgpool.conf has another one.
TEST_F(Access, DataDirectoryOfAnotherServerInPgpoolConf) {
    const std::string wrong = path("elsewhere");
    const std::string text = read_file(path("pgpool/pgpool.conf"));
    for (const int node : {0, 1}) {
        const std::string id = std::to_string(node);
        write("pgpool.conf", text + "backend_data_directory" + id + " = '" + wrong + "'\n");
        const Obstacle obstacle{"another directory of node " + id,
                                "pgpool_conf = '" + path("pgpool.conf") + "'\n",
                                {"answers, but no server runs in " + wrong},
                                {"backend_data_directory"}};
        if (node == 0) {
            Words words = lost_primary();
            words[3] = wrong;
            refuses("failover_command", words, obstacle, ExitCode::refused, {label(0)});
        } else {
            Words words = recover();
            words[2] = wrong;
            refuses("recovery_1st_stage", words, obstacle, ExitCode::refused, {label(1)});
            words = follow();
            words[3] = wrong;
            words.insert(words.begin(), "--worker");
            refuses("follow_primary_command", words, obstacle, ExitCode::refused, {label(1)});
        }
    }
}

}  // namespace
}  // namespace hooks::harness
