#include "common/core/sync_standbys.h"

#include <algorithm>
#include <charconv>

namespace hooks {
namespace {

char lower(char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

bool same_word(std::string_view left, std::string_view right) {
    return std::equal(left.begin(), left.end(), right.begin(), right.end(),
                      [](char a, char b) { return lower(a) == lower(b); });
}

bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

bool starts_name(char c) {
    return (lower(c) >= 'a' && lower(c) <= 'z') || c == '_' ||
           static_cast<unsigned char>(c) >= 0x80;
}

struct Token {
    enum class Kind { end, name, quoted, number, comma, open, close, bad };
    Kind kind = Kind::end;
    std::string text;
};

class Scanner {
  public:
    explicit Scanner(std::string_view text) : rest_(text) { next(); }

    const Token& now() const { return token_; }
    bool is(Token::Kind kind) const { return token_.kind == kind; }
    bool is_word(std::string_view word) const {
        return token_.kind == Token::Kind::name && same_word(token_.text, word);
    }

    void next() {
        rest_.remove_prefix(std::min(rest_.find_first_not_of(" \t\n\r\f\v"), rest_.size()));
        token_ = {};
        if (rest_.empty()) {
            return;
        }
        const char c = rest_.front();
        if (c == '"') {
            quoted();
        } else if (is_digit(c)) {
            take(Token::Kind::number, [](char d) { return is_digit(d); });
        } else if (starts_name(c)) {
            take(Token::Kind::name,
                 [](char d) { return starts_name(d) || is_digit(d) || d == '$'; });
        } else {
            token_.text = c;
            token_.kind = c == ','   ? Token::Kind::comma
                          : c == '(' ? Token::Kind::open
                          : c == ')' ? Token::Kind::close
                          : c == '*' ? Token::Kind::name
                                     : Token::Kind::bad;
            rest_.remove_prefix(1);
        }
    }

  private:
    template <class Belongs>
    void take(Token::Kind kind, Belongs belongs) {
        const auto end = std::find_if_not(rest_.begin(), rest_.end(), belongs);
        token_.kind = kind;
        token_.text.assign(rest_.begin(), end);
        rest_.remove_prefix(token_.text.size());
    }

    void quoted() {
        token_.kind = Token::Kind::bad;
        for (std::size_t at = 1; at < rest_.size(); ++at) {
            if (rest_[at] != '"') {
                token_.text += rest_[at];
            } else if (at + 1 < rest_.size() && rest_[at + 1] == '"') {
                token_.text += rest_[at++];
            } else {
                token_.kind = Token::Kind::quoted;
                rest_.remove_prefix(at + 1);
                return;
            }
        }
    }

    std::string_view rest_;
    Token token_;
};

std::optional<int> number(const Token& token) {
    int value = 0;
    const char* const end = token.text.data() + token.text.size();
    const auto [stopped, error] = std::from_chars(token.text.data(), end, value);
    return error == std::errc() && stopped == end ? std::optional(value) : std::nullopt;
}

// Names with commas between them, up to what is no comma.
bool parse_names(Scanner& scanner, std::vector<std::string>& names) {
    for (;; scanner.next()) {
        if (!scanner.is(Token::Kind::name) && !scanner.is(Token::Kind::quoted) &&
            !scanner.is(Token::Kind::number)) {
            return false;
        }
        if (scanner.is_word("any") || scanner.is_word("first")) {
            return false;  // words of the grammar: a standby of that name must be quoted
        }
        names.push_back(scanner.now().text);
        scanner.next();
        if (!scanner.is(Token::Kind::comma)) {
            return true;
        }
    }
}

}  // namespace

bool SyncStandbys::lists(std::string_view application_name) const {
    return std::any_of(names.begin(), names.end(), [&](const std::string& name) {
        return name == "*" || same_word(name, application_name);
    });
}

std::optional<SyncStandbys> parse_sync_standbys(std::string_view text) {
    SyncStandbys result;
    Scanner scanner(text);
    if (scanner.is(Token::Kind::end)) {
        return result;
    }
    const bool method_said = scanner.is_word("any") || scanner.is_word("first");
    if (method_said) {
        result.method =
            scanner.is_word("any") ? SyncStandbys::Method::any : SyncStandbys::Method::first;
        scanner.next();
        if (!scanner.is(Token::Kind::number)) {
            return std::nullopt;
        }
    }
    if (scanner.is(Token::Kind::number)) {
        const Token count = scanner.now();
        Scanner ahead = scanner;
        ahead.next();
        if (ahead.is(Token::Kind::open)) {
            const auto wanted = number(count);
            ahead.next();
            if (!wanted || *wanted <= 0 || !parse_names(ahead, result.names) ||
                !ahead.is(Token::Kind::close)) {
                return std::nullopt;
            }
            ahead.next();
            if (!ahead.is(Token::Kind::end)) {
                return std::nullopt;
            }
            result.count = *wanted;
            return result;
        }
        if (method_said) {
            return std::nullopt;
        }
    }
    result.count = 1;
    if (!parse_names(scanner, result.names) || !scanner.is(Token::Kind::end)) {
        return std::nullopt;
    }
    return result;
}

bool cannot_be_satisfied(const SyncStandbys& standbys, const std::vector<std::string>& names) {
    const auto listed = std::count_if(
        names.begin(), names.end(), [&](const std::string& name) { return standbys.lists(name); });
    return standbys.on() && listed < standbys.count;
}

}  // namespace hooks
