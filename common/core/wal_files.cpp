#include "common/core/wal_files.h"

#include <algorithm>
#include <set>

namespace hooks {

std::optional<Lsn> oldest_wal(std::string_view names, const TimelineHistory& history, Lsn flushed,
                              std::uint64_t segment_size) {
    std::set<std::string_view> files;
    while (!names.empty()) {
        const std::size_t blank = std::min(names.find(' '), names.size());
        files.insert(names.substr(0, blank));
        names.remove_prefix(std::min(blank + 1, names.size()));
    }
    const auto& entries = history.entries();
    const auto has = [&](std::uint64_t number) {
        const auto newest =
            std::find_if(entries.rbegin(), entries.rend(), [&](const TimelineEntry& entry) {
                return entry.begin.value < (number + 1) * segment_size;
            });
        return newest != entries.rend() &&
               files.contains(
                   wal_segment_name(newest->timeline, Lsn{number * segment_size}, segment_size));
    };
    if (segment_size == 0 || !flushed.valid()) {
        return std::nullopt;
    }
    // At the very begin of a segment, its file may not be there yet.
    std::uint64_t number = (flushed.value - 1) / segment_size;
    if (!has(number)) {
        return std::nullopt;
    }
    while (number > 0 && has(number - 1)) {
        --number;
    }
    return Lsn{number * segment_size};
}

}  // namespace hooks
