// hooks.conf: one table holds name, type, default and text of every key. --help, the sample file
// and the documentation are printed from it.
#pragma once

#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/core/conf_file.h"
#include "common/core/conf_words.h"
#include "common/core/conninfo.h"

namespace hooks {

using Milliseconds = std::chrono::milliseconds;

enum class CandidateChoice { most_advanced, pgpool };
enum class UnfencedPrimary { promote, refuse };
enum class BaseBackupPolicy { keep_old, keep_if_space, in_place, never };
enum class RelaxSynchronous { off, until_standby_returns };
enum class FailedStandbySlot { keep_if_bounded, keep, drop };

// Keys that may be given for one backend as NODEID.key.
struct NodeOptions {
    std::string ssh_host;  // empty: backend_hostname
    int ssh_port = 22;
    std::string ssh_user;
    std::string ssh_identity_file;
    std::string ssh_known_hosts_file;
    std::string postgres_bin_dir;  // empty: found on the node from its PG_VERSION
    std::string application_name;  // empty: backend_application_name, else the slot's name
    std::string start_command;     // empty: pg_ctl, pg_ctlcluster or systemctl, as found
    std::string stop_command;
    std::string passfile;        // as seen on that node, for its primary_conninfo
    std::string tablespace_map;  // "/old=/new,...", where the source's tablespaces go
};

struct Config {
    std::string pgpool_conf;  // empty: /etc/pgpool2/pgpool.conf, then /etc/pgpool-II/pgpool.conf
    bool local_nodes = true;
    std::string postgres_user;
    std::string postgres_database;
    Conninfo postgres_conninfo;  // extra keywords for the connections of postgres_user
    std::string replication_user;
    Conninfo replication_conninfo;  // extra keywords for primary_conninfo
    std::string passfile;           // on this machine; empty: libpq's default
    std::string pcp_host;
    int pcp_port = 0;  // 0: from pgpool.conf
    std::string pcp_user;
    std::string pcp_passfile;  // empty: ~/.pcppass
    std::string pcp_bin_dir;   // empty: found on PATH
    Milliseconds failover_timeout{};
    Milliseconds follow_timeout{};
    std::optional<Milliseconds> recovery_timeout;  // nullopt: off
    Milliseconds connect_timeout{};
    Milliseconds fence_timeout{};
    Milliseconds stall_timeout{};
    CandidateChoice candidate{};
    UnfencedPrimary unfenced_primary{};
    RelaxSynchronous relax_synchronous{};
    bool rejoin_old_primary = true;
    BaseBackupPolicy base_backup{};
    FailedStandbySlot failed_standby_slot{};
    std::string state_dir;
    std::string log_level;
    bool syslog = true;

    const NodeOptions& node(int id) const;  // the defaults when nothing was set for it

    NodeOptions node_defaults;
    std::map<int, NodeOptions> node_overrides;
};

// One row of the table.
struct OptionRow {
    std::string_view name;
    std::string_view type;           // "string", "duration", "on/off", "a | b"
    std::string_view default_value;  // as it would be written in the file, without quotes
    bool per_node;                   // may be given as NODEID.name
    std::string_view text;           // one or two sentences
    std::string_view when_empty;     // what an empty value stands for
    bool node_only;                  // makes no sense for all nodes at once
};
const std::vector<OptionRow>& option_table();

// A key that is given twice has its last value. Whatever their order, the values for all nodes hold
// wherever NODEID.key does not say otherwise.
// Throws Error{config}: "FILE:LINE: unknown key "sshuser"", hint: "Did you mean "ssh_user"?".
Config parse_config(const ConfFile& file);
Config default_config();

std::string sample_config();  // examples/hooks.conf
std::string options_help();   // for --help: name, default, text

}  // namespace hooks
