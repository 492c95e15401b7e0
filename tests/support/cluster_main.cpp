// main() of the test programs that need a sandbox.
#include <gtest/gtest.h>

#include "tests/support/sandbox.h"

int main(int argc, char** argv) {
    ::testing::InitGoogleTest(&argc, argv);
    // The names of the tests are asked for while building, by anybody, anywhere.
#ifdef GTEST_FLAG_GET
    const bool only_list = GTEST_FLAG_GET(list_tests);
#else
    const bool only_list = ::testing::GTEST_FLAG(list_tests);  // GoogleTest before 1.12
#endif
    if (only_list) {
        return RUN_ALL_TESTS();
    }
    return hooks::harness::run_in_sandbox([] { return RUN_ALL_TESTS(); });
}
