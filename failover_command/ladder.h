// Reaching the host of an old primary whose server does not answer, while the others are looked at.
#pragma once

#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "common/app/node_steps.h"

namespace hooks::failover {

// Two rungs, each of them given up when the other has got there: ssh from here, and ssh through a
// standby that still streams from that primary. All within fence_timeout from the construction on.
class Ladder {
  public:
    // `stopped`: an earlier run was about to stop its server, so its answer is not waited for, and
    // any standby may be the way there.
    Ladder(const Backend& old_primary, const Env& env, bool stopped);
    ~Ladder();
    Ladder(const Ladder&) = delete;
    Ladder& operator=(const Ladder&) = delete;

    // Its server answered: nothing is tried that was not begun. From any thread.
    void needless();

    // Blocks until a rung has got there, both have failed, or fence_timeout is over. The node and
    // what it looks like; empty when it was not reached.
    std::unique_ptr<Target> reached();
    // "by ssh through node 2", or what came back from each: "ssh: ...; through node 2: ...".
    std::string how() const;

  private:
    void direct();
    void through();
    std::string ask_around();
    bool wait_for_start(std::chrono::milliseconds delay, bool unless_direct_failed);
    std::string try_through(const Backend& via, std::chrono::milliseconds at_most);
    void arrived(std::unique_ptr<Target> target, std::string how);
    std::unique_ptr<Target> look(std::unique_ptr<Node> node);

    const Backend old_;
    const Env& env_;
    const Deadline deadline_;
    const bool stopped_;
    mutable std::mutex mutex_;
    std::condition_variable changed_;
    bool needless_ = false;
    std::unique_ptr<Target> target_;
    std::string how_;
    std::string direct_failed_;
    std::string through_failed_;
    std::jthread direct_;
    std::jthread through_;
};

}  // namespace hooks::failover
