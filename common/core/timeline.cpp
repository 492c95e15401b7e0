#include "common/core/timeline.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "common/core/error.h"

namespace hooks {
namespace {

constexpr std::string_view blanks = " \t\r\f\v";

std::string_view without_leading_blanks(std::string_view text) {
    text.remove_prefix(std::min(text.find_first_not_of(blanks), text.size()));
    return text;
}

struct ParentLine {
    TimelineId timeline = 0;
    Lsn switchpoint;
};

// `line` has no leading blanks. The reason behind the switchpoint is free text.
ParentLine parse_parent(std::string_view line, const auto& fail) {
    ParentLine parent;
    const auto [stopped, error] =
        std::from_chars(line.data(), line.data() + line.size(), parent.timeline);
    if (error != std::errc() || parent.timeline == 0) {
        fail("expected the number of a timeline");
    }
    line.remove_prefix(static_cast<std::size_t>(stopped - line.data()));
    if (line.empty() || blanks.find(line.front()) == std::string_view::npos) {
        fail("expected a blank and a switchpoint behind the timeline");
    }
    line = without_leading_blanks(line);
    const auto switchpoint = parse_lsn(line.substr(0, line.find_first_of(blanks)));
    if (!switchpoint) {
        fail("expected a switchpoint such as 0/3000110");
    }
    parent.switchpoint = *switchpoint;
    return parent;
}

Lsn end_or_infinity(const TimelineEntry& entry) {
    return entry.end.value_or(Lsn{~std::uint64_t{0}});
}

}  // namespace

TimelineHistory TimelineHistory::parse(TimelineId timeline, std::string_view content) {
    int line_number = 0;
    const auto fail = [&](std::string_view why) {
        throw Error(ErrorKind::command,
                    fmt::format("{:08X}.history:{}: {}", timeline, line_number, why));
    };
    if (timeline == 0) {
        fail("there is no timeline 0");
    }

    TimelineHistory history;
    Lsn begin;
    while (!content.empty()) {
        ++line_number;
        const std::size_t newline = std::min(content.find('\n'), content.size());
        const std::string_view line = without_leading_blanks(content.substr(0, newline));
        content.remove_prefix(std::min(newline + 1, content.size()));
        if (line.empty() || line.front() == '#') {
            continue;
        }
        const ParentLine parent = parse_parent(line, fail);
        if (!history.entries_.empty() && parent.timeline <= history.entries_.back().timeline) {
            fail("timelines must be in increasing order");
        }
        if (parent.timeline >= timeline) {
            fail("a parent must have a lower number than its child");
        }
        history.entries_.push_back({parent.timeline, begin, parent.switchpoint});
        begin = parent.switchpoint;
    }
    history.entries_.push_back({timeline, begin, std::nullopt});
    return history;
}

const TimelineEntry* TimelineHistory::find(TimelineId timeline) const {
    const auto entry =
        std::find_if(entries_.begin(), entries_.end(),
                     [&](const TimelineEntry& each) { return each.timeline == timeline; });
    return entry == entries_.end() ? nullptr : &*entry;
}

std::optional<CommonAncestor> common_ancestor(const TimelineHistory& target,
                                              const TimelineHistory& source) {
    const auto same_stretch = [](const TimelineEntry& left, const TimelineEntry& right) {
        return left.timeline == right.timeline && left.begin == right.begin;
    };
    const auto& ours = target.entries();
    const auto& theirs = source.entries();
    const auto parted =
        std::mismatch(ours.begin(), ours.end(), theirs.begin(), theirs.end(), same_stretch);
    if (parted.first == ours.begin()) {
        return std::nullopt;
    }
    const TimelineEntry& left = *std::prev(parted.first);
    const TimelineEntry& right = *std::prev(parted.second);
    return CommonAncestor{left.timeline,
                          end_or_infinity(left) < end_or_infinity(right) ? left.end : right.end};
}

}  // namespace hooks
