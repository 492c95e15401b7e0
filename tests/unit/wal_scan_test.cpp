#include "common/core/wal_scan.h"

#include <gtest/gtest.h>

#include <map>

namespace hooks {
namespace {

constexpr std::uint64_t segment_size = 1024 * 1024;
constexpr std::uint64_t system_identifier = 4711;
constexpr std::uint64_t first = 3 * segment_size;

template <class Integer>
void put(std::string& bytes, std::size_t offset, Integer value) {
    for (std::size_t i = 0; i < sizeof(Integer); ++i) {
        bytes[offset + i] = static_cast<char>(value >> (8 * i) & 0xFF);
    }
}

// WAL as a server writes it, page by page.
class Wal {
  public:
    // A record of `total` bytes; returns where it begins.
    Lsn add(std::uint32_t total, std::uint8_t manager = 10, std::uint8_t info = 0) {
        std::string record(total, '\0');
        for (std::size_t i = 24; i < record.size(); ++i) {
            record[i] = static_cast<char>('a' + (i + count_) % 26);
        }
        ++count_;
        put<std::uint32_t>(record, 0, total);
        put<std::uint64_t>(record, 8, prev_);
        put<std::uint8_t>(record, 16, info);
        put<std::uint8_t>(record, 17, manager);
        Crc32c crc;
        crc.add(std::string_view(record).substr(24));
        crc.add(std::string_view(record).substr(0, 20));
        put<std::uint32_t>(record, 20, crc.value());
        return append(record);
    }
    Lsn append(const std::string& record) {
        at_ = (at_ + 7) / 8 * 8;
        if (at_ % wal_page_size == 0) {
            begin_page(0, 0);
        }
        const Lsn begin{at_};
        std::size_t taken = 0;
        while (taken < record.size()) {
            if (at_ % wal_page_size == 0) {
                begin_page(1, static_cast<std::uint32_t>(record.size() - taken));
            }
            const std::size_t here =
                std::min<std::size_t>(record.size() - taken, wal_page_size - at_ % wal_page_size);
            page(at_).replace(at_ % wal_page_size, here, record.substr(taken, here));
            at_ += here;
            taken += here;
        }
        prev_ = begin.value;
        return begin;
    }
    // The rest of the segment is left as it is.
    Lsn switch_segment() {
        const Lsn begin = add(24, 0, 0x40);
        at_ = (at_ + segment_size - 1) / segment_size * segment_size;
        return begin;
    }
    // As after a promotion in the middle of a record: the next page begins anew.
    void overwrite_what_is_missing(Lsn last_whole) {
        prev_ = last_whole.value;
        begin_page(8, 0);
    }
    void begin_page(std::uint16_t flags, std::uint32_t rest) {
        const bool long_header = at_ % segment_size == 0;
        std::string& bytes = page(at_);
        put<std::uint16_t>(bytes, 0, 0xD110);
        put<std::uint16_t>(bytes, 2, static_cast<std::uint16_t>(flags | (long_header ? 2 : 0)));
        put<TimelineId>(bytes, 4, timeline);
        put<std::uint64_t>(bytes, 8, at_);
        put<std::uint32_t>(bytes, 16, rest);
        if (long_header) {
            put<std::uint64_t>(bytes, 24, system_identifier);
            put<std::uint32_t>(bytes, 32, static_cast<std::uint32_t>(segment_size));
            put<std::uint32_t>(bytes, 36, static_cast<std::uint32_t>(wal_page_size));
        }
        at_ += long_header ? 40 : 24;
    }
    std::string& page(std::uint64_t position) {
        std::string& bytes = pages[position / wal_page_size * wal_page_size];
        bytes.resize(wal_page_size);
        return bytes;
    }
    std::uint64_t end() const { return (at_ + 7) / 8 * 8; }

    std::map<std::uint64_t, std::string> pages;
    TimelineId timeline = 2;

