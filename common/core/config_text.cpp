#include "common/core/config_text.h"

#include <fmt/format.h>

#include <algorithm>

#include "common/core/conninfo.h"

namespace hooks {
namespace {

constexpr std::size_t columns = 100;

}  // namespace

std::string wrapped(std::string_view text, std::string_view first, std::string_view prefix) {
    std::string out;
    std::size_t width = columns + 1;  // forces the first line
    while (!text.empty()) {
        const std::size_t length = std::min(text.find(' '), text.size());
        const std::string_view word = text.substr(0, length);
        text.remove_prefix(std::min(length + 1, text.size()));
        if (width + 1 + word.size() > columns) {
            const std::string_view before = out.empty() ? first : prefix;
            out += out.empty() ? "" : "\n";
            out += before;
            width = before.size();
        } else {
            out += ' ';
            ++width;
        }
        out += word;
        width += word.size();
    }
    return out + "\n";
}

std::string key_text(const OptionRow& row) {
    return row.node_only ? fmt::format("NODEID.{}", row.name) : std::string(row.name);
}

std::string description(const OptionRow& row) {
    std::string text(row.text);
    if (row.type != "string") {
        text += fmt::format(" Type: {}.", row.type);
    }
    if (!row.when_empty.empty()) {
        text += fmt::format(" Empty: {}.", row.when_empty);
    }
    if (row.per_node && !row.node_only) {
        text += fmt::format(" For one node: NODEID.{}.", row.name);
    }
    return text;
}

std::string sample_config() {
    std::string out =
        "# hooks.conf: how the hooks reach the nodes, and what they may do.\n"
        "#\n"
        "# They read the file that --config or $PGPOOL_HOOKS_CONFIG names, else\n"
        "# /etc/pgpool-hooks/hooks.conf. The syntax is that of postgresql.conf. What is commented "
        "out\n"
        "# here is the default. \"NODEID.key\" sets a key for the one backend with that id.\n";
    for (const OptionRow& row : option_table()) {
        out += '\n';
        out += wrapped(description(row), "# ", "# ");
        out += fmt::format("#{}{} = {}\n", row.node_only ? "1." : "", row.name,
                           quote_guc_string(row.default_value));
    }
    return out;
}

std::string options_help() {
    std::string out;
    for (const OptionRow& row : option_table()) {
        out += fmt::format("  {} = {}\n", key_text(row), quote_guc_string(row.default_value));
        out += wrapped(description(row), "      ", "      ");
    }
    return out;
}

}  // namespace hooks
