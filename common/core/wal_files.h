// What the names of the files in pg_wal say.
#pragma once

#include <optional>
#include <string_view>

#include "common/core/timeline.h"

namespace hooks {

// The first byte of the oldest segment from which on a server with this history has all its WAL, up
// to `flushed`. Of a segment in which a timeline begins, the file of that timeline counts, as for a
// walsender: what its parent wrote there was copied into it. Segments before a gap do not count.
// `names` are separated by blanks; nullopt: not even the newest is among them.
std::optional<Lsn> oldest_wal(std::string_view names, const TimelineHistory& history, Lsn flushed,
                              std::uint64_t segment_size);

}  // namespace hooks
