#include "common/core/bare_files.h"

#include <fmt/format.h>

#include <charconv>

#include "common/core/bytes.h"
#include "common/core/control_file.h"
#include "common/core/error.h"
#include "common/core/timeline.h"

namespace hooks {

const std::string_view wal_bytes_script = R"sh(
file=$1/pg_wal/$2
if [ -f "$file" ]; then dd if="$file" bs=8192 skip="$3" count="$4" 2>/dev/null | base64 -w 0; fi
)sh";

bool BareFiles::take(std::string_view key, const std::string& value) {
    constexpr std::string_view history = "history_";
    if (key == "control_file") {
        control_file_ = value;
    } else if (key == "wal_timelines") {
        wal_timelines_ = value;
    } else if (key.starts_with(history)) {
        key.remove_prefix(history.size());
        TimelineId timeline = 0;
        std::from_chars(key.data(), key.data() + key.size(), timeline, 16);
        histories_[timeline] += value + "\n";
    } else {
        return false;
    }
    return true;
}

Known<ControlData> BareFiles::control() const {
    const auto bytes = decode_base64(control_file_);
    if (!bytes) {
        return Unknown{"global/pg_control did not arrive as it was sent"};
    }
    try {
        return parse_control_file(*bytes);
    } catch (const Error& error) {
        return Unknown{error.message()};
    }
}

TimelineId BareFiles::newest_timeline(TimelineId known) const {
    TimelineId newest = known;
    for (const auto& [timeline, content] : histories_) {
        const bool has_wal =
            wal_timelines_.find(fmt::format("{:08X}", timeline)) != std::string::npos;
        try {
            if (timeline > newest && has_wal &&
                TimelineHistory::parse(timeline, content).find(known) != nullptr) {
                newest = timeline;
            }
        } catch (const Error&) {
            // What is not a history leads nowhere.
        }
    }
    return newest;
}

std::string BareFiles::history(TimelineId timeline) const {
    const auto found = histories_.find(timeline);
    return found == histories_.end() ? "" : found->second;
}

}  // namespace hooks
