#include "common/core/conf_words.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <numeric>
#include <utility>
#include <vector>

namespace hooks {

std::string lowercase(std::string_view text) {
    std::string out(text);
    for (char& c : out) {
        c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    }
    return out;
}

std::size_t edit_distance(std::string_view from, std::string_view to) {
    std::vector<std::size_t> row(to.size() + 1);
    std::iota(row.begin(), row.end(), std::size_t{0});
    for (std::size_t i = 0; i < from.size(); ++i) {
        std::size_t diagonal = std::exchange(row[0], i + 1);
        for (std::size_t j = 0; j < to.size(); ++j) {
            const std::size_t replaced = diagonal + (from[i] == to[j] ? 0 : 1);
            diagonal = row[j + 1];
            row[j + 1] = std::min({replaced, diagonal + 1, row[j] + 1});
        }
    }
    return row.back();
}

std::optional<std::chrono::milliseconds> parse_duration(std::string_view text) {
    std::int64_t number = 0;
    const char* const end = text.data() + text.size();
    const auto [stopped, error] = std::from_chars(text.data(), end, number);
    if (error != std::errc() || number < 0) {
        return std::nullopt;
    }
    std::string_view unit(stopped, static_cast<std::size_t>(end - stopped));
    unit.remove_prefix(std::min(unit.find_first_not_of(' '), unit.size()));

    struct Unit {
        std::string_view name;
        std::int64_t milliseconds;
    };
    constexpr std::array units = {
        Unit{"", 1000}, Unit{"ms", 1}, Unit{"s", 1000}, Unit{"min", 60'000}, Unit{"h", 3'600'000},
    };
    const auto found = std::find_if(units.begin(), units.end(),
                                    [&](const Unit& each) { return each.name == unit; });
    // A year is longer than any wait, and far from where sums of times overflow.
    constexpr std::int64_t longest = std::int64_t{365} * 24 * 3'600'000;
    if (found == units.end() || number > longest / found->milliseconds) {
        return std::nullopt;
    }
    return std::chrono::milliseconds(number * found->milliseconds);
}

}  // namespace hooks
