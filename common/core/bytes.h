// Reading PostgreSQL's own files: numbers as x86 and Arm servers write them, and checksums.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace hooks {

// 0 for what lies beyond the end of `bytes`.
template <class Integer>
Integer little_endian(std::string_view bytes, std::size_t offset) {
    Integer value = 0;
    for (std::size_t i = 0; i < sizeof(Integer) && offset + i < bytes.size(); ++i) {
        value |= static_cast<Integer>(
            static_cast<Integer>(static_cast<unsigned char>(bytes[offset + i])) << (8 * i));
    }
    return value;
}

// The Castagnoli polynomial, over several stretches of bytes if need be.
class Crc32c {
  public:
    void add(std::string_view bytes);
    std::uint32_t value() const { return state_ ^ 0xFFFFFFFFU; }

  private:
    std::uint32_t state_ = 0xFFFFFFFFU;
};

// As base64(1) prints it; line ends are passed over. nullopt on anything else.
std::optional<std::string> decode_base64(std::string_view text);

}  // namespace hooks
