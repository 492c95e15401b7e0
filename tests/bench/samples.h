// The sample scripts that come with the installed Pgpool-II, set up as their user would.
#pragma once

#include <string>

#include "tests/support/cluster.h"

namespace hooks::bench {

// Where packages put them. Throws HarnessError when they are not there.
std::string find_samples_directory();

// Copies `name` ("failover.sh") with the variables at its top set for this cluster, and nothing
// else changed. Returns the path of the copy.
std::string install_sample(const harness::Cluster& cluster, const std::string& directory,
                           const std::string& name);

}  // namespace hooks::bench
