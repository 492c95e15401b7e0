// A point in time after which a wait must end. Passed down as a value and never reset: a callee
// may only bring it nearer with within().
#pragma once

#include <algorithm>
#include <chrono>

namespace hooks {

class Deadline {
  public:
    using Clock = std::chrono::steady_clock;
    using Milliseconds = std::chrono::milliseconds;

    static Deadline after(Milliseconds span) { return Deadline(Clock::now() + span); }
    static Deadline never() { return Deadline(Clock::time_point::max()); }

    // The earlier of this deadline and `span` from now.
    Deadline within(Milliseconds span) const {
        return Deadline(std::min(point_, Clock::now() + span));
    }

    bool is_never() const { return point_ == Clock::time_point::max(); }
    bool expired() const { return !is_never() && Clock::now() >= point_; }

    // Zero when expired; a day when there is no deadline, so that sums do not overflow.
    Milliseconds remaining() const {
        if (is_never()) {
            return std::chrono::hours(24);
        }
        const auto left = std::chrono::ceil<Milliseconds>(point_ - Clock::now());
        return std::max(left, Milliseconds(0));
    }

    // For poll(2): at most `longest`, never negative.
    int poll_timeout(Milliseconds longest = std::chrono::hours(1)) const {
        return static_cast<int>(std::min(remaining(), longest).count());
    }

  private:
    explicit Deadline(Clock::time_point point) : point_(point) {}
    Clock::time_point point_;
};

}  // namespace hooks
