// A hook that stands still in front of each line that it logs, until a test lets it go on: so that
// something can be done to it, or to the world, at any boundary between two of its steps.
//
//     SteppedHook hook(cluster.hook_command("failover_command", words));
//     for (int line = 1; hook.run_to(line); ++line) { ... }
//
// Its stderr is a pipe with room for one line. While that line is there, the hook blocks in the
// write of the next one, with everything done that comes before it.
#pragma once

#include <sys/types.h>

#include <functional>
#include <string>
#include <vector>

#include "common/io/process.h"
#include "common/io/unique_fd.h"
#include "tests/support/place.h"

namespace hooks::harness {

class SteppedHook {
  public:
    // In a session of its own. Stands in front of its first line.
    explicit SteppedHook(const Command& command);
    ~SteppedHook();  // SIGKILL, where it still runs
    SteppedHook(const SteppedHook&) = delete;
    SteppedHook& operator=(const SteppedHook&) = delete;

    // Until it stands in front of its line number `line`, counted from 1; false when it ends
    // before that. Throws HarnessError when neither happens.
    bool run_to(std::size_t line, Milliseconds timeout = std::chrono::seconds(60));
    // Until it stands in front of what comes after a line with all these words in it.
    bool run_past(const std::vector<std::string>& words,
                  Milliseconds timeout = std::chrono::seconds(60));
    // Until it has written such a line, whatever it does after that: it may be waiting.
    bool wait_for(const std::vector<std::string>& words,
                  Milliseconds timeout = std::chrono::seconds(60));
    // Lets it write the line in front of which it stands, and waits for `done`, asked every
    // millisecond; false when it stands in front of the next line, or has ended, before that.
    bool run_until(const std::function<bool()>& done,
                   Milliseconds timeout = std::chrono::seconds(60));
    // SIGKILL, to it alone or to all of its process group, and waits for its end.
    void kill(bool whole_group = false);
    // Lets it run to its end. What it wrote is `err`.
    Outcome finish(Milliseconds timeout = std::chrono::seconds(120));

    pid_t pid() const { return pid_; }
    const std::vector<std::string>& lines() const { return lines_; }
    std::string text() const;

  private:
    enum class State { writing, ended };
    bool line_waits() const;             // one that was not taken out
    void take();                         // makes room for one
    State settle(Milliseconds timeout);  // until it blocks, or ends
    void learn();                        // the line in the pipe, which stays there
    bool next(Milliseconds timeout);     // one line more; false when it ends without
    bool blocked_in_write() const;
    bool ended();

    pid_t pid_ = -1;
    int status_ = 0;
    bool reaped_ = false;
    UniqueFd out_;
    UniqueFd copy_in_;  // a second pipe, to read what stays in the first
    UniqueFd copy_out_;
    bool known_ = true;  // the line in the pipe is in lines_ already; the first is a filler
    std::vector<std::string> lines_;
};

}  // namespace hooks::harness
