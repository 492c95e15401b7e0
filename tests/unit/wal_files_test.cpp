#include "common/core/wal_files.h"

#include <gtest/gtest.h>

#include "tests/unit/decision_support.h"

namespace hooks {
namespace {

constexpr std::uint64_t mib16 = 16 * 1024 * 1024;

std::optional<Lsn> oldest(std::string_view names, const char* flushed, const char* parents = "",
                          TimelineId timeline = 1, std::uint64_t size = mib16) {
    return oldest_wal(names, TimelineHistory::parse(timeline, parents), lsn(flushed), size);
}

TEST(OldestWal, IsTheFirstOfAllThatFollowOnEachOther) {
    EXPECT_EQ(oldest("000000010000000000000005 000000010000000000000003 000000010000000000000004",
                     "0/5000100"),
              lsn("0/3000000"));
}

TEST(OldestWal, DoesNotReachOverAGap) {
    EXPECT_EQ(oldest("000000010000000000000002 000000010000000000000004 000000010000000000000005",
                     "0/5000100"),
              lsn("0/4000000"));
}

TEST(OldestWal, PassesOverSegmentsThatWaitToBeUsedAgain) {
    EXPECT_EQ(oldest("000000010000000000000005 000000010000000000000006", "0/5000100"),
              lsn("0/5000000"));
}

TEST(OldestWal, AtTheBeginOfASegmentNeedsTheOneBefore) {
    EXPECT_EQ(oldest("000000010000000000000004", "0/5000000"), lsn("0/4000000"));
    EXPECT_EQ(oldest("000000010000000000000004", "0/5000001"), std::nullopt);
}

TEST(OldestWal, IsNotThatOfATimelineOfSomebodyElse) {
    EXPECT_EQ(oldest("000000020000000000000004 000000010000000000000005", "0/5000100"),
              lsn("0/5000000"));
}

// The segment of a switchpoint is read from the file of the child.
TEST(OldestWal, FollowsTheHistory) {
    const char* const parents = "1\t0/4800000\t\n";
    EXPECT_EQ(oldest("000000010000000000000003 000000020000000000000004 000000020000000000000005",
                     "0/5000100", parents, 2),
              lsn("0/3000000"));
    EXPECT_EQ(oldest("000000010000000000000003 000000010000000000000004 000000020000000000000005",
                     "0/5000100", parents, 2),
              lsn("0/5000000"))
        << "the parent's file alone is not enough";
    EXPECT_EQ(oldest("000000020000000000000003 000000020000000000000004 000000020000000000000005",
                     "0/5000100", parents, 2),
              lsn("0/4000000"))
        << "of a time at which the child was not";
}

TEST(OldestWal, OfASwitchpointBetweenTwoSegments) {
    EXPECT_EQ(oldest("000000010000000000000003 000000020000000000000004", "0/4000100",
                     "1\t0/4000000\t\n", 2),
              lsn("0/3000000"));
}

TEST(OldestWal, CountsSegmentsOfOtherSizes) {
    EXPECT_EQ(oldest("000000010000000100000000 0000000100000000000000FF", "1/100", "", 1, mib16),
              lsn("0/FF000000"));
    EXPECT_EQ(
        oldest("000000010000000100000000 000000010000000000000FFF", "1/100", "", 1, 1024 * 1024),
        lsn("0/FFF00000"));
}

TEST(OldestWal, IsNotKnownWithoutFiles) {
    EXPECT_EQ(oldest("", "0/5000100"), std::nullopt);
    EXPECT_EQ(oldest("00000002.history", "0/5000100"), std::nullopt);
    EXPECT_EQ(oldest("000000010000000000000005", "0/0"), std::nullopt);
    EXPECT_EQ(oldest("000000010000000000000005", "0/5000100", "", 1, 0), std::nullopt);
}

}  // namespace
}  // namespace hooks
