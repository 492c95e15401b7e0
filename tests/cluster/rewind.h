// A cluster whose first primary is lost and rewound.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <iostream>
#include <string>
#include <utility>
#include <vector>

#include "tests/cluster/calls.h"

namespace hooks::harness {

class Rewind : public ByHandTest {
  protected:
    using ByHandTest::ByHandTest;

    void TearDown() override {
        ByHandTest::TearDown();
        if (HasFailure()) {
            std::cout << shell("tail -n 60 " + cluster.state_dir() + "/worker*.log; cat " + work() +
                               "/rewind.*; ls -la " + work() + " || true");
        }
    }
    std::string work() const { return cluster.data_directory(0) + ".pgpool-hooks"; }
    void lose_primary() {
        cluster.kill_postgres(0);
        const Outcome outcome = call(cluster, "failover_command", 0, 1, 0);
        ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
    }
    std::string shell(const std::string& command) {
        const Outcome outcome = cluster.run_shell(command);
        EXPECT_TRUE(outcome.ok()) << command << ": " << outcome.describe();
        return outcome.out;
    }
    static Outcome as_root(std::vector<std::string> argv) {
        Command command;
        command.argv = std::move(argv);
        return run_process(command, Deadline::after(std::chrono::seconds(10)));
    }
    static bool exists(const std::string& path) { return std::filesystem::exists(path); }
    std::string kept() const { return cluster.state_dir() + "/diverged"; }
};

}  // namespace hooks::harness
