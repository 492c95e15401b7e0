#include "tests/soak_src/losses.h"

#include <regex>
#include <sstream>

namespace hooks::soak {

std::vector<ReportedLoss> reported_losses(const std::string& history) {
    static const std::regex range("lost: WAL ([0-9A-F]+/[0-9A-F]+) to ([0-9A-F]+/[0-9A-F]+)");
    static const std::regex timeline("on timeline ([0-9]+), ");
    std::vector<ReportedLoss> result;
    std::istringstream lines(history);
    for (std::string line; std::getline(lines, line);) {
        std::smatch found;
        if (!std::regex_search(line, found, range)) {
            continue;
        }
        ReportedLoss loss;
        loss.from = parse_lsn(found[1].str()).value_or(Lsn{});
        loss.to = parse_lsn(found[2].str()).value_or(Lsn{});
        // Why it is lost: "node 0 diverged: it has WAL up to ... on timeline 3, node 1 left ...".
        const std::size_t why = line.find("diverged: it has WAL up to");
        const std::string reason = why == std::string::npos ? "" : line.substr(why);
        if (std::regex_search(reason, found, timeline)) {
            loss.timeline = static_cast<TimelineId>(std::stoul(found[1].str()));
        }
        loss.line = line;
        result.push_back(std::move(loss));
    }
    return result;
}

}  // namespace hooks::soak
