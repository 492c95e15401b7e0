#include "common/core/wal_end.h"

#include <gtest/gtest.h>

#include "tests/unit/expect_error.h"

namespace hooks {
namespace {

constexpr std::uint64_t mib = 1024 * 1024;

Lsn lsn(const char* text) {
    return parse_lsn(text).value();
}

constexpr const char* checkpoint_line =
    "rmgr: XLOG        len (rec/tot):    114/   114, tx:          0, lsn: 0/01511A60, prev "
    "0/01511A18, desc: CHECKPOINT_SHUTDOWN redo 0/1511A60; tli 1; prev tli 1; fpw true; shutdown";
constexpr const char* insert_line =
    "rmgr: Btree       len (rec/tot):     53/   153, tx:        723, lsn: 0/01511978, prev "
    "0/01511840, desc: INSERT_LEAF off 3, blkref #0: rel 1664/0/2397 blk 1 FPW";
constexpr const char* switch_line =
    "rmgr: XLOG        len (rec/tot):     24/    24, tx:          0, lsn: 0/0171BBC8, prev "
    "0/0171BBA0, desc: SWITCH ";

TEST(WaldumpRecord, HasItsStartAndItsTotalLength) {
    EXPECT_EQ(parse_waldump_record(insert_line), (WalRecord{lsn("0/1511978"), 153, false, false}));
}

TEST(WaldumpRecord, KnowsAShutdownCheckpoint) {
    EXPECT_EQ(parse_waldump_record(checkpoint_line),
              (WalRecord{lsn("0/1511A60"), 114, false, true}));
}

TEST(WaldumpRecord, KnowsASegmentSwitch) {
    const WalRecord expected{lsn("0/171BBC8"), 24, true, false};
    EXPECT_EQ(parse_waldump_record(switch_line), expected);
    std::string bare = switch_line;
    bare.pop_back();
    EXPECT_EQ(parse_waldump_record(bare), expected);
    EXPECT_EQ(parse_waldump_record(bare + " xid 0"), expected);
}

TEST(WaldumpRecord, DoesNotTakeADescriptionForAFact) {
    const auto record = parse_waldump_record(
        "rmgr: LogicalMessage len (rec/tot): 59/ 59, tx: 7, lsn: 0/03000028, prev 0/02FFFFB8, "
        "desc: SWITCH and CHECKPOINT_SHUTDOWN, lsn: 9/9, desc: SWITCH");
    EXPECT_EQ(record, (WalRecord{lsn("0/3000028"), 59, false, false}));
}

TEST(WaldumpRecord, IsNotInAnyOtherLine) {
    for (const char* line : {
             "",
             "pg_waldump: error: error in WAL record at 0/1511A60: invalid record length at "
             "0/1511AD8: wanted 24, got 0",
             "pg_waldump: fatal: could not find any WAL file",
             "first record is after 0/1000028, at 0/1000048, skipping over 32 bytes",
             "rmgr: XLOG        len (rec/tot):    114/   114, tx:          0, lsn: 0/0151",
             "rmgr: XLOG        len (rec/tot):    114/   114, tx:          0, lsn: nowhere, prev "
             "0/01511A18, desc: NOOP",
             "rmgr: XLOG        len (rec/tot):     10/    10, tx:          0, lsn: 0/01511A60, "
             "prev 0/01511A18, desc: TOO SHORT FOR A RECORD",
             "rmgr: XLOG        len (rec/tot):     30/99999999999, tx:          0, lsn: 0/1511A60, "
             "prev 0/01511A18, desc: NOOP",
         }) {
        EXPECT_EQ(parse_waldump_record(line), std::nullopt) << line;
    }
}

TEST(LastWaldumpRecord, PassesOverTheMessageBehindIt) {
    const std::string output = std::string(insert_line) + "\n" + checkpoint_line +
                               "\npg_waldump: error: error in WAL record at 0/1511A60: invalid "
                               "record length at 0/1511AD8: wanted 24, got 0\n\n";
    const auto record = last_waldump_record(output);
    ASSERT_TRUE(record.has_value());
    EXPECT_EQ(record->start, lsn("0/1511A60"));
}

TEST(LastWaldumpRecord, NeedsNoFinalNewline) {
    EXPECT_EQ(last_waldump_record(insert_line), parse_waldump_record(insert_line));
}

TEST(LastWaldumpRecord, IsNotThereWithoutRecords) {
    EXPECT_EQ(last_waldump_record(""), std::nullopt);
    EXPECT_EQ(last_waldump_record("\n\npg_waldump: fatal: no\n"), std::nullopt);
}

struct EndCase {
    const char* name;
    const char* start;
    std::uint32_t length;
    bool segment_switch;
    std::uint64_t segment_size;
    const char* end;
};

class EndOfRecord : public testing::TestWithParam<EndCase> {};

TEST_P(EndOfRecord, IsTheFirstByteThatIsNotItsOwn) {
    const EndCase& param = GetParam();
    const WalRecord record{lsn(param.start), param.length, param.segment_switch, false};
    EXPECT_EQ(to_string(end_of_record(record, param.segment_size)), param.end);
}

// Those that name a record of 1 MiB segments come from a dump of PostgreSQL 15.
INSTANTIATE_TEST_SUITE_P(
    Records, EndOfRecord,
    testing::Values(
        EndCase{"RoundedUpToEight", "0/1511A60", 114, false, 16 * mib, "0/1511AD8"},
        EndCase{"NotRoundedWhenItFits", "0/3000028", 112, false, 16 * mib, "0/3000098"},
        EndCase{"UpToTheEndOfThePage", "0/3001FE0", 32, false, 16 * mib, "0/3002000"},
        EndCase{"AcrossAPage", "0/3001FF0", 48, false, 16 * mib, "0/3002038"},
        EndCase{"AcrossTwoPages", "0/3001FF0", 8500, false, 16 * mib, "0/3004158"},
        EndCase{"AcrossASegment", "0/10FFF70", 160, false, mib, "0/1100038"},
        EndCase{"AcrossASegmentBySixteenBytes", "0/11FFFD0", 160, false, mib, "0/1200098"},
        EndCase{"AcrossAPageThatWouldBeginASmallerSegment", "0/10FFF70", 160, false, 16 * mib,
                "0/1100028"},
        EndCase{"SwitchToTheNextSegment", "0/171BBC8", 24, true, mib, "0/1800000"},
        EndCase{"SwitchAtTheVeryEndOfASegment", "0/17FFFE8", 24, true, mib, "0/1800000"}),
    [](const auto& each) { return each.param.name; });

TEST(EndOfRecordWithoutASegmentSize, IsRefused) {
    EXPECT_EQ(thrown([] {
                  end_of_record(WalRecord{Lsn{8}, 24}, 0);
              }),
              "internal: 0 bytes cannot be the size of a WAL segment");
}

}  // namespace
}  // namespace hooks
