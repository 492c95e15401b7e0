#include "common/core/held_settings.h"

#include <fmt/format.h>

#include "common/core/conninfo.h"
#include "common/core/error.h"

namespace hooks {
namespace {

constexpr std::string_view nowhere = "/pgpool-hooks-held";
constexpr std::string_view nowhere_reset = "/pgpool-hooks-held-reset";

std::string suffix(std::string_view directory) {
    return fmt::format(" host={} hostaddr=''", directory);
}

constexpr std::string_view restore_prefix = "false # held by pgpool-hooks: ";
constexpr std::string_view restore_prefix_reset = "false # held by pgpool-hooks, reset: ";

constexpr std::string_view synchronous_prefix_reset = "reset: ";

}  // namespace

std::optional<std::string> hold_conninfo(std::string_view original, bool reset) {
    const std::string_view directory = reset ? nowhere_reset : nowhere;
    std::string held = std::string(original) + suffix(directory);
    try {
        const Conninfo conninfo = Conninfo::parse(held);
        const std::string* host = conninfo.find("host");
        const std::string* address = conninfo.find("hostaddr");
        if (host == nullptr || *host != directory || address == nullptr || !address->empty()) {
            return std::nullopt;
        }
    } catch (const Error&) {
        return std::nullopt;
    }
    return held;
}

std::optional<Held> held_conninfo(std::string_view value) {
    for (const bool reset : {false, true}) {
        const std::string end = suffix(reset ? nowhere_reset : nowhere);
        if (value.ends_with(end)) {
            value.remove_suffix(end.size());
            return Held{std::string(value), reset};
        }
    }
    return std::nullopt;
}

std::string conninfo_without_hold(std::string_view value) {
    const auto held = held_conninfo(value);
    return held ? held->original : std::string(value);
}

std::string hold_synchronous(std::string_view original, bool reset) {
    return std::string(reset ? synchronous_prefix_reset : "") + std::string(original);
}

std::optional<Held> held_synchronous(std::string_view note) {
    const bool reset = note.starts_with(synchronous_prefix_reset);
    note.remove_prefix(reset ? synchronous_prefix_reset.size() : 0);
    return note.empty() ? std::nullopt : std::optional(Held{std::string(note), reset});
}

std::string hold_restore_command(std::string_view original, bool reset) {
    return std::string(reset ? restore_prefix_reset : restore_prefix) + std::string(original);
}

std::optional<Held> held_restore_command(std::string_view value) {
    for (const bool reset : {false, true}) {
        const std::string_view prefix = reset ? restore_prefix_reset : restore_prefix;
        if (value.starts_with(prefix)) {
            return Held{std::string(value.substr(prefix.size())), reset};
        }
    }
    return std::nullopt;
}

}  // namespace hooks
