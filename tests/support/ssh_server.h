// One sshd for each node, run by the server account itself, and the keys of a cluster.
#pragma once

#include <string>
#include <vector>

#include "tests/support/place.h"

namespace hooks::harness {

class SshServer {
  public:
    // `directory` gets its host key, configuration and log.
    SshServer(Place place, std::string directory, std::string host, int port);

    // `authorized_key` is the text of a public key file.
    void configure(const std::string& authorized_key) const;
    void start(Milliseconds timeout = std::chrono::seconds(10));
    // SIGKILL of sshd and its sessions; what they started may live on.
    void kill();
    // SIGSTOP and SIGCONT: the port accepts and nobody says anything.
    void freeze() const;
    void thaw() const;
    // A new host key, as after a reinstallation; takes effect at the next start().
    void change_host_key() const;

    pid_t pid() const { return pid_; }  // 0 when it was not started or was killed
    std::string known_hosts_line() const;
    std::string log() const;

  private:
    std::vector<pid_t> processes() const;
    Place place_;
    std::string directory_;
    std::string host_;
    int port_;
    pid_t pid_ = 0;
};

// An ed25519 key without passphrase at `path` and `path`.pub.
void make_ssh_key(const Place& place, const std::string& path);

}  // namespace hooks::harness
