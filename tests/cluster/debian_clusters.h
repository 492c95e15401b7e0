// Clusters of postgresql-common. The sandbox has none of the machine's.
#pragma once

#include <filesystem>
#include <string>

#include "tests/support/place.h"
#include "tests/support/sandbox.h"

namespace hooks::harness {

// What an earlier test of this process left there.
inline void remove_debian_clusters() {
    if (!in_sandbox()) {
        throw HarnessError("these clusters may be the machine's own");
    }
    for (const char* directory : {"/etc/postgresql", "/var/log/postgresql"}) {
        for (const auto& entry : std::filesystem::directory_iterator(directory)) {
            std::filesystem::remove_all(entry.path());
        }
    }
}

}  // namespace hooks::harness
