#include <fmt/format.h>

#include "common/io/line_splitter.h"
#include "common/io/process.h"

namespace hooks {

std::string Outcome::describe() const {
    std::string text =
        signal.empty() ? fmt::format("exit code {}", exit_code) : "ended by signal " + signal;
    // The last lines say what went wrong; those before tell the story.
    constexpr std::size_t kLines = 3;
    constexpr std::size_t kLongest = 500;
    const bool blank_err = err.find_first_not_of(" \t\r\n") == std::string::npos;
    std::vector<std::string> lines;
    LineSplitter splitter;
    const auto keep = [&lines](std::string_view line) {
        const std::size_t begin = line.find_first_not_of(" \t");
        if (begin != std::string_view::npos) {
            lines.emplace_back(line.substr(begin, line.find_last_not_of(" \t") - begin + 1));
        }
    };
    splitter.feed(blank_err ? out : err, keep);
    splitter.finish(keep);
    const std::size_t first = lines.size() > kLines ? lines.size() - kLines : 0;
    std::string tail;
    for (std::size_t i = first; i < lines.size(); ++i) {
        tail += (tail.empty() ? "" : " / ") + lines[i];
    }
    if (tail.size() > kLongest) {
        tail = "..." + tail.substr(tail.size() - kLongest);
    }
    return tail.empty() ? text : text + ": " + tail;
}

}  // namespace hooks
