#include "common/core/conf_file.h"

#include <fmt/format.h>

#include <algorithm>

#include "common/core/conf_words.h"
#include "common/core/conninfo.h"
#include "common/core/error.h"

namespace hooks {
namespace {

// What is wrong with a line; parse() adds where it stands.
struct SyntaxError {
    std::string message;
};

constexpr std::string_view digits = "0123456789";
constexpr std::string_view hex_digits = "0123456789abcdefABCDEF";

bool is_blank(char c) {
    return c == ' ' || c == '\t' || c == '\r';
}

bool is_unit_letter(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

// The lexer counts every byte above 127 as a letter.
bool is_letter(char c) {
    return is_unit_letter(c) || c == '_' || static_cast<unsigned char>(c) >= 0x80;
}

bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

bool is_bare(char c) {
    return is_letter(c) || is_digit(c) || std::string_view("-+._:/$").find(c) != std::string::npos;
}

std::size_t end_of_digits(std::string_view text, std::size_t at, std::string_view kind) {
    return std::min(text.find_first_not_of(kind, at), text.size());
}

bool is_identifier(std::string_view word) {
    return !word.empty() && is_letter(word.front()) &&
           std::all_of(word.begin(), word.end(),
                       [](char c) { return is_letter(c) || is_digit(c) || c == '$'; });
}

// One or more identifiers with dots between them; the first may be a node id instead.
bool is_name(std::string_view word) {
    const std::size_t id_end = end_of_digits(word, 0, digits);
    if (id_end > 0) {
        return id_end < word.size() && word[id_end] == '.' &&
               is_identifier(word.substr(id_end + 1));
    }
    while (true) {
        const std::size_t dot = word.find('.');
        if (dot == std::string_view::npos) {
            return is_identifier(word);
        }
        if (!is_identifier(word.substr(0, dot))) {
            return false;
        }
        word.remove_prefix(dot + 1);
    }
}

// 10, -1, 0x1F, 16MB, 1.5, .5e-3
bool is_number(std::string_view word) {
    std::size_t at = !word.empty() && (word.front() == '-' || word.front() == '+') ? 1 : 0;
    const std::size_t begin = at;
    if (word.substr(at).starts_with("0x") && end_of_digits(word, at + 2, hex_digits) > at + 2) {
        at = end_of_digits(word, at + 2, hex_digits);
    } else {
        at = end_of_digits(word, at, digits);
        std::size_t digit_count = at - begin;
        if (at < word.size() && word[at] == '.') {
            const std::size_t fraction = at + 1;
            at = end_of_digits(word, fraction, digits);
            digit_count += at - fraction;
            if (at < word.size() && (word[at] == 'e' || word[at] == 'E')) {
                const std::size_t sign = word.find_first_of("+-", at + 1) == at + 1 ? 1 : 0;
                const std::size_t exponent_end = end_of_digits(word, at + 1 + sign, digits);
                at = exponent_end > at + 1 + sign ? exponent_end : at;
            }
        }
        if (digit_count == 0) {
            return false;
        }
    }
    return std::all_of(word.begin() + static_cast<std::ptrdiff_t>(at), word.end(), is_unit_letter);
}

// Not so strict as the server about qualified names: pgpool takes host.example without quotes.
bool is_unquoted_string(std::string_view word) {
    return !word.empty() && is_letter(word.front()) &&
           word.find_first_of("+$") == std::string_view::npos;
}

char unescaped(char c) {
    switch (c) {
        case 'b':
            return '\b';
        case 'f':
            return '\f';
        case 'n':
            return '\n';
        case 'r':
            return '\r';
        case 't':
            return '\t';
        default:
            return c;
    }
}

bool may_hold_a_secret(std::string_view name) {
    const std::string lower = lowercase(name);
    for (const char* part : {"password", "passphrase", "secret", "conninfo", "key"}) {
        if (lower.find(part) != std::string::npos) {
            return true;
        }
    }
    return false;
}

struct ParsedLine {
    std::string name;
    std::string value;
    std::size_t value_begin = 0;  // of the value as it is written, its quotes included
    std::size_t value_end = 0;
};

class LineParser {
  public:
    explicit LineParser(std::string_view line) : line_(line) {}

    // nullopt for a line that sets nothing. Throws SyntaxError.
    std::optional<ParsedLine> parse() {
        if (at_end()) {
            return std::nullopt;
        }
        ParsedLine result;
        result.name = bare_word();
        if (!is_name(result.name)) {
            syntax_error(result.name);
        }
        secret_ = may_hold_a_secret(result.name);
        if (!at_end() && line_[at_] == '=') {
            ++at_;
        }
        if (at_end()) {
            throw SyntaxError{fmt::format("\"{}\" has no value", result.name)};
        }
        result.value_begin = at_;
        result.value = line_[at_] == '\'' ? quoted_value() : bare_value();
        result.value_end = at_;
        if (!at_end()) {
            syntax_error(line_.substr(at_));
        }
        return result;
    }

  private:
    bool more() const { return at_ < line_.size(); }

    // Passes over blanks. A comment ends a line, too.
    bool at_end() {
        while (more() && is_blank(line_[at_])) {
            ++at_;
        }
        return !more() || line_[at_] == '#';
    }

    std::string bare_word() {
        const std::size_t begin = at_;
        while (more() && is_bare(line_[at_])) {
            ++at_;
        }
        return std::string(line_.substr(begin, at_ - begin));
    }

    std::string bare_value() {
        std::string word = bare_word();
        if (!is_unquoted_string(word) && !is_number(word)) {
            syntax_error(word);
        }
        return word;
    }

    std::string quoted_value() {
        std::string value;
        for (++at_; more(); ++at_) {
            const char c = line_[at_];
            const char next = at_ + 1 < line_.size() ? line_[at_ + 1] : '\0';
            if (c == '\\' && next >= '0' && next <= '7') {
                value += octal();
            } else if (c == '\\' && at_ + 1 < line_.size()) {
                value += unescaped(next);
                ++at_;
            } else if (c == '\'' && next == '\'') {
                value += c;
                ++at_;
            } else if (c == '\'') {
                ++at_;
                if (value.find('\0') != std::string::npos) {
                    throw SyntaxError{"a value cannot hold a NUL"};
                }
                return value;
            } else {
                value += c;
            }
        }
        throw SyntaxError{"unterminated quoted string"};
    }

    // Up to three digits behind the backslash at at_; stays on the last of them.
    char octal() {
        unsigned value = 0;
        for (int count = 0; count < 3 && at_ + 1 < line_.size(); ++count) {
            const char digit = line_[at_ + 1];
            if (digit < '0' || digit > '7') {
                break;
            }
            value = value * 8 + static_cast<unsigned>(digit - '0');
            ++at_;
        }
        return static_cast<char>(static_cast<unsigned char>(value));
    }

    // Shows at most one word, and none of a password.
    [[noreturn]] void syntax_error(std::string_view near) const {
        if (secret_) {
            throw SyntaxError{"syntax error in a value that may hold a password"};
        }
        if (near.empty() && more()) {
            near = line_.substr(at_, 1);
        }
        std::string shown;
        for (const char c : near.substr(0, near.find_first_of(" \t\r"))) {
            const bool is_control = static_cast<unsigned char>(c) < 0x20 || c == 0x7F;
            shown += is_control ? fmt::format("\\x{:02X}", c) : std::string(1, c);
        }
        throw SyntaxError{fmt::format("syntax error near \"{}\"", shown)};
    }

    std::string_view line_;
    std::size_t at_ = 0;
    bool secret_ = false;
};

bool same_name(std::string_view left, std::string_view right) {
    return lowercase(left) == lowercase(right);
}

}  // namespace

ConfFile ConfFile::parse(std::string_view text, std::string origin) {
    ConfFile file;
    file.origin_ = std::move(origin);
    int line_number = 0;
    while (true) {
        ++line_number;
        const std::size_t newline = text.find('\n');
        const std::string_view line = text.substr(0, newline);
        Line parsed{std::string(line), std::nullopt};
        try {
            if (auto setting = LineParser(line).parse()) {
                parsed.setting =
                    ConfSetting{std::move(setting->name), std::move(setting->value), line_number};
            }
        } catch (const SyntaxError& error) {
            throw Error(ErrorKind::config,
                        fmt::format("{}:{}: {}", file.origin_, line_number, error.message),
                        "Put the value in single quotes, and double each quote in it.");
        }
        file.lines_.push_back(std::move(parsed));
        if (newline == std::string_view::npos) {
            break;
        }
        text.remove_prefix(newline + 1);
    }
    file.index();
    return file;
}

const ConfSetting* ConfFile::find(std::string_view name) const {
    const auto found =
        std::find_if(settings_.rbegin(), settings_.rend(),
                     [&](const ConfSetting& each) { return same_name(each.name, name); });
    return found == settings_.rend() ? nullptr : &*found;
}

std::optional<std::string> ConfFile::value(std::string_view name) const {
    const ConfSetting* const setting = find(name);
    return setting == nullptr ? std::nullopt : std::optional(setting->value);
}

void ConfFile::set(std::string_view name, std::string_view value) {
    const std::string quoted = quote_guc_string(value);
    if (!is_name(name)) {
        throw Error(ErrorKind::internal, fmt::format("\"{}\" cannot name a setting", name));
    }
    const ConfSetting* const present = find(name);
    if (present == nullptr) {
        const bool final_newline = lines_.back().text.empty();
        const bool crlf = lines_.front().text.ends_with('\r');
        Line line{fmt::format("{} = {}{}", name, quoted, crlf ? "\r" : ""),
                  ConfSetting{std::string(name), std::string(value)}};
        if (!final_newline) {
            lines_.push_back({});
        }
        lines_.insert(std::prev(lines_.end()), std::move(line));
    } else {
        Line& line = lines_[static_cast<std::size_t>(present->line) - 1];
        if (line.setting->value != value) {
            const auto written = LineParser(line.text).parse();
            line.text.replace(written->value_begin, written->value_end - written->value_begin,
                              quoted);
            line.setting->value = value;
        }
        const int keep = present->line;
        std::erase_if(lines_, [&](const Line& each) {
            return each.setting && each.setting->line != keep &&
                   same_name(each.setting->name, name);
        });
    }
    index();
}

void ConfFile::remove(std::string_view name) {
    std::erase_if(lines_, [&](const Line& each) {
        return each.setting && same_name(each.setting->name, name);
    });
    if (lines_.empty()) {
        lines_.push_back({});
    }
    index();
}

std::string ConfFile::text() const {
    std::string text;
    for (const Line& line : lines_) {
        text += line.text;
        text += '\n';
    }
    text.pop_back();
    return text;
}

void ConfFile::index() {
    settings_.clear();
    int line_number = 0;
    for (Line& line : lines_) {
        ++line_number;
        if (line.setting) {
            line.setting->line = line_number;
            settings_.push_back(*line.setting);
        }
    }
}

}  // namespace hooks
