#include "common/core/lsn.h"

#include <gtest/gtest.h>

#include "tests/unit/expect_error.h"

namespace hooks {
namespace {

constexpr std::uint64_t mib = 1024 * 1024;

TEST(Lsn, IsReadFromTwoHexNumbers) {
    EXPECT_EQ(parse_lsn("16/B374D848"), Lsn{0x16B374D848});
    EXPECT_EQ(parse_lsn("0/0"), Lsn{0});
    EXPECT_EQ(parse_lsn("FFFFFFFF/FFFFFFFF"), Lsn{~std::uint64_t{0}});
    EXPECT_EQ(parse_lsn("a/b"), Lsn{0xA0000000B});
}

TEST(Lsn, IsTheSamePaddedAndUnpadded) {
    EXPECT_EQ(parse_lsn("0/3000028"), parse_lsn("0/03000028"));
}

TEST(Lsn, IsNotReadFromAnythingElse) {
    for (const char* text : {"", "/", "0/", "/0", "0", "0/0/0", " 0/0", "0/0 ", "-1/0", "+1/0",
                             "0x1/0", "0/g", "123456789/0", "0/123456789"}) {
        EXPECT_EQ(parse_lsn(text), std::nullopt) << '"' << text << '"';
    }
}

TEST(Lsn, IsPrintedAsPostgresqlUpTo18PrintsIt) {
    EXPECT_EQ(to_string(Lsn{0x16B374D848}), "16/B374D848");
    EXPECT_EQ(to_string(Lsn{0x3000028}), "0/3000028");
    EXPECT_EQ(fmt::format("[{}] [{:>10}]", Lsn{0x3000028}, Lsn{1}), "[0/3000028] [       0/1]");
}

TEST(Lsn, ComparesAsANumber) {
    EXPECT_LT(*parse_lsn("0/9000000"), *parse_lsn("0/10000000"));
    EXPECT_LT(*parse_lsn("9/0"), *parse_lsn("10/0"));
}

TEST(Lsn, IsNotValidWhenItIsZero) {
    EXPECT_FALSE(Lsn{}.valid());
    EXPECT_TRUE(Lsn{1}.valid());
}

TEST(WalSegmentName, HasTimelineAndSegmentInTwoParts) {
    EXPECT_EQ(wal_segment_name(1, Lsn{0x3000028}, 16 * mib), "000000010000000000000003");
    EXPECT_EQ(wal_segment_name(0x1A, Lsn{0x17FFFFFFFF}, 16 * mib), "0000001A00000017000000FF");
    EXPECT_EQ(wal_segment_name(2, Lsn{0x100000000}, 1024 * mib), "000000020000000100000000");
    EXPECT_EQ(wal_segment_name(1, Lsn{0x1800028}, mib), "000000010000000000000018");
}

TEST(WalSegmentName, NeedsASegmentSize) {
    EXPECT_EQ(thrown([] { wal_segment_name(1, Lsn{1}, 0); }),
              "internal: 0 bytes cannot be the size of a WAL segment");
}

TEST(TimelineOfSegmentName, IsItsFirstPart) {
    EXPECT_EQ(timeline_of_segment_name("000000020000000000000017"), 2U);
    EXPECT_EQ(timeline_of_segment_name("0000001A0000000000000017.partial"), 0x1AU);
}

TEST(TimelineOfSegmentName, IsNotThereInOtherFiles) {
    for (const char* name :
         {"", "00000002.history", "00000002000000000000001", "0000000200000000000000177",
          "000000020000000000000017.00000028.backup", "00000002000000000000001g",
          "0000000a0000000000000017", "000000000000000000000017", ".partial", "archive_status",
          "xlogtemp.1234"}) {
        EXPECT_EQ(timeline_of_segment_name(name), std::nullopt) << name;
    }
}

}  // namespace
}  // namespace hooks
