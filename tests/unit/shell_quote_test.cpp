#include "common/core/shell_quote.h"

#include <gtest/gtest.h>

#include "tests/unit/expect_error.h"

namespace hooks {
namespace {

TEST(ShellQuote, QuotesEveryWord) {
    EXPECT_EQ(shell_quote("psql"), "'psql'");
    EXPECT_EQ(shell_quote(""), "''");
    EXPECT_EQ(shell_quote("$(reboot); `x` * ~ \\ \""), "'$(reboot); `x` * ~ \\ \"'");
}

TEST(ShellQuote, LeavesTheQuotesForAQuote) {
    EXPECT_EQ(shell_quote("it's"), R"('it'"'"'s')");
    EXPECT_EQ(shell_quote("'"), R"(''"'"'')");
    EXPECT_EQ(shell_quote(nasty_name), R"('n3 it'"'"'s \a "dq" =x #h $y z` %p')");
}

TEST(ShellQuote, JoinsWordsByBlanks) {
    EXPECT_EQ(shell_quote(std::vector<std::string>{"test", "-e", "a b", ""}),
              "'test' '-e' 'a b' ''");
    EXPECT_EQ(shell_quote(std::vector<std::string>{}), "");
    EXPECT_EQ(shell_quote(std::vector<std::string>{"", "x"}), "'' 'x'");
}

TEST(ShellQuote, RefusesWhatSomeShellsCannotCarry) {
    for (const std::string& word :
         {std::string("a\nb"), std::string("a\rb"), std::string(1, '\0')}) {
        EXPECT_EQ(thrown([&] { shell_quote(word); }),
                  "usage: a word of a shell command holds a NUL or a line break");
    }
}

}  // namespace
}  // namespace hooks
