// One PostgreSQL server: started, stopped, killed and frozen from outside.
#pragma once

#include <string>

#include "tests/support/place.h"

namespace hooks::harness {

enum class StopMode { smart, fast, immediate };

class PostgresServer {
  public:
    // `directory` holds the data directory, log/ and node.conf, which the data directory includes:
    // a base backup or a rewind brings the configuration of its source along, but not another port.
    PostgresServer(Place place, std::string bin_dir, std::string directory, std::string data_name);

    std::string data_directory() const { return directory_ + "/" + data_name_; }
    const Place& place() const { return place_; }

    void launch() const;                                // does not wait
    void wait_until_ready(Milliseconds timeout) const;  // accepts connections
    void start(Milliseconds timeout = std::chrono::seconds(30)) const;
    void stop(StopMode mode, Milliseconds timeout = std::chrono::seconds(30)) const;
    // SIGKILL of the postmaster; returns when its children have ended and all are reaped.
    void kill() const;
    // SIGSTOP and SIGCONT of the postmaster and all of its children: connects are accepted by the
    // kernel, nothing answers.
    void freeze() const;
    void thaw() const;

    pid_t pid() const;  // 0 when it does not run, whoever started it
    bool running() const { return pid() != 0; }
    std::string log() const;

  private:
    Place place_;
    std::string bin_dir_;
    std::string directory_;
    std::string data_name_;
};

}  // namespace hooks::harness
