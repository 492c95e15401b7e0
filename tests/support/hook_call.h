// A hook that is called with something wrong, and what must be true of how it ends.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "common/core/error.h"
#include "tests/support/cluster.h"

namespace hooks::harness {

// The four of them, for tests that hold for each.
const std::vector<std::string>& hook_names();

// Words that are right: node `target` was lost, or shall follow, be rebuilt or be started.
// `primary` is what it followed, or shall follow.
std::vector<std::string> right_words(const Cluster& cluster, const std::string& hook, int target,
                                     int primary);

// One run of a hook, read as a person and a monitoring system would.
struct HookCall {
    std::string hook;
    Outcome outcome;
    Milliseconds took{};
    std::vector<std::map<std::string, std::string>> verdicts;  // the fields of each verdict line
    std::string stray;                                         // lines of stderr that are no event

    // Of the only verdict; empty when there is none.
    std::string field(const std::string& key) const;
    std::string text() const;  // all that it printed
};

// `arguments` may begin with options; a later --config counts.
HookCall call_hook(const Cluster& cluster, const std::string& hook,
                   const std::vector<std::string>& arguments, const Environment& environment = {});
// For a run that was started in another way.
HookCall read_call(std::string hook, Outcome outcome, Milliseconds took);

// The fields of one line as the log writes it: key=value, key="a \"b\"".
std::map<std::string, std::string> parse_logfmt(const std::string& line);

struct Complaint {
    ExitCode exit = ExitCode::usage;
    std::vector<std::string> says;                  // parts of the verdict: node, step, cause
    std::vector<std::string> next;                  // parts of what to do next
    Milliseconds within = std::chrono::seconds(5);  // start to exit
    bool in_history = true;                         // false where no configuration was read
};

// One verdict that names all of that, in time, with something to do next, without a secret, and in
// the history too.
void expect_complaint(const Cluster& cluster, const HookCall& call, const Complaint& complaint);

}  // namespace hooks::harness
