// The primary that asked for the recovery, proved where pgpool's words leave it open.
#pragma once

#include "common/app/env.h"
#include "recovery_1st_stage/request.h"

namespace hooks::recovery {

// Resolves the hosts of the backends that fit, and asks their servers where several are on this
// host; each has connect_timeout. Changes nothing. Throws Error{refused} when nobody or more than
// one is left, Error{usage} when it is the target.
Backend find_primary(const Request& request, const Env& env);

}  // namespace hooks::recovery
