// Where the valid WAL of a stopped server ends, from the bytes of its segments: for nodes that have
// no pg_waldump of their server's major version.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "common/core/bytes.h"
#include "common/core/lsn.h"
#include "common/core/wal_end.h"

namespace hooks {

constexpr std::uint64_t wal_page_size = 8192;

struct WalScanStart {
    int major = 0;  // of the server: every one marks its pages in its own way
    std::uint64_t system_identifier = 0;
    TimelineId timeline = 0;  // whose segments are read
    std::uint64_t segment_size = 0;
    Lsn from;  // where a record begins
};

// Reads forward from record to record, as a server does in a crash recovery, with the same tests of
// page headers, prev-links and checksums, until one fails. It is fed with pages:
//
//     WalScan scan(start);
//     while (const auto page = scan.wanted()) scan.feed(bytes_of(*page));
//     scan.last();
class WalScan {
  public:
    // A major version that is not known here leaves nothing to be wanted; end() says so.
    explicit WalScan(const WalScanStart& start);

    // The first byte of the page that is needed next; nullopt: the end was found.
    std::optional<Lsn> wanted() const;
    // That page. Fewer bytes than a page: there is none, and the WAL ends before it.
    void feed(std::string_view page);

    // nullopt when there was none.
    const std::optional<WalRecord>& last() const { return last_; }
    // Why it ends there: "0/3000098: invalid record length 0".
    const std::string& end() const { return end_; }
    // Both in the words of pg_waldump: see last_waldump_record().
    std::string in_words_of_waldump() const;

  private:
    bool take_page_header(std::string_view page, std::uint64_t& offset);
    bool take_record(std::string_view page, std::uint64_t& offset);
    void record_is_complete();
    void end_at(std::uint64_t position, std::string why);

    WalScanStart start_;
    std::uint16_t magic_ = 0;
    std::uint64_t page_ = 0;      // wanted
    std::uint64_t position_ = 0;  // of the record that is read, or comes next
    TimelineId page_timeline_ = 0;
    std::optional<WalRecord> last_;
    std::string end_;

    // The record that is being read.
    bool midway_ = false;
    std::uint32_t total_ = 0;
    std::uint32_t taken_ = 0;
    std::string header_;
    Crc32c crc_;
};

}  // namespace hooks
