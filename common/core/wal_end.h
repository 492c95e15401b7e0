// Where the valid WAL of a stopped server ends, from what pg_waldump printed last.
#pragma once

#include <optional>
#include <string_view>

#include "common/core/lsn.h"

namespace hooks {

constexpr std::uint32_t shortest_record = 24;  // bytes: the header alone

struct WalRecord {
    Lsn start;
    std::uint32_t total_length = 0;  // bytes, without the page headers in between
    bool segment_switch = false;     // the rest of its segment is unused
    bool shutdown_checkpoint = false;

    bool operator==(const WalRecord&) const = default;
};

// A line such as
//   rmgr: XLOG  len (rec/tot):    114/   114, tx:  0, lsn: 0/03000028, prev 0/02FFFFB8, desc: ...
// nullopt for any other line (errors of pg_waldump among them).
std::optional<WalRecord> parse_waldump_record(std::string_view line);

// The last record in the output; lines that are not records are passed over.
std::optional<WalRecord> last_waldump_record(std::string_view output);

// The first byte after the record: page headers (8192-byte pages) are skipped and the result is
// rounded up to 8, as XLogReader does. pg_waldump's own message about the end differs in wording
// from version to version, therefore it is computed from the record's length.
Lsn end_of_record(const WalRecord& record, std::uint64_t segment_size);

}  // namespace hooks
