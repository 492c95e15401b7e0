// The primary that a node shall follow: a session that holds the lock of that node, and the proof,
// before each effect, that both are still what they were.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "common/app/env.h"
#include "common/core/rejoin.h"
#include "common/io/pg_connection.h"

namespace hooks {

// The lock was lost and taken again: what was seen before may be another run's work by now.
struct LookAnew {};

class PrimarySession {
  public:
    // `patient`: waits for whoever works on the node. Pgpool calls once only: a holder that is
    // killed, or that reports to a pgpool which is gone, must not leave the node to nobody.
    PrimarySession(const Backend& primary, int node_id, bool patient, Env& env)
        : backend_(primary), node_id_(node_id), patient_(patient), env_(env) {}

    // Connects and takes the lock (not in a dry run). A primary that crashed serves again in a
    // moment; one that does not, while another primary is seen, is Error{refused} that names it.
    void open(Deadline deadline);
    // What the decisions are made for.
    void expect(const SourceFacts& facts);
    // Between a decision and its effect a second failover may have happened: Error{refused} with
    // the new primary when this is none any more, or is on another timeline. A session that broke
    // is opened anew; LookAnew is thrown then.
    void check(Deadline deadline);

    PgConnection& operator*() const { return *connection_; }

  private:
    void connect(Deadline deadline);
    std::string successor();

    Backend backend_;
    int node_id_;
    bool patient_;
    Env& env_;
    std::unique_ptr<PgConnection> connection_;
    std::optional<SourceFacts> expected_;
};

}  // namespace hooks
