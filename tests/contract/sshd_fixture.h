// An sshd of the tests' own: on 127.0.0.1, as the user who runs the tests, with keys in a private
// directory.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "common/io/ssh_session.h"
#include "tests/contract/contract_support.h"

namespace hooks::contract {

class SshdFixture {
  public:
    // Throws when there is no sshd or it does not start.
    explicit SshdFixture(const std::string& more_config = {});
    // Ends the commands too that tests abandoned: sshd leaves them running.
    ~SshdFixture();

    // Whom and how to ask. Host key and client key are right.
    SshOptions options() const;
    int port() const { return port_; }
    pid_t pid() const { return daemon_->pid(); }
    // The listener and everything that it started, the commands included.
    std::vector<pid_t> processes() const { return process_tree(daemon_->pid()); }
    // The processes of the connections: children of the listener.
    std::vector<pid_t> connections() const;
    void kill_connections() const;

    const TempDir& directory() const { return directory_; }
    std::string client_key() const { return directory_ / "client_key"; }
    std::string known_hosts() const { return directory_ / "known_hosts"; }
    // As if `port` were this server's: for a proxy in front of it.
    void trust_at(int port) const;
    std::string log() const { return file_text(directory_ / "log"); }

  private:
    void start(const std::string& more_config);
    std::string mark() const;  // in the environment of every command

    TempDir directory_;
    int port_ = 0;
    std::unique_ptr<Daemon> daemon_;
};

// "ssh-keygen -t ed25519 -f FILE -N PASSPHRASE"
void make_key(const std::string& file, const std::string& passphrase = {});

std::string current_user();

}  // namespace hooks::contract
