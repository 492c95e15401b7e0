// Holds what the nodes have against what was acknowledged.
#pragma once

#include <unordered_set>

#include "tests/soak_src/ledger.h"
#include "tests/soak_src/losses.h"
#include "tests/support/cluster.h"

namespace hooks::soak {

class Audit {
  public:
    Audit(const harness::Cluster& cluster, Ledger& ledger, bool synchronous)
        : cluster_(cluster), ledger_(ledger), synchronous_(synchronous) {}

    // While the cluster is whole; what is wrong goes to the ledger's complaints.
    void check();
    // The writers have ended: all nodes have the very same rows.
    void check_checksums();

    std::size_t rows_lost() const { return lost_.size(); }

  private:
    using Keys = std::unordered_set<std::uint64_t>;
    Keys rows_of(int node) const;
    void check_tables(int primary);
    void check_missing(const std::vector<Row>& expected, const Keys& present);
    std::string unexplained(const std::vector<Row>& missing, const Keys& present,
                            const std::vector<Row>& expected) const;

    const harness::Cluster& cluster_;
    Ledger& ledger_;
    bool synchronous_;
    Keys lost_;
};

}  // namespace hooks::soak
