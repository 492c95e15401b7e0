// The real Pgpool-II in front of the cluster.
#pragma once

#include <string>
#include <vector>

#include "tests/support/place.h"

namespace hooks::harness {

// The version that is installed: major * 100 + minor, so 403 for 4.3. Throws HarnessError.
int installed_pgpool();

class PgpoolServer {
  public:
    // `directory` holds pgpool.conf, pcp.conf, pool_hba.conf and pool_passwd.
    PgpoolServer(Place place, std::string directory);

    std::string conf_path() const { return directory_ + "/pgpool.conf"; }
    // Returns when it is running; whether it serves clients is for the caller to ask.
    void start() { start(true); }
    // With the status that the last run left behind: a node that was down stays down.
    void start_again() { start(false); }
    void stop(Milliseconds timeout = std::chrono::seconds(20));  // fast
    void kill();                                                 // SIGKILL, children included

    // SIGSTOP and SIGCONT, children included: clients wait.
    void freeze() const;
    void thaw() const;

    pid_t pid() const { return pid_; }
    bool running() const;
    std::string log() const;

  private:
    void start(bool discard_status);
    Place place_;
    std::string directory_;
    std::vector<pid_t> family() const;
    pid_t pid_ = 0;
};

}  // namespace hooks::harness
