// Another machine, by SSH. The session is opened by the first command and kept; after a lost
// connection the next command opens a new one.
#pragma once

#include <chrono>
#include <optional>
#include <string>

#include "common/io/node.h"
#include "common/io/ssh_session.h"

namespace hooks {

class SshNode : public Node {
  public:
    // `connect_timeout` bounds each attempt to open the session, within the caller's deadline.
    SshNode(std::string label, SshOptions options, std::chrono::milliseconds connect_timeout);
    Outcome run(const Command& command, Deadline deadline, const LineSink& on_line = {}) override;

  private:
    void connect(Deadline deadline);
    Outcome run_there(const Command& command, Deadline deadline, const LineSink& on_line);

    SshOptions options_;
    std::chrono::milliseconds connect_timeout_;
    std::optional<SshSession> session_;
};

}  // namespace hooks
