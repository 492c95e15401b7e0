// What the demo prints: a story line by line, each with the seconds since the beginning.
#pragma once

#include <chrono>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

namespace hooks::quickstart {

class Narrator {
  public:
    using Clock = std::chrono::steady_clock;

    Narrator();

    void chapter(const std::string& title);
    void say(const std::string& text);  // now
    // What a hook said of itself.
    void verdict(const std::string& hook, const std::string& text, bool good);
    void block(const std::string& title, const std::string& text);  // as it is, without time
    using Table = std::vector<std::pair<std::string, std::string>>;
    void table(const std::string& title, const Table& rows);

  private:
    enum class Style { plain, strong, faint, hook, bad };
    std::string styled(Style style, const std::string& text) const;
    void line(const std::string& head, Style style, const std::string& text);

    const Clock::time_point begin_ = Clock::now();
    const bool colours_;
    std::mutex mutex_;
};

// "0.25 s"
std::string seconds_text(std::chrono::nanoseconds duration);

}  // namespace hooks::quickstart
