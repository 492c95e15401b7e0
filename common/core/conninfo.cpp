#include "common/core/conninfo.h"

#include <fmt/format.h>

#include <algorithm>

#include "common/core/error.h"

namespace hooks {
namespace {

constexpr std::string_view keyword_characters = "abcdefghijklmnopqrstuvwxyz0123456789_";
constexpr std::string_view plain_characters =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.";
constexpr std::string_view nul("\0", 1);
constexpr std::string_view newline_or_nul("\n\0", 2);

[[noreturn]] void fail(std::string message, std::string hint = {}) {
    throw Error(ErrorKind::config, std::move(message), std::move(hint));
}

void check_characters(std::string_view text, std::string_view forbidden, std::string_view what) {
    if (text.find_first_of(forbidden) != std::string_view::npos) {
        fail(fmt::format("{} holds a newline or a NUL", what));
    }
}

bool is_secret(std::string_view keyword) {
    const auto holds = [&](std::string_view part) {
        return keyword.find(part) != std::string_view::npos;
    };
    return holds("password") || holds("passphrase") || holds("secret") ||
           (keyword.starts_with("scram_") && keyword.ends_with("_key"));
}

void append_value(std::string& out, std::string_view value) {
    if (!value.empty() && value.find_first_not_of(plain_characters) == std::string_view::npos) {
        out += value;
        return;
    }
    out += '\'';
    for (const char c : value) {
        if (c == '\'' || c == '\\') {
            out += '\\';
        }
        out += c;
    }
    out += '\'';
}

std::string doubled(std::string_view text, std::string_view what) {
    std::string out;
    for (const char c : text) {
        out += c;
        if (what.find(c) != std::string_view::npos) {
            out += c;
        }
    }
    return out;
}

// libpq's conninfo_parse, with its own idea of a blank.
class Scanner {
  public:
    explicit Scanner(std::string_view text) : text_(text) {}

    bool at_end() {
        while (more() && is_blank(text_[at_])) {
            ++at_;
        }
        return !more();
    }

    std::string_view keyword() {
        const std::size_t begin = at_;
        while (more() && text_[at_] != '=' && !is_blank(text_[at_])) {
            ++at_;
        }
        const std::string_view word = text_.substr(begin, at_ - begin);
        // Not the word itself: whatever stands here may be the tail of a password with a blank.
        if (at_end() || text_[at_] != '=') {
            fail(fmt::format("missing \"=\" at offset {} of the connection string", at_),
                 "A value with blanks must be quoted: keyword='two words'.");
        }
        ++at_;
        return word;
    }

    std::string value() {
        if (at_end()) {
            return {};
        }
        const bool quoted = text_[at_] == '\'';
        at_ += quoted ? 1 : 0;
        std::string out;
        for (; more(); ++at_) {
            const char c = text_[at_];
            if (quoted ? c == '\'' : is_blank(c)) {
                ++at_;
                return out;
            }
            if (c != '\\') {
                out += c;
            } else if (++at_; more()) {
                out += text_[at_];
            } else {
                break;
            }
        }
        if (quoted) {
            fail("unterminated quoted string in the connection string");
        }
        return out;
    }

  private:
    static bool is_blank(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }
    bool more() const { return at_ < text_.size(); }

    std::string_view text_;
    std::size_t at_ = 0;
};

}  // namespace

Conninfo Conninfo::parse(std::string_view text) {
    check_characters(text, newline_or_nul, "a connection string");
    if (text.starts_with("postgresql://") || text.starts_with("postgres://")) {
        fail("a connection URI cannot be used here",
             "Write it as keywords and values: host=... port=... user=...");
    }
    Conninfo result;
    for (Scanner scanner(text); !scanner.at_end();) {
        const std::string_view keyword = scanner.keyword();
        result.set(keyword, scanner.value());
    }
    return result;
}

Conninfo& Conninfo::set(std::string_view keyword, std::string_view value) {
    if (keyword.empty() || keyword.find_first_not_of(keyword_characters) != keyword.npos) {
        fail("a keyword of the connection string is not made of a-z, 0-9 and _");
    }
    check_characters(value, newline_or_nul, fmt::format("the value of {}", keyword));
    const auto item = std::find_if(items_.begin(), items_.end(),
                                   [&](const auto& each) { return each.first == keyword; });
    if (item == items_.end()) {
        items_.emplace_back(keyword, value);
    } else {
        item->second = value;
    }
    return *this;
}

Conninfo& Conninfo::merge(const Conninfo& other) {
    if (this != &other) {
        for (const auto& [keyword, value] : other.items_) {
            set(keyword, value);
        }
    }
    return *this;
}

const std::string* Conninfo::find(std::string_view keyword) const {
    const auto item = std::find_if(items_.begin(), items_.end(),
                                   [&](const auto& each) { return each.first == keyword; });
    return item == items_.end() ? nullptr : &item->second;
}

std::string Conninfo::str() const {
    std::string out;
    for (const auto& [keyword, value] : items_) {
        out += out.empty() ? "" : " ";
        out += keyword;
        out += '=';
        append_value(out, value);
    }
    return out;
}

std::string Conninfo::redacted() const {
    std::string out;
    for (const auto& [keyword, value] : items_) {
        out += out.empty() ? "" : " ";
        out += keyword;
        out += '=';
        if (is_secret(keyword)) {
            out += "********";
        } else {
            append_value(out, value);
        }
    }
    return out;
}

std::string quote_guc_string(std::string_view value) {
    check_characters(value, newline_or_nul, "a setting");
    return fmt::format("'{}'", doubled(value, "'\\"));
}

std::string quote_sql_literal(std::string_view value) {
    check_characters(value, nul, "an SQL literal");
    if (value.find('\\') == std::string_view::npos) {
        return fmt::format("'{}'", doubled(value, "'"));
    }
    return fmt::format("E'{}'", doubled(value, "'\\"));
}

std::string quote_sql_identifier(std::string_view name) {
    check_characters(name, nul, "an SQL identifier");
    return fmt::format("\"{}\"", doubled(name, "\""));
}

std::string host_and_port(std::string_view host, std::string_view port) {
    const bool ipv6 = !host.starts_with('/') && host.find(':') != std::string_view::npos;
    return fmt::format("{}{}{}:{}", ipv6 ? "[" : "", host.empty() ? "local socket" : host,
                       ipv6 ? "]" : "", port);
}

std::string slot_name(int node_id) {
    if (node_id < 0) {
        throw Error(ErrorKind::internal, fmt::format("node {} has no replication slot", node_id));
    }
    return fmt::format("pgpool_node_{}", node_id);
}

}  // namespace hooks
