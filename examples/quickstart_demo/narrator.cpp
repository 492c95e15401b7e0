#include "quickstart_demo/narrator.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <sstream>

namespace hooks::quickstart {
namespace {

constexpr std::size_t kColumns = 100;
constexpr std::size_t kIndent = 10;

bool wants_colours() {
    const char* terminal = std::getenv("TERM");
    return ::isatty(STDOUT_FILENO) != 0 && std::getenv("NO_COLOR") == nullptr &&
           terminal != nullptr && std::string(terminal) != "dumb";
}

// At blanks; a longer word gets a line of its own.
std::vector<std::string> wrapped(const std::string& text, std::size_t width) {
    std::vector<std::string> lines(1);
    std::istringstream words(text);
    for (std::string word; words >> word;) {
        if (!lines.back().empty() && lines.back().size() + 1 + word.size() > width) {
            lines.emplace_back();
        }
        lines.back() += (lines.back().empty() ? "" : " ") + word;
    }
    return lines;
}

}  // namespace

Narrator::Narrator() : colours_(wants_colours()) {
}

std::string Narrator::styled(Style style, const std::string& text) const {
    const char* code = style == Style::strong  ? "1"
                       : style == Style::faint ? "2"
                       : style == Style::hook  ? "36"
                       : style == Style::bad   ? "31"
                                               : "";
    return !colours_ || *code == '\0' ? text : fmt::format("\x1b[{}m{}\x1b[0m", code, text);
}

void Narrator::line(const std::string& head, Style style, const std::string& text) {
    const std::lock_guard lock(mutex_);
    const std::chrono::duration<double> elapsed = Clock::now() - begin_;
    std::string lead =
        styled(Style::faint, fmt::format("{:>{}.2f}s  ", elapsed.count(), kIndent - 3));
    std::string out;
    for (const std::string& part : wrapped(head + text, kColumns - kIndent)) {
        out += lead + styled(style, part) + "\n";
        lead = std::string(kIndent, ' ');
    }
    std::fputs(out.c_str(), stdout);
    std::fflush(stdout);
}

void Narrator::say(const std::string& text) {
    line("", Style::plain, text);
}

void Narrator::verdict(const std::string& hook, const std::string& text, bool good) {
    line(hook + ": ", good ? Style::hook : Style::bad, text);
}

void Narrator::chapter(const std::string& title) {
    const std::lock_guard lock(mutex_);
    std::fputs(fmt::format("\n{}\n", styled(Style::strong, title)).c_str(), stdout);
    std::fflush(stdout);
}

void Narrator::block(const std::string& title, const std::string& text) {
    const std::lock_guard lock(mutex_);
    std::string out = fmt::format("\n{}\n", styled(Style::strong, title));
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);) {
        out += line.empty() ? "\n" : fmt::format("  {}\n", line);
    }
    std::fputs(out.c_str(), stdout);
    std::fflush(stdout);
}

void Narrator::table(const std::string& title, const Table& rows) {
    std::size_t left = 0;
    std::size_t right = 0;
    for (const auto& [name, value] : rows) {
        left = std::max(left, name.size());
        right = std::max(right, value.size());
    }
    std::string text;
    for (const auto& [name, value] : rows) {
        text += fmt::format("{:<{}}   {:>{}}\n", name, left, value, right);
    }
    block(title, text);
}

std::string seconds_text(std::chrono::nanoseconds duration) {
    return fmt::format("{:.2f} s", std::chrono::duration<double>(duration).count());
}

}  // namespace hooks::quickstart
