// A TCP connection that begins on a machine that we can log in to: for a host that we cannot reach
// and that machine can. Private to the ssh_*.cpp files.
#pragma once

#include <memory>
#include <string>

#include "common/core/deadline.h"
#include "common/io/ssh_session.h"
#include "common/io/unique_fd.h"

namespace hooks {

class SshTunnel {
  public:
    // Logs in to `via` and has it connect to host:port (direct-tcpip, as ssh -J does). A thread
    // carries the bytes until the tunnel is destroyed or one side ends. Throws as log_in() does,
    // and Error{unreachable} when that host cannot be reached from there either.
    SshTunnel(const SshOptions& via, const std::string& host, int port, Deadline deadline);
    ~SshTunnel();
    SshTunnel(const SshTunnel&) = delete;
    SshTunnel& operator=(const SshTunnel&) = delete;

    // What would be the socket of a direct connection. Once.
    UniqueFd take_socket();
    const std::string& via() const;  // "postgres@10.0.0.3 port 22"

  private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace hooks
