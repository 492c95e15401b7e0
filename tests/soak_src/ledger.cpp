#include "tests/soak_src/ledger.h"

#include <fmt/format.h>

#include <algorithm>

namespace hooks::soak {

std::int64_t milliseconds(Clock::duration length) {
    return std::chrono::duration_cast<Milliseconds>(length).count();
}

std::size_t Ledger::sending() const {
    const std::lock_guard lock(mutex_);
    return commits_.size();
}

// A commit may be acknowledged late, but it must have been sent before another node took writes.
void Ledger::judge(TimelineId timeline, const std::string& host, std::size_t sent) {
    const std::size_t number = commits_.size();
    const auto known = std::find_if(reigns_.begin(), reigns_.end(), [&](const Reign& reign) {
        return reign.timeline == timeline && reign.host == host;
    });
    if (known == reigns_.end()) {
        if (!reigns_.empty() && timeline < reigns_.back().timeline) {
            complaints_.push_back(
                fmt::format("{} took a write on timeline {} after {} had taken one on timeline {}",
                            host, timeline, reigns_.back().host, reigns_.back().timeline));
        }
        reigns_.push_back({timeline, host, number});
        return;
    }
    const auto next = known + 1;
    if (next != reigns_.end() && sent > next->first) {
        complaints_.push_back(
            fmt::format("two nodes take writes: commit {} on {}, timeline {}, was sent after "
                        "commit {} on {}, timeline {}",
                        number, host, timeline, next->first, next->host, next->timeline));
    }
}

void Ledger::acknowledge(const std::vector<Row>& rows, const std::string& host, std::size_t sent) {
    const std::lock_guard lock(mutex_);
    judge(rows.front().timeline, host, sent);
    commits_.push_back(Clock::now());
    rows_.insert(rows_.end(), rows.begin(), rows.end());
}

void Ledger::set_until(int writer, std::int64_t first, Lsn until) {
    const std::lock_guard lock(mutex_);
    for (auto row = rows_.rbegin(); row != rows_.rend(); ++row) {
        if (row->writer != writer) {
            continue;
        }
        if (row->number < first) {
            return;
        }
        row->until = until;
    }
}

void Ledger::rolled_back(int writer, std::int64_t number) {
    const std::lock_guard lock(mutex_);
    rolled_back_.push_back({writer, number, 0, {}, {}});
}

void Ledger::complain(const std::string& what) {
    const std::lock_guard lock(mutex_);
    complaints_.push_back(what);
}

std::vector<std::string> Ledger::complaints() const {
    const std::lock_guard lock(mutex_);
    return complaints_;
}

std::vector<Row> Ledger::rows() const {
    const std::lock_guard lock(mutex_);
    return rows_;
}

std::vector<Row> Ledger::rows_rolled_back() const {
    const std::lock_guard lock(mutex_);
    return rolled_back_;
}

std::size_t Ledger::transactions() const {
    const std::lock_guard lock(mutex_);
    return commits_.size();
}

Milliseconds Ledger::longest_outage(Clock::time_point since) const {
    const std::lock_guard lock(mutex_);
    Clock::time_point after = Clock::now();
    Clock::duration longest{};
    // Backwards: the commits before `since` are many, and do not count.
    for (auto at = commits_.rbegin(); at != commits_.rend(); ++at) {
        longest = std::max(longest, after - *at);
        after = *at;
        if (*at < since) {
            break;
        }
    }
    return std::chrono::duration_cast<Milliseconds>(longest);
}

std::optional<Row> Ledger::last_of(int writer) const {
    const std::lock_guard lock(mutex_);
    const auto row = std::find_if(rows_.rbegin(), rows_.rend(),
                                  [&](const Row& candidate) { return candidate.writer == writer; });
    return row == rows_.rend() ? std::nullopt : std::optional<Row>(*row);
}

}  // namespace hooks::soak
