#include "common/core/wal_end.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "common/core/error.h"

namespace hooks {
namespace {

constexpr std::uint64_t page_size = 8192;
constexpr std::uint64_t page_header = 24;           // of every page
constexpr std::uint64_t segment_first_header = 40;  // of the first page of a segment

// Reads a line from left to right, so that text in a record's description is never taken for one
// of the fields before it.
class Cursor {
  public:
    explicit Cursor(std::string_view rest) : rest_(rest) {}

    bool skip(std::string_view word) {
        skip_blanks();
        if (!rest_.starts_with(word)) {
            return false;
        }
        rest_.remove_prefix(word.size());
        return true;
    }

    std::string_view until(char stop) {
        skip_blanks();
        const std::size_t length = std::min(rest_.find(stop), rest_.size());
        const std::string_view field = rest_.substr(0, length);
        rest_.remove_prefix(length);
        return field;
    }

    std::optional<std::uint32_t> number() {
        skip_blanks();
        std::uint32_t value = 0;
        const auto [stopped, error] =
            std::from_chars(rest_.data(), rest_.data() + rest_.size(), value);
        if (error != std::errc()) {
            return std::nullopt;
        }
        rest_.remove_prefix(static_cast<std::size_t>(stopped - rest_.data()));
        return value;
    }

    std::string_view rest() {
        skip_blanks();
        return rest_;
    }

  private:
    void skip_blanks() {
        rest_.remove_prefix(std::min(rest_.find_first_not_of(' '), rest_.size()));
    }

    std::string_view rest_;
};

std::uint64_t round_up(std::uint64_t value, std::uint64_t unit) {
    return (value + unit - 1) / unit * unit;
}

// "SWITCH" and "SWITCH xid 7", but not "SWITCHED".
bool starts_with_word(std::string_view text, std::string_view word) {
    return text.starts_with(word) &&
           (text.size() == word.size() || text[word.size()] == ' ' || text[word.size()] == '\r');
}

}  // namespace

std::optional<WalRecord> parse_waldump_record(std::string_view line) {
    Cursor cursor(line);
    if (!cursor.skip("rmgr:")) {
        return std::nullopt;
    }
    const std::string_view manager = cursor.until(' ');
    if (!cursor.skip("len (rec/tot):") || !cursor.number() || !cursor.skip("/")) {
        return std::nullopt;
    }
    const auto total_length = cursor.number();
    if (!total_length || *total_length < shortest_record) {
        return std::nullopt;
    }
    if (!cursor.skip(", tx:") || !cursor.number() || !cursor.skip(", lsn:")) {
        return std::nullopt;
    }
    const auto start = parse_lsn(cursor.until(','));
    if (!start || !cursor.skip(", prev") || !parse_lsn(cursor.until(',')) ||
        !cursor.skip(", desc:")) {
        return std::nullopt;
    }
    WalRecord record{*start, *total_length};
    if (manager == "XLOG") {
        record.segment_switch = starts_with_word(cursor.rest(), "SWITCH");
        record.shutdown_checkpoint = starts_with_word(cursor.rest(), "CHECKPOINT_SHUTDOWN");
    }
    return record;
}

std::optional<WalRecord> last_waldump_record(std::string_view output) {
    while (!output.empty()) {
        const std::size_t newline = output.rfind('\n');
        const std::size_t begin = newline == std::string_view::npos ? 0 : newline + 1;
        if (const auto record = parse_waldump_record(output.substr(begin))) {
            return record;
        }
        output = output.substr(0, begin == 0 ? 0 : newline);
    }
    return std::nullopt;
}

Lsn end_of_record(const WalRecord& record, std::uint64_t segment_size) {
    if (segment_size == 0 || segment_size % page_size != 0) {
        throw Error(ErrorKind::internal,
                    fmt::format("{} bytes cannot be the size of a WAL segment", segment_size));
    }
    std::uint64_t position = record.start.value;
    std::uint64_t left = record.total_length;
    while (left > 0) {
        const std::uint64_t on_this_page = std::min(page_size - position % page_size, left);
        position += on_this_page;
        left -= on_this_page;
        if (left > 0) {
            position += position % segment_size == 0 ? segment_first_header : page_header;
        }
    }
    position = round_up(position, 8);
    return Lsn{record.segment_switch ? round_up(position, segment_size) : position};
}

}  // namespace hooks
