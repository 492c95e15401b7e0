// What pg_controldata prints, as a struct.
//
// Only a pg_controldata of the cluster's own major version, run with LC_ALL=C, may be parsed: one
// of another version prints plausible nonsense (15 on a directory of 10: "TimeLineID: 67109232").
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>

#include "common/core/lsn.h"

namespace hooks {

enum class ClusterState {
    starting_up,
    shut_down,
    shut_down_in_recovery,
    shutting_down,
    in_crash_recovery,
    in_archive_recovery,
    in_production,
};

struct ControlData {
    int pg_control_version = 0;
    std::uint64_t system_identifier = 0;
    ClusterState state = ClusterState::starting_up;
    Lsn checkpoint;  // "Latest checkpoint location"
    Lsn redo;        // "Latest checkpoint's REDO location"
    TimelineId checkpoint_timeline = 0;
    Lsn min_recovery_end;  // 0/0 when the cluster was never a standby, or was promoted since
    TimelineId min_recovery_timeline = 0;
    bool wal_log_hints = false;
    bool data_checksums = false;
    std::uint64_t wal_segment_size = 0;  // bytes

    bool operator==(const ControlData&) const = default;

    // What pg_rewind 16 and later call the cluster's timeline.
    TimelineId timeline() const { return std::max(checkpoint_timeline, min_recovery_timeline); }
    bool shut_down_cleanly() const {
        return state == ClusterState::shut_down || state == ClusterState::shut_down_in_recovery;
    }
    // pg_rewind needs one of the two to find the pages that only a hint bit changed.
    bool rewind_possible() const { return wal_log_hints || data_checksums; }
};

// Throws Error{command} when a field is missing or malformed, or when the output warns (a wrong
// major version, or a damaged file). Pass both streams: some versions warn on stdout, others on
// stderr.
ControlData parse_control_data(std::string_view pg_controldata_output);
const char* to_string(ClusterState state);  // in pg_controldata's own words

}  // namespace hooks
