// What this program runs with, for --version.
#pragma once

#include <string>

namespace hooks {

// "failover_command (pgpool-hooks) 0.1.0\nlibpq 15.20, libssh 0.10.6/...\n"
std::string version_text(const std::string& program);

}  // namespace hooks
