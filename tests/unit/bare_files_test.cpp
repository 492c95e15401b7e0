#include "common/core/bare_files.h"

#include <gtest/gtest.h>

namespace hooks {
namespace {

TEST(BareFiles, TakesTheirLinesOnly) {
    BareFiles bare;
    EXPECT_FALSE(bare.take("control", "pg_control version number: 1300"));
    EXPECT_FALSE(bare.take("history", "1\t0/3000000\tno recovery target specified"));
    EXPECT_FALSE(bare.has_control_file());
    EXPECT_TRUE(bare.take("control_file", "AAAA"));
    EXPECT_TRUE(bare.has_control_file());
    ASSERT_FALSE(bare.control());
    EXPECT_EQ(bare.control().why(), "global/pg_control: it has 3 bytes, not 8192");
    EXPECT_TRUE(bare.take("control_file", "AA*A"));
    EXPECT_EQ(bare.control().why(), "global/pg_control did not arrive as it was sent");
}

// As a server that is started as a standby looks for it.
TEST(BareFiles, FindTheNewestTimelineThatHasWalAndComesFromTheKnownOne) {
    BareFiles bare;
    EXPECT_EQ(bare.newest_timeline(1), 1U);
    bare.take("history_00000002", "1\t0/3000000\tno recovery target specified");
    bare.take("history_0000000B", "1\t0/3000000\tno recovery target specified");
    bare.take("history_0000000B", "2\t0/4000000\tno recovery target specified");
    bare.take("history_0000000C", "9\t0/3000000\tof another family");
    bare.take("history_0000000D", "no history");
    bare.take("wal_timelines", "00000001 00000002 0000000C 0000000D ");
    EXPECT_EQ(bare.newest_timeline(1), 2U) << "of 11 there is a history only";
    bare.take("wal_timelines", "00000001 0000000B 0000000C 0000000D ");
    EXPECT_EQ(bare.newest_timeline(1), 11U);
    EXPECT_EQ(bare.newest_timeline(2), 11U);
    EXPECT_EQ(bare.newest_timeline(12), 12U);
    EXPECT_EQ(bare.history(11),
              "1\t0/3000000\tno recovery target specified\n"
              "2\t0/4000000\tno recovery target specified\n");
    EXPECT_EQ(bare.history(7), "");
}

}  // namespace
}  // namespace hooks
