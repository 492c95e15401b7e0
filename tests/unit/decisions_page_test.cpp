// docs/decisions.md names the rules that are in the code, and no other.
#include <gtest/gtest.h>

#include <set>

#include "tests/unit/decision_support.h"

namespace hooks {
namespace {

bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

// Every "F05" and the like that stands between `before` and `after`.
std::set<std::string> ids_in(const std::string& text, const std::string& before = "",
                             const std::string& after = "") {
    std::set<std::string> ids;
    for (std::size_t at = before.size(); at + 3 + after.size() <= text.size(); ++at) {
        const bool is_id = std::string("FHLRS").find(text[at]) != std::string::npos &&
                           is_digit(text[at + 1]) && is_digit(text[at + 2]);
        if (is_id && text.compare(at - before.size(), before.size(), before) == 0 &&
            text.compare(at + 3, after.size(), after) == 0) {
            ids.insert(text.substr(at, 3));
        }
    }
    return ids;
}

std::string source_of(const char* path) {
    return content_of(HOOKS_SOURCE_DIR "/" + std::string(path));
}

// A rule is a string in the code and the first cell of a row on the page.
TEST(DecisionsPage, HasARowForEveryRuleAndNoOther) {
    std::string code;
    for (const char* path :
         {"failover_command/decide.cpp", "follow_primary_command/decide.cpp",
          "common/core/rejoin.cpp", "common/core/slots.cpp", "pgpool_remote_start/decide.cpp"}) {
        code += source_of(path);
    }
    const auto in_code = ids_in(code, "\"", "\"");
    EXPECT_EQ(in_code, ids_in(source_of("docs/decisions.md"), "\n| ", " |"));
    EXPECT_EQ(in_code.size(), 9U + 4U + 8U + 11U + 5U);
}

// Its prose speaks of rules that exist.
TEST(DecisionsPage, HasEveryRuleThatThePageItselfSpeaksOf) {
    const std::string page = source_of("docs/decisions.md");
    EXPECT_EQ(ids_in(page), ids_in(page, "\n| ", " |"));
}

}  // namespace
}  // namespace hooks
