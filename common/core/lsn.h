// A position in the write-ahead log (bytes), and the arithmetic of WAL segments.
#pragma once

#include <fmt/format.h>

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace hooks {

using TimelineId = std::uint32_t;

struct Lsn {
    std::uint64_t value = 0;

    auto operator<=>(const Lsn&) const = default;
    bool valid() const { return value != 0; }  // 0/0 is PostgreSQL's InvalidXLogRecPtr
};

// "16/B374D848". PostgreSQL prints both halves unpadded up to 18 and pads the second from 19 on,
// therefore text is never compared.
std::optional<Lsn> parse_lsn(std::string_view text);
std::string to_string(Lsn lsn);

// "000000020000000000000017": timeline, then segment number in two parts.
// `segment_size` is in bytes (16 MiB unless initdb was told otherwise).
std::string wal_segment_name(TimelineId timeline, Lsn lsn, std::uint64_t segment_size);
// The timeline in a segment's name (a ".partial" suffix is allowed); nullopt for any other file.
std::optional<TimelineId> timeline_of_segment_name(std::string_view name);

}  // namespace hooks

template <>
struct fmt::formatter<hooks::Lsn> : fmt::formatter<fmt::string_view> {
    template <class Context>
    auto format(hooks::Lsn lsn, Context& context) const {
        // A copy, because format() is const from fmt 8 on only, and ours must be for fmt 9 and
        // later.
        fmt::formatter<fmt::string_view> text = *this;
        return text.format(hooks::to_string(lsn), context);
    }
};
