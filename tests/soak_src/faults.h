// The faults that the soak knows.
#pragma once

#include <functional>
#include <set>
#include <string>
#include <vector>

#include "tests/soak_src/keeper.h"

namespace hooks::soak {

enum class Target { primary, standby, cluster };  // cluster: needs both

// One fault that was done, and how it ends.
struct Strike {
    std::string text;            // "node 2, for 3.1 s"
    std::set<int> nodes;         // those that it takes away
    std::function<void()> heal;  // may be empty
};

struct World {
    harness::Cluster& cluster;
    Keeper& keeper;
};

// What was drawn for one fault. The same draws for each kind, whatever it makes of them: the
// sequence depends on the seed alone.
struct Draw {
    int primary = -1;  // who they are now
    int standby = -1;
    std::uint64_t any = 0;
    Milliseconds length{};
};

struct FaultKind {
    const char* name;
    Target target;
    int weight;
    Milliseconds shortest;
    Milliseconds longest;
    // The hooks cannot ask that standby, but it goes on to acknowledge commits.
    bool blinds;
    Strike (*strike)(World& world, const Draw& draw);
};

const std::vector<FaultKind>& fault_kinds();

}  // namespace hooks::soak
