// What a look at a node's files brings where pg_controldata is missing: the files themselves.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "common/core/control_data.h"
#include "common/core/facts.h"

namespace hooks {

class BareFiles {
  public:
    // A line of the report; false when it is none of these: control_file (in base64),
    // history_NNNNNNNN, wal_timelines.
    bool take(std::string_view key, const std::string& value);

    bool has_control_file() const { return !control_file_.empty(); }
    Known<ControlData> control() const;
    // The newest that has WAL and a history with `known` in it, else `known`.
    TimelineId newest_timeline(TimelineId known) const;
    std::string history(TimelineId timeline) const;  // empty when there is none

  private:
    std::string control_file_;
    std::string wal_timelines_;
    std::map<TimelineId, std::string> histories_;
};

// Run with the arguments PGDATA, NAME of a segment, and which of its pages (FIRST, COUNT): prints
// them in base64, nothing where there are none. For WalScan.
extern const std::string_view wal_bytes_script;

}  // namespace hooks
