// main() of the test programs that need a sandbox.
#include <gtest/gtest.h>

#include "tests/support/sandbox.h"

int main(int argc, char** argv) {
    ::testing::InitGoogleTest(&argc, argv);
    // The names of the tests are asked for while building, by anybody, anywhere.
    if (GTEST_FLAG_GET(list_tests)) {
        return RUN_ALL_TESTS();
    }
    return hooks::harness::run_in_sandbox([] { return RUN_ALL_TESTS(); });
}
