#include "common/core/arguments.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "common/core/error.h"

namespace hooks {
namespace {

constexpr std::string_view blanks = " \t\r\n";

[[noreturn]] void fail(std::string_view placeholder, std::string_view word, std::string_view why) {
    throw Error(ErrorKind::usage, fmt::format("{} is \"{}\", {}", placeholder, word, why));
}

int parse_number(std::string_view word, std::string_view placeholder, int lowest, int highest,
                 std::string_view what) {
    const std::string digits = plain_word(word);
    int number = 0;
    const char* const end = digits.data() + digits.size();
    const auto [stopped, error] = std::from_chars(digits.data(), end, number);
    if (error != std::errc() || stopped != end || number < lowest || number > highest) {
        fail(placeholder, word, what);
    }
    return number;
}

bool is_alphanumeric(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

bool is_control(char c) {
    return static_cast<unsigned char>(c) < 0x20 || c == 0x7F;
}

}  // namespace

// -1: there is no such node. -2: pgpool has never found a primary.
int parse_node_id(std::string_view word, std::string_view placeholder) {
    return parse_number(word, placeholder, -2, 127, "which is not a node id");
}

int parse_port(std::string_view word, std::string_view placeholder) {
    return parse_number(word, placeholder, 1, 65535, "which is not a port");
}

std::string plain_word(std::string_view word) {
    word.remove_prefix(std::min(word.find_first_not_of(blanks), word.size()));
    word = word.substr(0, word.find_last_not_of(blanks) + 1);
    return word == "\"\"" || word == "''" ? std::string() : std::string(word);
}

std::string parse_host(std::string_view word, std::string_view placeholder) {
    std::string host = plain_word(word);
    const bool is_directory = host.starts_with('/');
    // ':' and '%' are for IPv6 addresses with a zone (fe80::1%eth0).
    const std::string_view punctuation = is_directory ? "/._-+@" : "._-:%";
    const bool only_legal_characters = std::all_of(host.begin(), host.end(), [&](char c) {
        return is_alphanumeric(c) || punctuation.find(c) != std::string_view::npos;
    });
    // A leading '-' would be an option to whatever gets the name.
    if (host.empty() || !only_legal_characters || host.starts_with('-')) {
        fail(placeholder, word, "which is neither a host nor the directory of a unix socket");
    }
    return host;
}

std::string parse_directory(std::string_view word, std::string_view placeholder) {
    std::string directory = plain_word(word);
    if (!directory.starts_with('/')) {
        fail(placeholder, word, "which is not an absolute path");
    }
    if (std::any_of(directory.begin(), directory.end(), is_control)) {
        fail(placeholder, "...", "a path that holds a control character");
    }
    return directory;
}

}  // namespace hooks
