// Calling hooks that a test can hold at each line that they log.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "tests/cluster/calls.h"
#include "tests/support/hook_call.h"
#include "tests/support/stepped_hook.h"

namespace hooks::harness {

class SteppedTest : public ByHandTest {
  protected:
    explicit SteppedTest(ClusterOptions options = by_hand()) : ByHandTest(std::move(options)) {}

    // Pgpool's words: about `node`, with `main` to take its place or to be followed.
    std::vector<std::string> words(int node, int main, int old_primary) const {
        return {std::to_string(node),
                cluster.host(node),
                std::to_string(cluster.port(node)),
                cluster.data_directory(node),
                std::to_string(main),
                cluster.host(main),
                "0",
                std::to_string(old_primary),
                std::to_string(cluster.port(main)),
                cluster.data_directory(main),
                cluster.host(old_primary),
                std::to_string(cluster.port(old_primary))};
    }
    std::unique_ptr<SteppedHook> stepped(const std::string& hook, std::vector<std::string> options,
                                         const std::vector<std::string>& rest) const {
        options.insert(options.begin(), {"--log-level", "debug"});
        options.insert(options.end(), rest.begin(), rest.end());
        return std::make_unique<SteppedHook>(cluster.hook_command(hook, options));
    }
    // The worker itself, where a test can hold it at each of its steps.
    std::unique_ptr<SteppedHook> worker(int node, int primary, int old_primary = 0) const {
        return stepped("follow_primary_command", {"--worker"}, words(node, primary, old_primary));
    }
    std::unique_ptr<SteppedHook> stepped_failover(int lost) const {
        return stepped("failover_command", {}, words(lost, lost == 0 ? 1 : 2, lost));
    }
    Outcome failover(int lost) const {
        return cluster.run_hook("failover_command", words(lost, lost == 0 ? 1 : 2, lost));
    }
    Outcome follow(int node, int primary, int old_primary = 0) const {
        return cluster.run_hook("follow_primary_command", words(node, primary, old_primary));
    }
    Outcome recovery(const std::string& hook, int node) const {
        return cluster.run_hook(hook, right_words(cluster, hook, node, 0));
    }
    std::unique_ptr<SteppedHook> stepped_recovery(const std::string& hook, int node) const {
        return stepped(hook, {}, right_words(cluster, hook, node, 0));
    }
    std::string locks(int node) const {
        return cluster.sql_value(
            node, "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted");
    }
};

}  // namespace hooks::harness
