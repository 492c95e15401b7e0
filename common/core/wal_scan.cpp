#include "common/core/wal_scan.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

namespace hooks {
namespace {

// XLOG_PAGE_MAGIC
constexpr std::array<std::pair<int, std::uint16_t>, 9> magics = {{
    {10, 0xD097},
    {11, 0xD098},
    {12, 0xD101},
    {13, 0xD106},
    {14, 0xD10D},
    {15, 0xD110},
    {16, 0xD113},
    {17, 0xD116},
    {18, 0xD118},
}};

constexpr std::uint64_t short_header = 24;
constexpr std::uint64_t long_header = 40;  // of the first page of a segment

constexpr unsigned first_is_rest_of_record = 0x01;
constexpr unsigned has_long_header = 0x02;
constexpr unsigned first_overwrites_a_record = 0x08;  // minor versions since November 2021
constexpr unsigned all_flags = 0x0F;

// In the header of a record.
constexpr std::size_t prev_offset = 8;
constexpr std::size_t info_offset = 16;
constexpr std::size_t manager_offset = 17;
constexpr std::size_t crc_offset = 20;

constexpr unsigned xlog_manager = 0;
constexpr unsigned info_mask = 0xF0;
constexpr unsigned checkpoint_shutdown = 0x00;
constexpr unsigned segment_switch = 0x40;

}  // namespace

WalScan::WalScan(const WalScanStart& start)
    : start_(start),
      page_(start.from.value / wal_page_size * wal_page_size),
      position_(start.from.value) {
    for (const auto& [major, magic] : magics) {
        magic_ = major == start.major ? magic : magic_;
    }
    if (magic_ == 0) {
        end_at(position_, fmt::format("the WAL of PostgreSQL {} is not known here", start.major));
    }
}

std::optional<Lsn> WalScan::wanted() const {
    return end_.empty() ? std::optional<Lsn>(Lsn{page_}) : std::nullopt;
}

void WalScan::end_at(std::uint64_t position, std::string why) {
    end_ = fmt::format("{}: {}", Lsn{position}, why);
}

void WalScan::feed(std::string_view page) {
    std::uint64_t offset = 0;
    if (page.size() < wal_page_size) {
        end_at(page_, "no more WAL is there");
        return;
    }
    if (!take_page_header(page, offset)) {
        return;
    }
    while (offset < wal_page_size) {
        if (!take_record(page, offset)) {
            return;
        }
    }
    page_ = std::max(page_ + wal_page_size, position_ / wal_page_size * wal_page_size);
}

bool WalScan::take_page_header(std::string_view page, std::uint64_t& offset) {
    const auto flags = little_endian<std::uint16_t>(page, 2);
    const auto timeline = little_endian<TimelineId>(page, 4);
    const bool begins_segment = page_ % start_.segment_size == 0;
    const auto rest_of_record = little_endian<std::uint32_t>(page, 16);
    if (little_endian<std::uint16_t>(page, 0) != magic_ || (flags & ~all_flags) != 0 ||
        ((flags & has_long_header) != 0) != begins_segment) {
        end_at(page_, "no page of such WAL");
        return false;
    }
    if (little_endian<std::uint64_t>(page, 8) != page_) {
        end_at(page_, "a page of an earlier use of this file");
        return false;
    }
    // The first pages of a timeline's first segment are copies from the one before.
    if (timeline < page_timeline_ || timeline > start_.timeline) {
        end_at(page_, fmt::format("a page of timeline {}", timeline));
        return false;
    }
    if (begins_segment && (little_endian<std::uint64_t>(page, 24) != start_.system_identifier ||
                           little_endian<std::uint32_t>(page, 32) != start_.segment_size ||
                           little_endian<std::uint32_t>(page, 36) != wal_page_size)) {
        end_at(page_, "a segment of another cluster");
        return false;
    }
    page_timeline_ = timeline;
    const std::uint64_t header = begins_segment ? long_header : short_header;
    offset = std::max(header, position_ > page_ ? position_ - page_ : 0);
    if (midway_ && (flags & first_overwrites_a_record) != 0) {
        // Its rest never came: the server was promoted, or crashed, and went on here.
        midway_ = false;
        position_ = page_ + header;
        offset = header;
    } else if (midway_) {
        if ((flags & first_is_rest_of_record) == 0 || rest_of_record != total_ - taken_) {
            end_at(position_, "the rest of this record is not on the next page");
            return false;
        }
        offset = header;
    } else if (offset == header && (flags & first_is_rest_of_record) != 0) {
        end_at(page_, "the page begins with the rest of a record");
        return false;
    } else {
        position_ = page_ + offset;
    }
    return true;
}

// As much of it as is on this page. False: the WAL ends.
bool WalScan::take_record(std::string_view page, std::uint64_t& offset) {
    if (!midway_) {
        total_ = little_endian<std::uint32_t>(page, offset);
        if (total_ < shortest_record) {
            end_at(position_, fmt::format("invalid record length {}", total_));
            return false;
        }
        midway_ = true;
        taken_ = 0;
        header_.clear();
        crc_ = {};
    }
    const auto here = static_cast<std::uint32_t>(
        std::min<std::uint64_t>(wal_page_size - offset, total_ - taken_));
    std::string_view bytes = page.substr(offset, here);
    offset += here;
    taken_ += here;
    const std::size_t of_header =
        std::min<std::size_t>(shortest_record - header_.size(), bytes.size());
    header_ += bytes.substr(0, of_header);
    crc_.add(bytes.substr(of_header));
    if (taken_ < total_) {
        return true;
    }
    midway_ = false;
    record_is_complete();
    offset = position_ - page_;
    return end_.empty();
}

void WalScan::record_is_complete() {
    const auto prev = Lsn{little_endian<std::uint64_t>(header_, prev_offset)};
    if (last_ ? prev != last_->start : prev.value >= position_) {
        end_at(position_, fmt::format("incorrect prev-link {}", prev));
        return;
    }
    crc_.add(std::string_view(header_).substr(0, crc_offset));
    if (crc_.value() != little_endian<std::uint32_t>(header_, crc_offset)) {
        end_at(position_, "incorrect checksum of the record");
        return;
    }
    WalRecord record{Lsn{position_}, total_};
    if (little_endian<std::uint8_t>(header_, manager_offset) == xlog_manager) {
        const unsigned info = little_endian<std::uint8_t>(header_, info_offset) & info_mask;
        record.segment_switch = info == segment_switch;
        record.shutdown_checkpoint = info == checkpoint_shutdown;
    }
    last_ = record;
    position_ = end_of_record(record, start_.segment_size).value;
}

std::string WalScan::in_words_of_waldump() const {
    std::string text;
    if (last_) {
        text = fmt::format("rmgr: {} len (rec/tot): {}/{}, tx: 0, lsn: {}, prev 0/0, desc: {}\n",
                           last_->segment_switch || last_->shutdown_checkpoint ? "XLOG" : "-",
                           last_->total_length, last_->total_length, last_->start,
                           last_->segment_switch        ? "SWITCH"
                           : last_->shutdown_checkpoint ? "CHECKPOINT_SHUTDOWN"
                                                        : "-");
    }
    return text + end_ + "\n";
}

}  // namespace hooks
