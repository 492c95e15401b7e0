// What the hooks need from pgpool.conf.
#pragma once

#include <string>
#include <vector>

#include "common/core/conf_file.h"

namespace hooks {

struct Backend {
    int id = 0;
    // backend_hostname: a name, an address, or the directory of a unix socket; empty: the socket
    // directory that pgpool was built with.
    std::string host;
    int port = 5432;
    std::string data_directory;
    std::string application_name;  // backend_application_name, may be empty

    bool operator==(const Backend&) const = default;
    // "node 1 (10.0.0.2:5432)"; without an id (it is negative then) or a port, what there is of it.
    std::string label() const;
};

struct PgpoolConf {
    std::string path;
    std::vector<Backend> backends;  // ascending by id; ids may have gaps
    int pcp_port = 9898;
    std::string pcp_listen_addresses;
    std::string pcp_socket_dir;
    bool follows = false;  // follow_primary_command (before 4.2: follow_master_command) is set

    const Backend* find(int id) const;
};

// A backend exists when backend_portN is set and not 0; pgpool (4.3.5) passes over one that has
// only a host name, and so must we, or we would promote a node that pgpool does not know. Throws
// Error{config} with file and line when a number is not one or no backend is there.
PgpoolConf parse_pgpool_conf(const ConfFile& file, std::string path);

}  // namespace hooks
