#include "quickstart_demo/history_tail.h"

#include <chrono>
#include <utility>

#include "tests/support/place.h"

namespace hooks::quickstart {

HistoryTail::HistoryTail(std::string path, Narrator& narrator)
    : path_(std::move(path)), narrator_(narrator), thread_([this](const std::stop_token& stop) {
          while (!stop.stop_requested()) {
              catch_up();
              std::this_thread::sleep_for(std::chrono::milliseconds(10));
          }
      }) {
}

void HistoryTail::catch_up() {
    const std::lock_guard lock(mutex_);
    const std::string text = harness::read_file(path_);
    for (;;) {
        const auto end = text.find('\n', told_);
        if (end == std::string::npos) {
            return;
        }
        const std::string_view line = std::string_view(text).substr(told_, end - told_);
        told_ = end + 1;
        const bool good = logfmt_value(line, "exit") == "0";
        const std::string rule = logfmt_value(line, "rule");
        const std::string next = logfmt_value(line, "next");
        std::string told = rule.empty() ? "" : rule + ", ";
        told += logfmt_value(line, "verdict");
        if (!good) {
            told += " Exit code " + logfmt_value(line, "exit") + ". " + next;
        }
        narrator_.verdict(logfmt_value(line, "hook") + ", " + logfmt_value(line, "took_ms") + " ms",
                          told, good);
    }
}

std::string logfmt_value(std::string_view line, std::string_view key) {
    std::size_t at = 0;
    while (at < line.size()) {
        const auto equals = line.find('=', at);
        if (equals == std::string_view::npos) {
            break;
        }
        const std::string_view name = line.substr(at, equals - at);
        std::string value;
        at = equals + 1;
        if (at < line.size() && line[at] == '"') {
            for (++at; at < line.size() && line[at] != '"'; ++at) {
                if (line[at] == '\\' && at + 1 < line.size()) {
                    ++at;
                    value += line[at] == 'n' || line[at] == 't' || line[at] == 'r' ? ' ' : line[at];
                } else {
                    value += line[at];
                }
            }
            ++at;
        } else {
            for (; at < line.size() && line[at] != ' '; ++at) {
                value += line[at];
            }
        }
        if (name == key) {
            return value;
        }
        ++at;  // the blank
    }
    return "";
}

}  // namespace hooks::quickstart
