// docs/decisions.md names the rules that are in the code, and no other.
#include <gtest/gtest.h>

#include <regex>
#include <set>

#include "tests/unit/decision_support.h"

namespace hooks {
namespace {

std::set<std::string> ids_in(const std::string& text, const char* pattern) {
    const std::regex rule(pattern);
    std::set<std::string> ids;
    for (std::sregex_iterator it(text.begin(), text.end(), rule), end; it != end; ++it) {
        ids.insert((*it)[1]);
    }
    return ids;
}

std::string source_of(const char* path) {
    return content_of(HOOKS_SOURCE_DIR "/" + std::string(path));
}

// A rule is a string in the code and the first cell of a row on the page.
TEST(DecisionsPage, HasARowForEveryRuleAndNoOther) {
    std::string code;
    for (const char* path : {"failover_command/decide.cpp", "follow_primary_command/decide.cpp",
                             "common/core/rejoin.cpp", "pgpool_remote_start/decide.cpp"}) {
        code += source_of(path);
    }
    const auto in_code = ids_in(code, "\"([FHRS][0-9]{2})\"");
    EXPECT_EQ(in_code, ids_in(source_of("docs/decisions.md"), "\n\\| ([FHRS][0-9]{2}) \\|"));
    EXPECT_EQ(in_code.size(), 8U + 3U + 11U + 5U);
}

// Its prose speaks of rules that exist.
TEST(DecisionsPage, HasEveryRuleThatThePageItselfSpeaksOf) {
    const std::string page = source_of("docs/decisions.md");
    EXPECT_EQ(ids_in(page, "\\b([FHRS][0-9]{2})\\b"), ids_in(page, "\n\\| ([FHRS][0-9]{2}) \\|"));
}

}  // namespace
}  // namespace hooks
