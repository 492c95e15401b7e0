#include "common/core/control_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "common/core/bytes.h"
#include "common/core/error.h"

namespace hooks {
namespace {

constexpr std::size_t file_size = 8192;
constexpr std::size_t page_size = 8192;
constexpr std::uint64_t mebibyte = 1024 * 1024;

// Offsets in ControlFileData. Those of the system identifier (0), the version (8) and the state
// (16) never changed. In the copy of the checkpoint record, the redo position stands at 0 and the
// timeline at 8.
struct Layout {
    std::uint32_t version;
    std::size_t checkpoint_copy;
    std::size_t min_recovery_end;
    std::size_t min_recovery_timeline;
    std::size_t wal_log_hints;
    std::size_t max_align;
    std::size_t float_format;
    std::size_t wal_page_size;
    std::size_t wal_segment_size;
    std::size_t data_checksums;
    std::size_t crc;
};

constexpr std::size_t state_offset = 16;
constexpr std::size_t checkpoint_offset = 32;

constexpr std::array layouts = {
    Layout{1002, 48, 136, 144, 176, 200, 208, 224, 228, 252, 288},  // 10
    Layout{1100, 40, 128, 136, 168, 192, 200, 216, 220, 244, 280},  // 11
    Layout{1201, 40, 136, 144, 176, 204, 208, 224, 228, 252, 288},  // 12
    Layout{1300, 40, 136, 144, 176, 204, 208, 224, 228, 252, 288},  // 13 to 16
    Layout{1700, 40, 136, 144, 176, 204, 208, 224, 228, 252, 288},  // 17
    Layout{1800, 40, 136, 144, 176, 204, 208, 224, 228, 252, 292},  // 18
};

[[noreturn]] void fail(std::string message, std::string hint = {}) {
    throw Error(ErrorKind::command, "global/pg_control: " + std::move(message), std::move(hint));
}

const Layout& layout_of(std::uint32_t version) {
    const auto found = std::find_if(layouts.begin(), layouts.end(),
                                    [&](const Layout& each) { return each.version == version; });
    if (found != layouts.end()) {
        return *found;
    }
    if (version % 0x10000 == 0 && version != 0) {
        fail("it was written by a machine with another byte order");
    }
    fail(fmt::format("its layout, pg_control version number {}, is not known here", version),
         "Install the pg_controldata of that server's own major version beside it.");
}

bool flag(std::string_view bytes, std::size_t offset, const char* name) {
    const auto value = little_endian<std::uint8_t>(bytes, offset);
    if (value > 1) {
        fail(fmt::format("{} is {}", name, value));
    }
    return value == 1;
}

// FLOATFORMAT_VALUE, 1234567.0. GCC 10 has no std::bit_cast.
constexpr std::uint64_t ieee_1234567 = 0x4132D68700000000;

}  // namespace

ControlData parse_control_file(std::string_view bytes) {
    if (bytes.size() != file_size) {
        fail(fmt::format("it has {} bytes, not {}", bytes.size(), file_size));
    }
    const Layout& at = layout_of(little_endian<std::uint32_t>(bytes, 8));
    Crc32c crc;
    crc.add(bytes.substr(0, at.crc));
    if (crc.value() != little_endian<std::uint32_t>(bytes, at.crc)) {
        fail("its checksum does not match: it is damaged, or of a server that was built otherwise");
    }
    // What the offsets above, and the pages of the WAL, rest on.
    if (little_endian<std::uint32_t>(bytes, at.max_align) != 8 ||
        little_endian<std::uint64_t>(bytes, at.float_format) != ieee_1234567 ||
        little_endian<std::uint32_t>(bytes, at.wal_page_size) != page_size) {
        fail("it is of a server that was built with another alignment or size of WAL pages");
    }
    ControlData data;
    data.pg_control_version = static_cast<int>(at.version);
    data.system_identifier = little_endian<std::uint64_t>(bytes, 0);
    const auto state = little_endian<std::uint32_t>(bytes, state_offset);
    if (state > static_cast<std::uint32_t>(ClusterState::in_production)) {
        fail(fmt::format("its state is {}", state));
    }
    data.state = static_cast<ClusterState>(state);
    data.checkpoint = Lsn{little_endian<std::uint64_t>(bytes, checkpoint_offset)};
    data.redo = Lsn{little_endian<std::uint64_t>(bytes, at.checkpoint_copy)};
    data.checkpoint_timeline = little_endian<TimelineId>(bytes, at.checkpoint_copy + 8);
    data.min_recovery_end = Lsn{little_endian<std::uint64_t>(bytes, at.min_recovery_end)};
    data.min_recovery_timeline = little_endian<TimelineId>(bytes, at.min_recovery_timeline);
    data.wal_log_hints = flag(bytes, at.wal_log_hints, "wal_log_hints");
    data.data_checksums = little_endian<std::uint32_t>(bytes, at.data_checksums) != 0;
    data.wal_segment_size = little_endian<std::uint32_t>(bytes, at.wal_segment_size);
    if (!std::has_single_bit(data.wal_segment_size) || data.wal_segment_size < mebibyte ||
        data.wal_segment_size > 1024 * mebibyte) {
        fail(fmt::format("its segments of WAL have {} bytes", data.wal_segment_size));
    }
    return data;
}

}  // namespace hooks
