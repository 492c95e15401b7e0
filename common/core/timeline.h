// Timeline histories, and where two of them part.
//
// A history file NNNNNNNN.history lists the ancestors of timeline NNNNNNNN, one in a line:
// parent timeline, switchpoint, reason. The switchpoint is an exclusive end: the first byte of the
// first record on the child (PostgreSQL's timeline.c, readTimeLineHistory).
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "common/core/lsn.h"

namespace hooks {

// One stretch of history: WAL of `timeline` from `begin` up to, not including, `end`.
// The newest stretch has no end.
struct TimelineEntry {
    TimelineId timeline = 0;
    Lsn begin;
    std::optional<Lsn> end;

    bool operator==(const TimelineEntry&) const = default;
};

// Oldest first; the last entry is the timeline that the history belongs to.
class TimelineHistory {
  public:
    // `content` is that of TIMELINE.history; empty or absent for a timeline without parents.
    // Throws Error{command} on a line that PostgreSQL would not accept, with its number.
    static TimelineHistory parse(TimelineId timeline, std::string_view content);

    TimelineId timeline() const { return entries_.back().timeline; }
    const std::vector<TimelineEntry>& entries() const { return entries_; }
    // The stretch of `timeline` within this history, if it is part of it.
    const TimelineEntry* find(TimelineId timeline) const;

  private:
    std::vector<TimelineEntry> entries_;
};

// Where `target` and `source` part: the end of the last stretch that both have, that is the
// earlier of its two ends. Stretches are the same when timeline and begin are the same, which
// tells apart two nodes that were promoted to equal timeline numbers independently.
struct CommonAncestor {
    TimelineId timeline = 0;
    std::optional<Lsn> end;  // nullopt: neither history ends here, they are the same
};
std::optional<CommonAncestor> common_ancestor(const TimelineHistory& target,
                                              const TimelineHistory& source);

}  // namespace hooks
