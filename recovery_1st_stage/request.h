// recovery_1st_stage: what pgpool_recovery() asks, on the primary, for pcp_recovery_node.
#pragma once

#include <string>

#include "common/core/arguments.h"
#include "common/core/pgpool_conf.h"

namespace hooks::recovery {

struct Request {
    std::string primary_directory;
    int primary_port = 0;
    Backend source;  // host as the target shall reach it
    Backend target;
};

// primary_datadir dest_host dest_datadir primary_port [dest_node_id [dest_port [primary_host]]]:
// four words up to Pgpool-II 3.7, five in 4.0, six in 4.1 and 4.2, seven from 4.3 on. What is
// missing comes from pgpool.conf; `conf` may be empty, because the database hosts need not have
// one. Throws Error{usage}, also when target and primary are the same directory of one host.
Request parse_request(const Arguments& words, const PgpoolConf& conf);

}  // namespace hooks::recovery
