// follow_primary_command: what pgpool asks. It asks for every node that is down in its eyes, one
// after the other, the dead old primary included, and waits for each answer.
#pragma once

#include "common/core/pool_arguments.h"

namespace hooks::follow {

struct Request {
    int node = -1;         // %d: the node that shall follow
    int new_primary = -1;  // %m: as of the moment when pgpool forked; it may be stale
    int old_primary = -1;  // %P
};

// Throws Error{usage}.
Request parse_request(const Arguments& words, const PgpoolConf& conf);

}  // namespace hooks::follow
