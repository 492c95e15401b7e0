// What every hook works with: its configuration, its deadline, its log, and the times it took.
#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "common/core/arguments.h"
#include "common/core/config.h"
#include "common/core/deadline.h"
#include "common/core/error.h"
#include "common/core/pgpool_conf.h"
#include "common/core/plan.h"
#include "common/io/log.h"

namespace hooks {

// How a run ended, in words for a person.
struct Verdict {
    ExitCode code = ExitCode::done;
    std::string rule;  // "F05", empty when no rule was reached
    std::string text;  // what changed, what did not
    std::string next;  // the next thing to do, a sentence; empty when there is none
};

// Milliseconds that each step took, in order, for the history.
class Timings {
  public:
    template <class Body>
    auto measure(const std::string& what, Body&& body) {
        const auto start = std::chrono::steady_clock::now();
        struct Note {
            Timings& timings;
            const std::string& what;
            std::chrono::steady_clock::time_point start;
            ~Note() { timings.add(what, std::chrono::steady_clock::now() - start); }
        } note{*this, what, start};
        return std::forward<Body>(body)();
    }
    void add(const std::string& what, std::chrono::nanoseconds took);
    std::string text() const;  // "inspect:12,promote:20"

  private:
    std::vector<std::pair<std::string, std::int64_t>> steps_;
};

struct Env {
    std::string hook;  // "failover_command"
    Log& log;
    Config config;
    PgpoolConf pgpool;  // without backends where a recovery hook found no pgpool.conf
    Deadline deadline;
    bool dry_run = false;
    bool worker = false;  // the detached part of follow_primary_command
    std::string config_path;
    std::string state_dir;  // empty when none can be written
    Arguments arguments;    // as given, without the options
    Timings timings;
    std::vector<std::string> effects;  // steps that changed something, as text
    bool past_no_return = false;       // a step that cannot be undone was begun
    bool proving = false;              // everything was done; only the proof is outstanding
    std::string job;                   // which one, where a hook has several workers
};

}  // namespace hooks
