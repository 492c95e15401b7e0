// A row's fault: it strikes, is seen to have struck, and is over again.
#pragma once

#include "tests/cluster/faults.h"
#include "tests/support/cluster.h"

namespace hooks::harness {

// The first primary, the node that pgpool proposes next, and the other standby.
constexpr int kFirstPrimary = 0;
constexpr int kCandidate = 1;
constexpr int kFollower = 2;

class Injury {
  public:
    Injury(Cluster& cluster, const FaultCase& row) : cluster_(cluster), row_(row) {}

    int victim() const;  // kHub: pgpool's host
    bool of_the_copy() const {
        return row_.during == During::recovery && row_.victim == Victim::follower;
    }

    void strike();
    // What shows that it struck; throws HarnessError when that does not come.
    void wait_until_it_shows() const;
    void lift();

  private:
    void strike_node(int node);
    void strike_pgpool();
    void change_password(const std::string& role, const std::string& connect_with,
                         const std::string& password) const;
    std::string all_logs() const;

    Cluster& cluster_;
    const FaultCase row_;
};

}  // namespace hooks::harness
