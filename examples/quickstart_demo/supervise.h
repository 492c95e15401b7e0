// Runs the story in a child process and cleans up after it, whatever became of it.
#pragma once

#include <functional>
#include <string>

namespace hooks::quickstart {

// How the child ended, as its exit code.
enum class Ending : int {
    good = 0,
    bad = 1,        // something did not hold
    not_begun = 3,  // the cluster did not come up
};

// Calls `story` in a child process and returns the exit code of the program. Afterwards, and on
// SIGINT, SIGTERM, SIGHUP or SIGQUIT, and when the child crashes, every process of the cluster is
// ended and `base` removed. With `keep` that is left out when the story reached its end.
int supervise(const std::string& base, bool keep, const std::function<Ending()>& story);

// Ends what a run with --keep left in `base`, and removes it. Throws HarnessError.
void stop_kept(const std::string& base);

}  // namespace hooks::quickstart
