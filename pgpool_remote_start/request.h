// pgpool_remote_start: what pgpool_remote_start() asks, on the primary, after the first stage.
#pragma once

#include <string>

#include "common/core/arguments.h"
#include "common/core/pgpool_conf.h"

namespace hooks::remote_start {

// dest_host dest_datadir. Pgpool passes neither port nor node id, and quotes nothing. The id is
// unnamed_target and the port 0 unless pgpool.conf is readable here and has that directory.
// Throws Error{usage}, also when two backends have that host and directory.
Backend parse_request(const Arguments& words, const PgpoolConf& conf);

}  // namespace hooks::remote_start
