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

}  // namespace hooks
