// A client that asks every node directly, all the time, whether it is a primary.
#pragma once

#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "tests/support/cluster.h"

namespace hooks::harness {

class Watcher {
  public:
    explicit Watcher(const Cluster& cluster);
    ~Watcher();
    Watcher(const Watcher&) = delete;
    Watcher& operator=(const Watcher&) = delete;

    void start();
    void stop();

    // The longest time in which two nodes were out of recovery, for those who can reach both.
    Milliseconds longest_overlap() const;
    std::string overlap() const;  // what was seen when it began; empty when there was none

  private:
    void run(const std::stop_token& stop);
    // Address and timeline of those that are out of recovery, all at the same moment.
    std::string look_for_two() const;

    const Cluster& cluster_;
    mutable std::mutex mutex_;
    Milliseconds longest_{0};
    std::string overlap_;
    std::jthread thread_;
};

}  // namespace hooks::harness
