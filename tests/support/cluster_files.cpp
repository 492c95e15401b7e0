#include "tests/support/cluster_files.h"

#include <sstream>

#include "tests/support/pgpool_server.h"

namespace hooks::harness {
namespace {

std::string setting(const std::string& name, const std::string& value) {
    return name + " = " + quote_guc_string(value) + "\n";
}

// Pgpool's own grammar looks like that of postgresql.conf, but knows no way to write a quote
// inside quotes.
std::string pgpool_setting(const std::string& name, const std::string& value) {
    if (value.find_first_of("'\n") != std::string::npos) {
        throw HarnessError("pgpool.conf cannot hold " + name + " = " + value);
    }
    return name + " = '" + value + "'\n";
}

std::string hook_line(const ClusterNames& names, const std::string& name) {
    return names.hook(name) + " --config " + names.hooks_conf_path() +
           " %d %h %p \"%D\" %m %H %M %P %r \"%R\" %N %S";
}

std::string wrapper(const ClusterNames& names, const std::string& name) {
    return "#!/bin/sh\nexec \"" + names.hook(name) + "\" --config \"" + names.hooks_conf_path() +
           "\" \"$@\"\n";
}

}  // namespace

std::string node_name(int node) {
    return "node" + std::to_string(node);
}

std::string postgres_conf(const ClusterNames& names) {
    std::map<std::string, std::string> settings{
        {"wal_level", "replica"},
        {"wal_log_hints", "on"},
        {"hot_standby", "on"},
        {"max_wal_senders", "20"},
        {"max_replication_slots", "20"},
        {"max_connections", "60"},
        {"shared_buffers", "16MB"},
        {"password_encryption", "scram-sha-256"},
        {"synchronous_standby_names", names.options.synchronous ? "ANY 1 (*)" : ""},
        {"log_replication_commands", "on"},
        {"log_line_prefix", "%m [%p] %a "},
    };
    if (names.options.network == NetworkMode::loopback) {
        // In PGDATA instead of /dev/shm, where files of a killed server would stay for good.
        settings["dynamic_shared_memory_type"] = "mmap";
    }
    for (const auto& [name, value] : names.options.postgres_settings) {
        settings[name] = value;
    }
    std::string text;
    for (const auto& [name, value] : settings) {
        text += setting(name, value);
    }
    return text + "include '../node.conf'\n";
}

std::string node_conf(const ClusterNames& names, int node) {
    return setting("listen_addresses", names.network.listen_addresses(node)) +
           setting("port", std::to_string(names.network.postgres_port(node))) +
           // All nodes share one file system.
           setting("unix_socket_directories", names.network.socket_directory()) +
           setting("cluster_name", node_name(node)) +
           // One log for the node, whoever starts the server.
           setting("logging_collector", "on") +
           setting("log_directory", names.node_directory(node) + "/log") +
           setting("log_filename", "postgresql.log") + setting("log_rotation_age", "0") +
           setting("log_rotation_size", "0");
}

std::string pg_hba_conf(const ClusterNames& names) {
    std::string text = "local all,replication all scram-sha-256\n";
    for (const std::string& network : names.network.client_networks()) {
        text += "host all all " + network + " scram-sha-256\n";
        text += "host replication all " + network + " scram-sha-256\n";
    }
    return text;
}

std::string standby_settings(const ClusterNames& names, int node, int primary) {
    Conninfo conninfo;
    conninfo.set("host", names.network.host(primary))
        .set("port", std::to_string(names.network.postgres_port(primary)))
        .set("user", "repl")
        .set("application_name", node_name(node))
        .set("passfile", names.base + "/pgpass");
    return setting("primary_conninfo", conninfo.str()) +
           setting("primary_slot_name", slot_name(node)) +
           setting("recovery_target_timeline", "latest");
}

std::string bootstrap_sql(const ClusterNames& names) {
    std::string text = "CREATE ROLE repl LOGIN REPLICATION PASSWORD " +
                       quote_sql_literal(Secrets::kReplication) +
                       "\n"
                       // pg_rewind as an ordinary role needs these.
                       "GRANT EXECUTE ON FUNCTION pg_ls_dir(text, boolean, boolean), "
                       "pg_stat_file(text, boolean), pg_read_binary_file(text), "
                       "pg_read_binary_file(text, bigint, bigint, boolean) TO repl\n"
                       "CREATE TABLE public.writer_rows (number bigint PRIMARY KEY, "
                       "at timestamptz NOT NULL DEFAULT clock_timestamp())\n"
                       "CREATE TABLE public.harness_markers (marker text)\n";
    for (int node = 1; node < names.options.nodes; ++node) {
        text += "SELECT pg_create_physical_replication_slot(" + quote_sql_literal(slot_name(node)) +
                ", true)\n";
    }
    return text;
}

std::string passfile() {
    return std::string("*:*:*:postgres:") + Secrets::kSuperuser +
           "\n*:*:*:repl:" + Secrets::kReplication + "\n";
}

std::string pcp_passfile() {
    return std::string("*:*:pgpool:") + Secrets::kPcp + "\n";
}

std::string failover_command_line(const ClusterNames& names) {
    return names.options.failover_command.value_or(hook_line(names, "failover_command"));
}

std::string follow_primary_command_line(const ClusterNames& names) {
    return names.options.follow_primary_command.value_or(
        hook_line(names, "follow_primary_command"));
}

std::string recovery_1st_stage_script(const ClusterNames& names) {
    return names.options.recovery_1st_stage.value_or(wrapper(names, "recovery_1st_stage"));
}

std::string pgpool_remote_start_script(const ClusterNames& names) {
    return names.options.pgpool_remote_start.value_or(wrapper(names, "pgpool_remote_start"));
}

std::string pgpool_conf(const ClusterNames& names) {
    const std::string directory = names.base + "/pgpool";
    std::map<std::string, std::string> settings{
        {"backend_clustering_mode", "streaming_replication"},
        {"listen_addresses", names.network.hub_listen_address()},
        {"port", std::to_string(names.options.pgpool_port)},
        {"socket_dir", directory},
        {"pcp_listen_addresses", names.network.hub_listen_address()},
        {"pcp_port", std::to_string(names.options.pcp_port)},
        {"pcp_socket_dir", directory},
        {"pid_file_name", directory + "/pgpool.pid"},
        {"logdir", directory},
        {"log_line_prefix", "%m [%p] %a: "},
        {"num_init_children", "8"},
        {"max_pool", "1"},
        {"enable_pool_hba", "on"},
        {"pool_passwd", directory + "/pool_passwd"},
        {"load_balance_mode", "off"},
        // Allocated and cleared even when it is not used. In bytes: 4.1 knows no units.
        {"memqcache_total_size", "1048576"},
        {"memqcache_max_num_cache", "1000"},
        {"sr_check_period", "1"},
        {"sr_check_user", "postgres"},
        {"sr_check_password", Secrets::kSuperuser},
        {"sr_check_database", "postgres"},
        {"health_check_period", "1"},
        {"health_check_timeout", "3"},
        {"health_check_max_retries", "1"},
        {"health_check_retry_delay", "1"},
        {"health_check_user", "postgres"},
        {"health_check_password", Secrets::kSuperuser},
        {"health_check_database", "postgres"},
        {"connect_timeout", "2000"},
        {"failover_on_backend_error", "on"},
        {"search_primary_node_timeout", "10"},
        {"failover_command", failover_command_line(names)},
        {"follow_primary_command", follow_primary_command_line(names)},
        {"recovery_user", "postgres"},
        {"recovery_password", Secrets::kSuperuser},
        {"recovery_1st_stage_command", "recovery_1st_stage"},
        {"recovery_timeout", "90"},
    };
    for (int node = 0; node < names.options.nodes; ++node) {
        const std::string id = std::to_string(node);
        settings["backend_hostname" + id] = names.network.host(node);
        settings["backend_port" + id] = std::to_string(names.network.postgres_port(node));
        settings["backend_weight" + id] = "1";
        settings["backend_data_directory" + id] = names.data_directory(node);
        settings["backend_flag" + id] = "ALLOW_TO_FAILOVER";
        settings["backend_application_name" + id] = node_name(node);
    }
    for (const auto& [name, value] : names.options.pgpool_settings) {
        settings[name] = value;
    }
    if (installed_pgpool() < 402) {
        settings.erase("backend_clustering_mode");
        settings["master_slave_mode"] = "on";
        settings["master_slave_sub_mode"] = "stream";
        auto follow = settings.extract("follow_primary_command");
        follow.key() = "follow_master_command";
        settings.insert(std::move(follow));
    }
    std::string text;
    for (const auto& [name, value] : settings) {
        text += pgpool_setting(name, value);
    }
    return text;
}

std::string pool_hba_conf(const ClusterNames& names) {
    std::string text;
    for (const std::string& network : names.network.client_networks()) {
        text += "host all all " + network + " scram-sha-256\n";
    }
    return text;
}

std::string pool_passwd() {
    return std::string("postgres:TEXT") + Secrets::kSuperuser + "\n";
}

std::string hooks_conf(const ClusterNames& names) {
    return setting("pgpool_conf", names.base + "/pgpool/pgpool.conf") +
           setting("ssh_user", names.account) +
           setting("ssh_port", std::to_string(names.network.ssh_port())) +
           setting("ssh_identity_file", names.base + "/ssh/id_ed25519") +
           setting("ssh_known_hosts_file", names.base + "/ssh/known_hosts") +
           // Every node is another machine here, whatever its address looks like.
           setting("local_nodes", "off") + setting("replication_user", "repl") +
           setting("passfile", names.base + "/pgpass") + setting("pcp_user", "pgpool") +
           setting("pcp_host", "127.0.0.1") + setting("pcp_passfile", names.base + "/pcppass") +
           setting("state_dir", names.base + "/state") +
           setting("postgres_bin_dir", names.options.postgres_bin_dir) + names.options.hooks_conf;
}

}  // namespace hooks::harness
