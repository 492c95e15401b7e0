// What a word in a configuration file means, whatever its key.
#pragma once

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace hooks {

// Of ASCII letters, whatever the locale: names and units are compared without regard to case.
std::string lowercase(std::string_view text);

// How many letters have to be put in, taken out or replaced.
std::size_t edit_distance(std::string_view from, std::string_view to);

// "25s", "500ms", "10min", "1h", and a bare number means seconds; nullopt otherwise.
std::optional<std::chrono::milliseconds> parse_duration(std::string_view text);

}  // namespace hooks
