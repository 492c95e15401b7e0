// Servers of other major versions than the installed one.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/cluster/calls.h"

namespace hooks::harness {

// Where tests/versions/get-postgres put it; that of 15 is the installed one. Throws HarnessError.
std::string bin_dir_of_version(int major);

inline ClusterOptions on_version(int major, ClusterOptions options = {}) {
    options.postgres_bin_dir = bin_dir_of_version(major);
    return options;
}

// Its recovery settings are where this version reads them, and nowhere else.
void expect_settings_of_a_standby(const Cluster& cluster, int node);

// The primary, node 0, dies with rows that no standby has, whatever a standby can be told while it
// runs. `more` is what it writes after these.
void crash_diverged(Cluster& cluster, const std::vector<std::string>& more = {});

inline std::string name_of_version(const testing::TestParamInfo<int>& info) {
    return "PostgreSQL" + std::to_string(info.param);
}

}  // namespace hooks::harness
