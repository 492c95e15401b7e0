// Every hook is killed at every boundary of its steps, and in the middle of every step that does
// something on a node. Then it is called again, as pgpool or a DBA would, and all must be well.
//
// A boundary is a line that the hook is about to log. The walk goes on until the hook ends before
// the next one, so that a step that is added is walked too.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "tests/cluster/stepped_calls.h"

namespace hooks::harness {

enum class Victim { hook, hook_and_remote, remote };

class KillWalkTest : public SteppedTest {
  protected:
    using Prepare = std::function<void()>;
    using Start = std::function<std::unique_ptr<SteppedHook>()>;

    explicit KillWalkTest(ClusterOptions options = by_hand()) : SteppedTest(std::move(options)) {}

    // The world after a run that nobody disturbed is what every other one must end in. A long walk
    // is shared by several tests: each takes every `shares`-th line.
    void walk_boundaries(const Prepare& prepare, const Start& start, const Prepare& again,
                         int at_least, std::size_t share = 0, std::size_t shares = 1);
    // `victims` take turns.
    void walk_steps(const Prepare& prepare, const Start& start, const Prepare& again,
                    const std::vector<Victim>& victims, int at_least);

    // What must be the same after every run: slots, locks, settings that were emptied for a while,
    // files that tell of work under way. Which node is the primary does not count.
    std::string leftovers();
    virtual void expect_converged();

    int exit_ = 0;          // of a run that nobody disturbs
    std::string begin_at_;  // boundaries before a line with this are not walked

  private:
    void reference(const Prepare& prepare, const Start& start, const Prepare& again);
    void converge(const Prepare& again, const std::string& when);
    bool is_walked(const SteppedHook& hook) const;
    std::vector<pid_t> remote_programs();

    std::string leftovers_;
};

}  // namespace hooks::harness
