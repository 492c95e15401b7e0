// What a hook could have changed, before and after.
#pragma once

#include <string>

#include "tests/support/cluster.h"

namespace hooks::harness {

// Everything about every node that must be the same when nothing was changed, as text: one that
// differs shows where. Of a server that serves: recovery, timeline, whom it follows, slots, start
// time; of every node: the files beside its data directory, and those directly in it with size and
// time of the last change.
std::string snapshot(const Cluster& cluster);

}  // namespace hooks::harness
