// The demo itself: a primary dies, a disk is lost, a client goes on.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "quickstart_demo/history_tail.h"
#include "quickstart_demo/narrator.h"
#include "quickstart_demo/supervise.h"
#include "tests/support/cluster.h"
#include "tests/support/writer.h"

namespace hooks::quickstart {

class Story {
  public:
    struct Options {
        std::string base;      // an empty directory
        bool keep = false;     // leave the cluster running, say how to use it
        std::string stopping;  // the command line that stops a cluster that was kept, but for DIR
    };

    explicit Story(Options options);

    // Never throws. What did not hold is said on stderr.
    Ending tell();

  private:
    using Clock = harness::Writer::Clock;

    void bring_up();
    void primary_dies();
    void disk_is_lost();
    void take_stock();
    void say_how_to_use() const;

    // Waits until all of these stream from the primary and pgpool shows them as up. Returns how
    // long after `since` each was seen to stream. `check` is called all the while and may throw.
    std::map<int, Clock::duration> wait_for_standbys(const std::vector<int>& nodes,
                                                     Clock::time_point since,
                                                     const std::function<void()>& check = {});
    void wait_for_hooks();
    void wait_for_client(Clock::time_point since, const std::string& after_what);
    void record(const std::string& what, const std::string& value);

    Options options_;
    Narrator narrator_;
    harness::Cluster cluster_;
    harness::Writer writer_;
    std::optional<HistoryTail> history_;
    Narrator::Table table_;
    int primary_ = 0;
};

}  // namespace hooks::quickstart
