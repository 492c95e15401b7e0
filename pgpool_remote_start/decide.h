// pgpool_remote_start: may this data directory be started?
#pragma once

#include "common/core/node_report.h"
#include "common/core/pgpool_conf.h"
#include "common/core/plan.h"

namespace hooks::remote_start {

// Rules S01 to S05: never over an unfinished rewind, never what would come up as a primary.
Decision decide(const Backend& target, const NodeReport& report);

}  // namespace hooks::remote_start
