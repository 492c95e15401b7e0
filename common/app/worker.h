// A part of a hook that outlives pgpool's call: this executable again, detached.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "common/app/env.h"

namespace hooks {

struct Worker {
    pid_t pid = 0;
    std::string log;  // a path; /dev/null without a state_dir
};

// With the same configuration and the same words, and `options` in front of them. Returns when it
// was started. Throws Error{internal} or Error{command}.
Worker spawn_worker(const Env& env, const std::vector<std::string>& options,
                    const std::string& log_name);

// The worker of follow_primary_command that makes a node a standby of the primary and attaches it,
// where pgpool will not call for that node. When somebody is at it already, the node's lock ends
// this one. As above otherwise.
Worker spawn_rejoin_worker(const Env& env, const Backend& node, const Backend& primary);

// Whether the person who wrote the configuration wants old primaries back by themselves.
bool wants_rejoin(const Env& env);

}  // namespace hooks
