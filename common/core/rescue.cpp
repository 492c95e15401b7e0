#include "common/core/rescue.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "common/core/error.h"
#include "common/core/report_lines.h"

namespace hooks {
namespace {

std::string in_a_name(Lsn lsn) {
    std::string text = to_string(lsn);
    std::replace(text.begin(), text.end(), '/', '_');
    return text;
}

std::int64_t number(std::string_view text) {
    std::int64_t value = 0;
    std::from_chars(text.data(), text.data() + text.size(), value);
    return value;
}

}  // namespace

std::vector<WalStretch> stretches_between(const TimelineHistory& history, Lsn from, Lsn to) {
    std::vector<WalStretch> stretches;
    for (const TimelineEntry& entry : history.entries()) {
        const WalStretch stretch{entry.timeline, std::max(entry.begin, from),
                                 std::min(entry.end.value_or(to), to)};
        if (stretch.from < stretch.to) {
            stretches.push_back(stretch);
        }
    }
    return stretches;
}

std::string rescue_name(int node, TimelineId timeline, Lsn from, Lsn to) {
    return fmt::format("node{}-tl{}-{}-{}", node, timeline, in_a_name(from), in_a_name(to));
}

RescuedWal parse_rescue(std::string_view output, Lsn from, Lsn to) {
    RescuedWal rescued;
    rescued.from = from;
    rescued.to = to;
    bool complete = false;
    while (const auto line = next_report_line(output)) {
        const auto& [key, value] = *line;
        if (key == "directory") {
            rescued.directory = value;
        } else if (key == "commits") {
            rescued.commits = number(value);
        } else if (key == "aborts") {
            rescued.aborts = number(value);
        } else if (key == "first commit") {
            rescued.first_commit = value;
        } else if (key == "last commit") {
            rescued.last_commit = value;
        } else if (key == "missing segments") {
            rescued.missing_segments = number(value);
        } else if (key == "problem") {
            rescued.problem = value;
        } else if (key == "end") {
            complete = value == "rescue";
        }
    }
    if (!complete) {
        throw Error(ErrorKind::command, "keeping the WAL broke off before its end");
    }
    return rescued;
}

std::string text(const RescuedWal& rescued) {
    std::string out = fmt::format("lost: WAL {} to {}, {} bytes", rescued.from, rescued.to,
                                  rescued.to.value - rescued.from.value);
    if (rescued.directory.empty()) {
        return out + ", of which no segment was left to keep";
    }
    out += fmt::format(", {} commit{}", rescued.commits, rescued.commits == 1 ? "" : "s");
    if (rescued.commits == 1) {
        out += " at " + rescued.first_commit;
    } else if (rescued.commits > 1) {
        out += fmt::format(" between {} and {}", rescued.first_commit, rescued.last_commit);
    }
    if (!rescued.problem.empty() || rescued.missing_segments > 0) {
        out += " in what could be read of it";
    }
    out += ", kept on its host in " + rescued.directory;
    if (rescued.missing_segments > 0) {
        out += fmt::format(" but for {} segment{} that {} gone", rescued.missing_segments,
                           rescued.missing_segments == 1 ? "" : "s",
                           rescued.missing_segments == 1 ? "was" : "were");
    }
    return out;
}

}  // namespace hooks
