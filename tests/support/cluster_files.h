// The text of every configuration file of a test cluster.
#pragma once

#include <string>
#include <vector>

#include "tests/support/cluster.h"

namespace hooks::harness {

// Passwords of the roles and of the pcp user. They stand in passfiles, pgpool.conf and pool_passwd
// only, never on a command line.
struct Secrets {
    static constexpr const char* kSuperuser = "postgres secret";
    static constexpr const char* kReplication = "repl secret";
    static constexpr const char* kPcp = "pcpsecret";
};

// What the configuration files speak about.
struct ClusterNames {
    const ClusterOptions& options;
    const Network& network;
    std::string base;
    std::string account;

    std::string node_directory(int node) const { return base + "/node" + std::to_string(node); }
    std::string data_directory(int node) const {
        return node_directory(node) + "/" + options.data_name;
    }
    std::string hook(const std::string& name) const { return base + "/bin/" + name; }
    std::string hooks_conf_path() const { return base + "/hooks.conf"; }
};

std::string node_name(int node);  // backend_application_name

// Appended to postgresql.conf of every node; it includes node.conf, which stays with its node.
std::string postgres_conf(const ClusterNames& names);
std::string node_conf(const ClusterNames& names, int node);
std::string pg_hba_conf(const ClusterNames& names);
std::string standby_settings(const ClusterNames& names, int node, int primary);
std::string bootstrap_sql(const ClusterNames& names);  // one statement a line
std::string passfile();
std::string pcp_passfile();

std::string failover_command_line(const ClusterNames& names);
std::string follow_primary_command_line(const ClusterNames& names);
std::string recovery_1st_stage_script(const ClusterNames& names);
std::string pgpool_remote_start_script(const ClusterNames& names);

std::string pgpool_conf(const ClusterNames& names);
std::string pool_hba_conf(const ClusterNames& names);
std::string pool_passwd();
std::string hooks_conf(const ClusterNames& names);

}  // namespace hooks::harness
