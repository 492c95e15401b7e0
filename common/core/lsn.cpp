#include "common/core/lsn.h"

#include <charconv>

#include "common/core/error.h"

namespace hooks {
namespace {

std::optional<std::uint32_t> parse_hex(std::string_view digits) {
    std::uint32_t value = 0;
    const char* const end = digits.data() + digits.size();
    const auto [stopped, error] = std::from_chars(digits.data(), end, value, 16);
    if (digits.empty() || digits.size() > 8 || error != std::errc() || stopped != end) {
        return std::nullopt;
    }
    return value;
}

constexpr std::size_t segment_name_length = 24;

}  // namespace

std::optional<Lsn> parse_lsn(std::string_view text) {
    const std::size_t slash = text.find('/');
    if (slash == std::string_view::npos) {
        return std::nullopt;
    }
    const auto high = parse_hex(text.substr(0, slash));
    const auto low = parse_hex(text.substr(slash + 1));
    if (!high || !low) {
        return std::nullopt;
    }
    return Lsn{(static_cast<std::uint64_t>(*high) << 32) | *low};
}

std::string to_string(Lsn lsn) {
    return fmt::format("{:X}/{:X}", lsn.value >> 32, lsn.value & 0xFFFFFFFFU);
}

std::string wal_segment_name(TimelineId timeline, Lsn lsn, std::uint64_t segment_size) {
    constexpr std::uint64_t four_gib = std::uint64_t{1} << 32;
    if (segment_size == 0 || segment_size > four_gib) {
        throw Error(ErrorKind::internal,
                    fmt::format("{} bytes cannot be the size of a WAL segment", segment_size));
    }
    const std::uint64_t segment = lsn.value / segment_size;
    const std::uint64_t segments_per_id = four_gib / segment_size;
    return fmt::format("{:08X}{:08X}{:08X}", timeline, segment / segments_per_id,
                       segment % segments_per_id);
}

std::optional<TimelineId> timeline_of_segment_name(std::string_view name) {
    constexpr std::string_view partial = ".partial";
    if (name.size() > partial.size() && name.substr(name.size() - partial.size()) == partial) {
        name.remove_suffix(partial.size());
    }
    // PostgreSQL writes upper case only, and takes nothing else for a segment.
    if (name.size() != segment_name_length ||
        name.find_first_not_of("0123456789ABCDEF") != std::string_view::npos) {
        return std::nullopt;
    }
    const auto timeline = parse_hex(name.substr(0, 8));
    return timeline && *timeline != 0 ? timeline : std::nullopt;
}

}  // namespace hooks
