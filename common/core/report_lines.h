// What the scripts that look at a node print: a line "key: value" for each fact.
#pragma once

#include <algorithm>
#include <optional>
#include <string>
#include <string_view>

namespace hooks {

struct ReportLine {
    std::string_view key;
    std::string value;
};

// Takes lines off the front of `output` up to and with the next that is one; nullopt at the end. A
// line without ": " is passed over: an empty value, or what a login shell prints.
inline std::optional<ReportLine> next_report_line(std::string_view& output) {
    while (!output.empty()) {
        const std::size_t newline = std::min(output.find('\n'), output.size());
        const std::string_view line = output.substr(0, newline);
        output.remove_prefix(std::min(newline + 1, output.size()));
        const std::size_t colon = line.find(": ");
        if (colon != std::string_view::npos) {
            return ReportLine{line.substr(0, colon), std::string(line.substr(colon + 2))};
        }
    }
    return std::nullopt;
}

}  // namespace hooks
