#include "common/core/stop_note.h"

#include <fmt/format.h>

#include <charconv>
#include <map>

namespace hooks {
namespace {

constexpr std::int64_t counts_for_seconds = 3600;

std::optional<bool> parse_flag(const std::string& word) {
    return word == "yes" ? std::optional(true) : word == "no" ? std::optional(false) : std::nullopt;
}

}  // namespace

std::string stop_note_text(const StopNote& note) {
    const auto flag = [](bool value) { return value ? "yes" : "no"; };
    return fmt::format("time={}\nby={}\nanswered={}\nmay_return={}\nend=yes\n", note.time, note.by,
                       flag(note.answered), flag(note.may_return));
}

std::optional<StopNote> parse_stop_note(std::string_view text) {
    std::map<std::string, std::string> values;
    while (!text.empty()) {
        const std::size_t end = text.find('\n');
        const std::string_view line = text.substr(0, end);
        text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
        const std::size_t equals = line.find('=');
        if (equals != std::string_view::npos) {
            values[std::string(line.substr(0, equals))] = line.substr(equals + 1);
        }
    }
    StopNote note;
    const std::string& time = values["time"];
    const char* last = time.data() + time.size();
    const auto number = std::from_chars(time.data(), last, note.time);
    const auto answered = parse_flag(values["answered"]);
    const auto may_return = parse_flag(values["may_return"]);
    if (number.ec != std::errc() || number.ptr != last || !answered || !may_return ||
        values["end"] != "yes") {
        return std::nullopt;
    }
    note.by = values["by"];
    note.answered = *answered;
    note.may_return = *may_return;
    return note;
}

bool still_counts(const StopNote& note, std::int64_t now) {
    return note.time <= now && now - note.time <= counts_for_seconds;
}

NotedStop noted_stop(const NodeReport& report) {
    if (!report.data_directory || report.standby_signal || report.unfinished_marker) {
        return NotedStop::none;
    }
    if (report.major < 12 && report.recovery_conf && report.tombstone.empty()) {
        return NotedStop::none;
    }
    if (report.running) {
        return NotedStop::running;
    }
    return report.control && report.control->state == ClusterState::shut_down ? NotedStop::shut_down
                                                                              : NotedStop::none;
}

}  // namespace hooks
