// The questions that every cluster test ends with, as GoogleTest expectations.
#pragma once

#include "tests/support/cluster.h"
#include "tests/support/writer.h"

namespace hooks::harness {

// Exactly one reachable node takes writes.
void expect_one_writable(const Cluster& cluster);
// Stops the writer. Every row that was acknowledged is on the primary.
void expect_no_acknowledged_row_lost(const Cluster& cluster, Writer& writer);
// Once a later timeline has taken a commit through pgpool, no earlier one does, and each timeline
// had one server.
void expect_one_history(const Writer& writer);
// The node is a healthy standby of the present primary, or becomes one within `patience`.
void expect_streaming(const Cluster& cluster, int node,
                      Milliseconds patience = std::chrono::seconds(30));
// Pgpool shows it as up (or waiting for its first client), now or within `patience`.
void expect_attached(const Cluster& cluster, int node,
                     Milliseconds patience = std::chrono::seconds(30));

}  // namespace hooks::harness
