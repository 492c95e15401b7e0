#include "common/core/shell_quote.h"

#include "common/core/error.h"

namespace hooks {

std::string shell_quote(std::string_view word) {
    // PostgreSQL refuses line breaks here as well: some shells and ssh servers end a command at
    // one.
    if (word.find_first_of(std::string_view("\0\r\n", 3)) != std::string_view::npos) {
        throw Error(ErrorKind::usage, "a word of a shell command holds a NUL or a line break");
    }
    std::string quoted = "'";
    for (const char c : word) {
        if (c == '\'') {
            quoted += "'\"'\"'";
        } else {
            quoted += c;
        }
    }
    quoted += '\'';
    return quoted;
}

std::string shell_quote(const std::vector<std::string>& words) {
    std::string line;
    for (const std::string& word : words) {
        if (!line.empty()) {
            line += ' ';
        }
        line += shell_quote(word);
    }
    return line;
}

}  // namespace hooks
