// Pgpool's own view of its backends, and the request to attach one, through the installed pcp
// tools. Their exit status is 0 even when the command failed, and "attach succeeded" means that a
// request was queued: success is what node_status() says afterwards.
#pragma once

#include <string>
#include <utility>

#include "common/core/deadline.h"

namespace hooks {

struct PcpOptions {
    std::string host;
    int port = 9898;
    std::string user;
    std::string passfile;  // empty: ~/.pcppass of the effective user
    std::string bin_dir;   // empty: PATH, then /usr/sbin and /usr/bin
};

enum class PoolStatus { unused = 0, waiting = 1, up = 2, down = 3 };
const char* to_string(PoolStatus status);

class Pcp {
  public:
    explicit Pcp(PcpOptions options) : options_(std::move(options)) {}

    // Asks again, for up to 5 s, while pgpool restarts its PCP process. Throws Error{unreachable}
    // (no pgpool there, user or password wrong) or Error{command}.
    PoolStatus node_status(int node_id, Deadline deadline) const;

    // Whether pgpool takes the node for the primary, up or down. Throws as above.
    bool shows_primary(int node_id, Deadline deadline) const;

    // Makes pgpool take a node that it shows as up for the primary. Nothing happens to its server;
    // pgpool sets all other nodes down and runs follow_primary_command for them. Returns when the
    // request is queued. Throws as node_status() does.
    void take_for_primary(int node_id, Deadline deadline) const;

    // Asks for the attachment and waits until pgpool shows the node as waiting or up; asks again
    // when pgpool dropped the request (it does so in the middle of a failover). A node that is
    // up already is left alone. Throws Error{timeout} when the deadline comes first.
    void attach_and_wait(int node_id, Deadline deadline) const;

  private:
    std::string node_info(int node_id, Deadline deadline) const;
    std::string run(const char* tool, int node_id, bool verbose, Deadline deadline) const;
    PcpOptions options_;
};

}  // namespace hooks
