// A PostgreSQL of the tests' own on 127.0.0.1, with password authentication. Run as root, it
// belongs to the user postgres, because the server does not run as root.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "common/core/conninfo.h"
#include "tests/contract/contract_support.h"

namespace hooks::contract {

class PostgresFixture {
  public:
    static constexpr const char* kPassword = "a secret: with \\ and '";

    // Throws when PostgreSQL is not installed or does not start. With `standby`, it is one that
    // follows nobody and answers nobody (hot_standby = off); then it is not waited for.
    explicit PostgresFixture(bool standby = false);

    int port() const { return port_; }
    pid_t pid() const { return daemon_->pid(); }
    // The superuser, whose password is in the passfile.
    Conninfo target() const;
    std::string passfile() const { return directory_ / "passfile"; }
    std::string socket_directory() const { return directory_.path(); }
    std::string log() const { return file_text(directory_ / "log"); }

  private:
    void run_as_server_user(std::vector<std::string> argv);

    TempDir directory_;
    std::string bin_dir_;
    std::string user_;  // empty: ourselves
    int port_ = 0;
    std::unique_ptr<Daemon> daemon_;
};

}  // namespace hooks::contract
