// recovery_1st_stage: what pgpool_recovery() asks, on the primary, for pcp_recovery_node.
#pragma once

#include <string>
#include <vector>

#include "common/core/arguments.h"
#include "common/core/pgpool_conf.h"

namespace hooks::recovery {

struct Request {
    std::string primary_directory;
    int primary_port = 0;
    bool primary_named = false;  // pgpool gave its host
    // Whoever fits these words, hosts as the target shall reach them; at least one. Which of them
    // is the primary is for find_primary() to prove.
    std::vector<Backend> primaries;
    Backend target;
};

// primary_datadir dest_host dest_datadir primary_port [dest_node_id [dest_port [primary_host]]]:
// four words up to Pgpool-II 3.7, five in 4.0, six in 4.1 and 4.2, seven from 4.3 on. What is
// missing comes from pgpool.conf; `conf` may be empty, because the database hosts need not have
// one. Throws Error{usage}, also when two backends may be the target.
Request parse_request(const Arguments& words, const PgpoolConf& conf);

// Throws Error{usage} when the target and that primary share a host and a directory or a port.
void check_primary(const Request& request, const Backend& primary);

}  // namespace hooks::recovery
