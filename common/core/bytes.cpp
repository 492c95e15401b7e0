#include "common/core/bytes.h"

#include <array>

namespace hooks {
namespace {

constexpr std::array<std::uint32_t, 256> make_table() {
    std::array<std::uint32_t, 256> table{};
    for (std::uint32_t byte = 0; byte < table.size(); ++byte) {
        std::uint32_t value = byte;
        for (int bit = 0; bit < 8; ++bit) {
            value = (value >> 1) ^ ((value & 1U) != 0 ? 0x82F63B78U : 0U);
        }
        table[byte] = value;
    }
    return table;
}

constexpr std::array<std::uint32_t, 256> table = make_table();

int sextet(char c) {
    if (c >= 'A' && c <= 'Z') {
        return c - 'A';
    }
    if (c >= 'a' && c <= 'z') {
        return c - 'a' + 26;
    }
    if (c >= '0' && c <= '9') {
        return c - '0' + 52;
    }
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

}  // namespace

void Crc32c::add(std::string_view bytes) {
    for (const char c : bytes) {
        state_ = table[(state_ ^ static_cast<unsigned char>(c)) & 0xFFU] ^ (state_ >> 8);
    }
}

std::optional<std::string> decode_base64(std::string_view text) {
    std::string out;
    out.reserve(text.size() / 4 * 3);
    std::uint32_t bits = 0;
    std::size_t digits = 0;
    std::size_t padding = 0;
    for (const char c : text) {
        if (c == '\n' || c == '\r') {
            continue;
        }
        const int value = c == '=' ? 0 : sextet(c);
        if (value < 0 || (padding > 0 && c != '=')) {
            return std::nullopt;
        }
        padding += c == '=' ? 1U : 0U;
        bits = (bits << 6) | static_cast<std::uint32_t>(value);
        if (++digits % 4 == 0) {
            out += static_cast<char>(bits >> 16 & 0xFF);
            out += static_cast<char>(bits >> 8 & 0xFF);
            out += static_cast<char>(bits & 0xFF);
        }
    }
    if (digits % 4 != 0 || padding > 2) {
        return std::nullopt;
    }
    out.resize(out.size() - padding);
    return out;
}

}  // namespace hooks