  private:
    std::uint64_t at_ = first;
    std::uint64_t prev_ = first - 64;
    std::size_t count_ = 0;
};

WalScan scan(const Wal& wal, Lsn from, int major = 15, TimelineId timeline = 2) {
    WalScan result({major, system_identifier, timeline, segment_size, from});
    while (const auto page = result.wanted()) {
        const auto found = wal.pages.find(page->value);
        result.feed(found == wal.pages.end() ? std::string_view() : found->second);
    }
    return result;
}

TEST(WalScan, GoesFromRecordToRecordToTheLast) {
    Wal wal;
    const Lsn begin = wal.add(114);
    Lsn last;
    // Long ones over several pages, headers that are cut by the end of a page, a new segment.
    for (std::uint32_t total = 24; total < 20000; total = total * 5 / 4 + 1) {
        last = wal.add(total);
    }
    while (wal.end() < first + segment_size + 3 * wal_page_size) {
        last = wal.add(4093);
    }
    const WalScan result = scan(wal, begin);
    EXPECT_EQ(result.last(), (WalRecord{last, 4093, false, false}));
    EXPECT_EQ(end_of_record(*result.last(), segment_size), Lsn{wal.end()});
    EXPECT_EQ(result.end(), to_string(Lsn{wal.end()}) + ": invalid record length 0");
    EXPECT_EQ(last_waldump_record(result.in_words_of_waldump()), result.last());
}

TEST(WalScan, EndsAtThePageThatIsNotThere) {
    Wal wal;
    const Lsn begin = wal.add(114);
    const Lsn last = wal.add(static_cast<std::uint32_t>(first + wal_page_size - wal.end()));
    ASSERT_EQ(wal.end() % wal_page_size, 0U);
    EXPECT_EQ(scan(wal, begin).last()->start, last);
    EXPECT_EQ(scan(wal, begin).end(), to_string(Lsn{wal.end()}) + ": no more WAL is there");
    // Its rest is on a page that is not there, or is that of another record.
    const Lsn cut = wal.add(9000);
    wal.pages.erase(wal.end() / wal_page_size * wal_page_size);
    EXPECT_EQ(scan(wal, begin).last()->start, last);
    EXPECT_LT(scan(wal, begin).last()->start, cut);
}

TEST(WalScan, GoesOnInTheNextSegmentAfterASwitch) {
    Wal wal;
    const Lsn begin = wal.add(114);
    wal.switch_segment();
    const Lsn last = wal.add(50);
    EXPECT_EQ(last.value, first + segment_size + 40);
    EXPECT_EQ(scan(wal, begin).last()->start, last);

    Wal ends_there;
    ends_there.add(114);
    const Lsn switched = ends_there.switch_segment();
    const WalScan result = scan(ends_there, begin);
    EXPECT_EQ(result.last(), (WalRecord{switched, 24, true, false}));
    EXPECT_EQ(last_waldump_record(result.in_words_of_waldump()), result.last());
}

TEST(WalScan, KnowsTheCheckpointOfAShutdown) {
    Wal wal;
    const Lsn checkpoint = wal.add(106, 0, 0x00);
    const WalScan result = scan(wal, checkpoint);
    EXPECT_EQ(result.last(), (WalRecord{checkpoint, 106, false, true}));
    EXPECT_EQ(last_waldump_record(result.in_words_of_waldump()), result.last());
}

TEST(WalScan, PassesOverARecordWhoseRestNeverCame) {
    Wal wal;
    const Lsn begin = wal.add(114);
    const Lsn whole = wal.add(7000);
    std::string half(first + wal_page_size - wal.end(), 'x');
    put<std::uint32_t>(half, 0, 9000);
    wal.append(half);
    ASSERT_EQ(wal.end(), first + wal_page_size);
    EXPECT_EQ(scan(wal, begin).last()->start, whole);
    wal.overwrite_what_is_missing(whole);
    const Lsn last = wal.add(60);
    EXPECT_EQ(scan(wal, begin).last()->start, last);
}

TEST(WalScan, EndsBeforeWhatIsNotTheNextRecord) {
    const auto ends = [](const char* why, const auto& damage) {
        Wal wal;
        const Lsn begin = wal.add(114);
        wal.add(300);
        const Lsn last = wal.add(5000);
        const Lsn bad = wal.add(6000);
        wal.add(100);
        damage(wal, bad.value);
        const WalScan result = scan(wal, begin);
        EXPECT_TRUE(result.last() && result.last()->start == last) << why << result.end();
        EXPECT_NE(result.end().find(why), std::string::npos) << result.end();
    };
    const std::uint64_t second = first + wal_page_size;
    const auto at = [](std::uint64_t position) { return position % wal_page_size; };
    ends("incorrect prev-link", [&](Wal& wal, std::uint64_t bad) {
        put<std::uint64_t>(wal.page(bad), at(bad) + 8, first);
    });
    ends("incorrect checksum",
         [&](Wal& wal, std::uint64_t bad) { wal.page(bad)[at(bad) + 30] = '!'; });
    ends("incorrect checksum", [&](Wal& wal, std::uint64_t) { wal.page(second)[100] = '!'; });
    ends("invalid record length 23",
         [&](Wal& wal, std::uint64_t bad) { put<std::uint32_t>(wal.page(bad), at(bad), 23); });
    ends("the rest of this record",
         [&](Wal& wal, std::uint64_t) { put<std::uint32_t>(wal.page(second), 16, 17); });
    ends("the rest of this record", [&](Wal& wal, std::uint64_t bad) {
        put<std::uint32_t>(wal.page(bad), at(bad), 0x7FFFFFFF);
    });
    ends("no page of such WAL",
         [&](Wal& wal, std::uint64_t) { put<std::uint16_t>(wal.page(second), 0, 0xD10D); });
    ends("earlier use", [&](Wal& wal, std::uint64_t) {
        put<std::uint64_t>(wal.page(second), 8, second - segment_size);
    });
    ends("timeline 3", [&](Wal& wal, std::uint64_t) { put<TimelineId>(wal.page(second), 4, 3); });
    ends("timeline 1", [&](Wal& wal, std::uint64_t) { put<TimelineId>(wal.page(second), 4, 1); });
}

TEST(WalScan, ReadsNothingThatIsNotOfThisClusterAndVersion) {
    Wal wal;
    const Lsn begin = wal.add(114);
    EXPECT_NE(scan(wal, begin, 16).end().find("no page of such WAL"), std::string::npos);
    EXPECT_FALSE(scan(wal, begin, 16).last());
    EXPECT_EQ(scan(wal, begin, 19).end(),
              to_string(begin) + ": the WAL of PostgreSQL 19 is not known here");
    put<std::uint64_t>(wal.page(first), 24, 4712);
    EXPECT_NE(scan(wal, begin).end().find("another cluster"), std::string::npos);
    EXPECT_EQ(last_waldump_record(scan(wal, begin).in_words_of_waldump()), std::nullopt);
}

// The first pages of a timeline's first segment are copies of those of its parent.
TEST(WalScan, BeginsOnAPageOfTheParent) {
    Wal wal;
    wal.timeline = 1;
    wal.add(114);
    const Lsn begin = wal.add(9000);
    wal.timeline = 2;
    const Lsn last = wal.add(9000);
    EXPECT_EQ(scan(wal, begin).last()->start, last);
}

}  // namespace
}  // namespace hooks
