// A client that commits numbered rows through pgpool all the time and remembers which of them were
// acknowledged: what must still be there when everything is over.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "tests/support/cluster.h"

namespace hooks::harness {

class Writer {
  public:
    using Clock = std::chrono::steady_clock;
    struct Commit {
        std::int64_t number;
        Clock::time_point time;
        std::string server;  // the address of the one that took it
        int timeline = 0;    // the one that it wrote on
    };
    // Time without an acknowledged commit.
    struct Outage {
        Milliseconds length{};
        Clock::time_point begin;  // the last commit before it
        Clock::time_point end;    // the first one after it, or now
    };

    explicit Writer(const Cluster& cluster, Milliseconds interval = Milliseconds(10));
    ~Writer();
    Writer(const Writer&) = delete;
    Writer& operator=(const Writer&) = delete;

    // Returns after the first acknowledged commit. Again after stop(): the numbers go on.
    void start();
    void stop();

    // Only what was acknowledged: a commit whose connection broke may or may not be there.
    std::size_t acknowledged() const;
    std::vector<Commit> commits() const;
    // Waits until that many more rows are acknowledged. Throws HarnessError with a dump.
    void wait_for_commits(std::size_t count, Milliseconds timeout = std::chrono::seconds(60)) const;
    // The longest one so far; `since` leaves out what was before.
    Outage longest_outage(Clock::time_point since = Clock::time_point::min()) const;
    std::string last_error() const;

    // Acknowledged numbers that the present primary does not have. Call stop() first.
    std::vector<std::int64_t> missing_rows() const;

  private:
    void run(const std::stop_token& stop);

    const Cluster& cluster_;
    Milliseconds interval_;
    mutable std::mutex mutex_;
    std::vector<Commit> commits_;
    std::string last_error_;
    std::atomic<bool> running_ = false;
    Clock::time_point ended_{};
    std::jthread thread_;
};

}  // namespace hooks::harness
