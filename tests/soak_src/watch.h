// What each node says of itself, asked all the time from inside of its own host: whatever is cut,
// this sees whether it would take writes.
#pragma once

#include <atomic>
#include <thread>
#include <vector>

#include "tests/soak_src/ledger.h"
#include "tests/support/cluster.h"

namespace hooks::soak {

struct Glance {
    bool serving = false;
    bool in_recovery = true;
    TimelineId timeline = 0;
    std::string sender;  // host of the WAL sender while it streams
};

class Watch {
  public:
    explicit Watch(const harness::Cluster& cluster);
    ~Watch();

    std::vector<Glance> glances() const;
    // How long two nodes at a time were out of recovery, whoever could reach them.
    Milliseconds two_writable() const;
    void stop();

  private:
    void watch(int node, const std::stop_token& stop);
    void set(int node, const Glance& glance);

    const harness::Cluster& cluster_;
    mutable std::mutex mutex_;
    std::vector<Glance> glances_;
    Clock::duration two_{};
    Clock::time_point last_ = Clock::now();
    std::vector<std::jthread> threads_;
};

}  // namespace hooks::soak
