// failover_command: what pgpool asks.
#pragma once

#include "common/core/pool_arguments.h"

namespace hooks::failover {

struct Request {
    int detached = -1;     // %d
    int main_node = -1;    // %m
    int old_primary = -1;  // %P

    // Only pgpool's word: whether the detached node was the primary. Unknown counts as yes, and
    // the rules look for a living primary first.
    bool detached_was_primary() const { return old_primary < 0 || detached == old_primary; }
};

// Throws Error{usage}.
Request parse_request(const Arguments& words, const PgpoolConf& conf);

}  // namespace hooks::failover
