// The person who looks after the cluster: starts again what Pgpool-II's hooks are not called for (a
// standby that was lost), and says when the cluster is whole.
#pragma once

#include <future>
#include <map>
#include <set>

#include "tests/soak_src/watch.h"

namespace hooks::soak {

class Keeper {
  public:
    Keeper(harness::Cluster& cluster, const Watch& watch) : cluster_(cluster), watch_(watch) {}

    // A standby that was taken away: nobody but the keeper brings it back.
    void looks_after(int node);
    // Why the cluster is not whole; empty when one node is writable, and all others are attached,
    // stream from it and replay what is written there now.
    std::string problem() const;
    // One round of care. Call it from time to time while the cluster is not whole.
    void help();
    // For what neither pgpool nor a hook will ever do: pgpool is told who the primary is, and every
    // node that is down is recovered. The story of what had to be done.
    std::string take_over();
    // The cluster is whole.
    void rest();

    int attached() const { return attached_; }
    int recovered() const { return recovered_; }

  private:
    bool attach_if_it_streams(int node);
    void help_node(int node, Clock::time_point since, const std::string& status);

    harness::Cluster& cluster_;
    const Watch& watch_;
    std::map<int, Clock::time_point> in_care_;
    std::map<int, Clock::time_point> late_;  // was in care; until when it may still be detached
    std::map<int, std::future<void>> recoveries_;
    int attached_ = 0;
    int recovered_ = 0;
    Clock::time_point taken_over_{};
};

// The node that takes writes now, by what the nodes say: on the highest timeline; -1: none.
int leader(const std::vector<Glance>& glances);

}  // namespace hooks::soak
