// Which of the backends that fit is the primary, where pgpool's words leave that open.
#pragma once

#include <string>
#include <vector>

#include "common/core/facts.h"
#include "common/core/server_facts.h"
#include "recovery_1st_stage/request.h"

namespace hooks::recovery {

struct PrimaryCandidate {
    Backend backend;
    Known<bool> here;  // its host is an address of this machine
};

// pgpool_recovery() runs on the primary's host: what is known to be elsewhere is not the primary,
// and neither is what cannot be told. Throws Error{refused} when that is all of them.
std::vector<Backend> those_here(const Request& request,
                                const std::vector<PrimaryCandidate>& candidates);

// The one out of recovery, with nobody left who may be too. Throws Error{refused}.
Backend the_primary(const Request& request, const std::vector<ServerSeen>& servers);

}  // namespace hooks::recovery
