// What was acknowledged, by whom and when; and whether two nodes ever took writes through pgpool.
#pragma once

#include <chrono>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "common/core/lsn.h"

namespace hooks::soak {

using Clock = std::chrono::steady_clock;
using Milliseconds = std::chrono::milliseconds;

std::int64_t milliseconds(Clock::duration length);

struct Row {
    int writer = 0;
    std::int64_t number = 0;
    TimelineId timeline = 0;
    // Its commit record ends between these two; `until` is not known when the connection broke.
    Lsn from;
    std::optional<Lsn> until;
};

class Ledger {
  public:
    // Before COMMIT is sent. Hand the result to acknowledge().
    std::size_t sending() const;
    // `host` is the node that answered to COMMIT.
    void acknowledge(const std::vector<Row>& rows, const std::string& host, std::size_t sent);
    // The end of that commit's WAL, asked for after it.
    void set_until(int writer, std::int64_t first, Lsn until);
    // Rolled back for certain: must never be seen.
    void rolled_back(int writer, std::int64_t number);

    void complain(const std::string& what);
    std::vector<std::string> complaints() const;

    std::vector<Row> rows() const;
    std::vector<Row> rows_rolled_back() const;
    std::size_t transactions() const;
    Milliseconds longest_outage(Clock::time_point since) const;
    std::optional<Row> last_of(int writer) const;

  private:
    // From its first acknowledged commit on, `host` was the one that took writes.
    struct Reign {
        TimelineId timeline;
        std::string host;
        std::size_t first;  // number of the commit
    };
    void judge(TimelineId timeline, const std::string& host, std::size_t sent);

    mutable std::mutex mutex_;
    std::vector<Row> rows_;
    std::vector<Row> rolled_back_;
    std::vector<Clock::time_point> commits_;
    std::vector<Reign> reigns_;
    std::vector<std::string> complaints_;
};

}  // namespace hooks::soak
