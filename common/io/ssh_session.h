// One authenticated SSH session by libssh. Host keys are checked and never added; keys are offered
// from a file or an agent; ~/.ssh/config is not read.
//
// Not thread safe (libssh allows one thread for a session); use a session for each thread.
#pragma once

#include <memory>
#include <string>

#include "common/core/deadline.h"
#include "common/io/process.h"

namespace hooks {

struct SshOptions {
    std::string host;
    int port = 22;
    std::string user;
    // Empty: ~/.ssh/id_ed25519, id_ecdsa, id_rsa as they exist, then the agent of SSH_AUTH_SOCK.
    std::string identity_file;
    // Empty: ~/.ssh/known_hosts, then /etc/ssh/ssh_known_hosts. The home directory is that of the
    // effective user, whatever $HOME says (pgpool may have none).
    std::string known_hosts_file;
    // Where the connection begins instead of here, for a host that only that machine reaches.
    std::shared_ptr<const SshOptions> via;
};

class SshSession {
  public:
    // Throws Error{unreachable} with a hint that names the command to type: host key unknown
    // (ssh-keyscan) or changed (ssh-keygen -R), key refused, key with a passphrase, nothing that
    // speaks SSH; Error{timeout} when the port accepts and says nothing. Blocks until the
    // deadline at most.
    SshSession(const SshOptions& options, Deadline deadline);
    ~SshSession();
    SshSession(SshSession&&) noexcept;
    SshSession& operator=(SshSession&&) noexcept;

    // `command_line` goes to the login shell. One channel for each call; both streams are
    // drained; exit status and exit signal come by callback. Throws as Node::run() does. At the
    // deadline the remote command is sent SIGTERM; whether that ended it is not known.
    Outcome run(const std::string& command_line, const std::string& input, Deadline deadline,
                const LineSink& on_line);

    bool connected() const;

  private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace hooks
