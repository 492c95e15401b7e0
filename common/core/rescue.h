// WAL that a rewind or a base backup throws away is kept first: what of it, and what was found in
// it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/core/lsn.h"
#include "common/core/timeline.h"

namespace hooks {

// WAL from `from` up to, not including, `to`, in segments of `timeline`.
struct WalStretch {
    TimelineId timeline = 0;
    Lsn from;
    Lsn to;
    bool operator==(const WalStretch&) const = default;
};

// Of a node with this history: the stretches between the two positions, oldest first.
std::vector<WalStretch> stretches_between(const TimelineHistory& history, Lsn from, Lsn to);

// "node0-tl1-0_5000110-0_50FFF00": the same for the same node and range.
std::string rescue_name(int node, TimelineId timeline, Lsn from, Lsn to);

// What stands in the report beside the kept segments.
struct RescuedWal {
    std::string directory;  // on the node; empty when nothing of the range was there any more
    Lsn from;
    Lsn to;
    std::int64_t commits = 0;
    std::int64_t aborts = 0;
    std::string first_commit;  // UTC; empty without commits
    std::string last_commit;
    std::int64_t missing_segments = 0;  // of the range, gone before anybody could keep them
    std::string problem;                // of pg_waldump: the numbers are of what it could read
};

// `output` is that of the script which keeps the WAL. Throws Error{command} when it broke off.
RescuedWal parse_rescue(std::string_view output, Lsn from, Lsn to);
// "lost: WAL 0/5000110 to 0/50FFF00, 1048048 bytes, 17 commits between ... and ..., kept on its
// host in ..."
std::string text(const RescuedWal& rescued);

}  // namespace hooks
