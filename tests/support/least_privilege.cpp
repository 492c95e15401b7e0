#include "tests/support/least_privilege.h"

#include <gtest/gtest.h>

#include <cstring>
#include <sstream>

#include "tests/support/cluster_files.h"

namespace hooks::harness {
namespace {

using std::chrono::seconds;

std::string passfile_of_role() {
    return std::string("*:*:*:pgpool_hooks:hooks secret\n*:*:*:repl:") + Secrets::kReplication +
           "\n";
}

}  // namespace

ClusterOptions with_role(ClusterOptions options) {
    options.hooks_conf += "postgres_user = 'pgpool_hooks'\n";
    // Who a session is of, told at its end: at its begin its application_name is not known yet.
    options.postgres_settings["log_line_prefix"] = "%m [%p] user=%u app=%a ";
    options.postgres_settings["log_disconnections"] = "on";
    return options;
}

void give_role(const Cluster& cluster) {
    const Place here(cluster.account());
    const std::string superuser = cluster.base_directory() + "/superuser";
    const std::string file = cluster.base_directory() + "/roles.sql";
    here.write_file(superuser, read_file(cluster.passfile()));
    here.write_file(file, read_file(HOOKS_SOURCE_DIR "/examples/roles.sql"));
    const std::string psql = find_postgres_bin_dir() + "/psql -X -q -v ON_ERROR_STOP=1 -h " +
                             cluster.host(0) + " -p " + std::to_string(cluster.port(0)) +
                             " -U postgres -f " + file + " postgres";
    const Outcome outcome = cluster.run_shell(psql + " && " + psql, {{"PGPASSFILE", superuser}});
    ASSERT_TRUE(outcome.ok()) << outcome.describe() << outcome.err;
    cluster.sql(0, "ALTER ROLE pgpool_hooks PASSWORD 'hooks secret'");
    ASSERT_EQ(cluster.sql_value(0, "SELECT rolsuper FROM pg_roles WHERE rolname = 'pgpool_hooks'"),
              "f");
    const std::string passfile = cluster.base_directory() + "/hooks-passfile";
    here.write_file(passfile, passfile_of_role());
    here.write_file(cluster.account().home + "/.pgpass", passfile_of_role());
    here.write_file(cluster.hooks_conf_path(),
                    read_file(cluster.hooks_conf_path()) + "passfile = '" + passfile + "'\n", 0644);
    for (int node = 1; node < cluster.size(); ++node) {
        cluster.wait_until([&] { return cluster.streaming_problem(node).empty(); }, seconds(30),
                           "node " + std::to_string(node) + " has everything");
    }
}

void expect_nothing_denied(const Cluster& cluster) {
    std::string logs = cluster.hook_log() + cluster.pgpool_log();
    for (int node = 0; node < cluster.size(); ++node) {
        logs += cluster.server_log(node);
    }
    for (const char* words : {"permission denied", "must be superuser"}) {
        const std::size_t at = logs.find(words);
        EXPECT_EQ(at, std::string::npos) << logs.substr(at < 500 ? 0 : at - 500, 1000);
    }
}

void expect_no_superuser_session(const Cluster& cluster) {
    int of_the_role = 0;
    for (int node = 0; node < cluster.size(); ++node) {
        std::istringstream log(cluster.server_log(node));
        for (std::string line; std::getline(log, line);) {
            const std::size_t user = line.find("user=");
            const std::size_t app = line.find(" app=");
            if (user == std::string::npos || app == std::string::npos || app < user) {
                continue;
            }
            const std::string name = line.substr(user + 5, app - user - 5);
            of_the_role += name == "pgpool_hooks" ? 1 : 0;
            for (const char* hook : {"failover_command", "follow_primary_command", "recovery_1st_",
                                     "pgpool_remote_start", "pg_rewind", "pg_basebackup"}) {
                const bool by_a_hook = line.compare(app + 5, std::strlen(hook), hook) == 0;
                EXPECT_FALSE(by_a_hook && name != "pgpool_hooks" && name != "repl") << line;
            }
        }
    }
    EXPECT_GT(of_the_role, 0);
}

}  // namespace hooks::harness
