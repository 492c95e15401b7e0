// A hook as Pgpool-II's main process leaves it when it runs failover_command: every signal is
// blocked, SIGPIPE ignored, and its listening socket and whatever else it has open are inherited.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "tests/support/cluster.h"

namespace hooks::harness {

class PgpoolChild {
  public:
    // Runs as the server account; `node`: on that node's host instead of pgpool's.
    PgpoolChild(const Cluster& cluster, std::vector<std::string> argv, int node = kHub);
    ~PgpoolChild();
    PgpoolChild(const PgpoolChild&) = delete;
    PgpoolChild& operator=(const PgpoolChild&) = delete;

    pid_t pid() const { return pid_; }
    // What it has written to stderr so far.
    std::string err() const;
    void signal(int number) const;
    // Throws HarnessError when it does not end in time.
    Outcome wait(Milliseconds timeout);
    Milliseconds age() const;

    // What it inherited, as the links in /proc/PID/fd read: "socket:[4711]".
    const std::vector<std::string>& inherited() const { return inherited_; }

  private:
    std::string err_path_;
    std::vector<std::string> inherited_;
    std::vector<int> descriptors_;
    pid_t pid_ = -1;
    std::chrono::steady_clock::time_point start_;
};

// The links in /proc/PID/fd.
std::vector<std::string> descriptors_of(pid_t pid);
// A line of /proc/PID/status: status_of(pid, "SigBlk") is "0000000000000000".
std::string status_of(pid_t pid, const std::string& key);

}  // namespace hooks::harness
