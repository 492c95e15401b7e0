#include "common/core/conf_file.h"

#include <gtest/gtest.h>

#include "common/core/conninfo.h"
#include "tests/unit/expect_error.h"

namespace hooks {
namespace {

ConfFile parse(std::string_view text) {
    return ConfFile::parse(text, "a.conf");
}

// The value of "a" in a file that sets only that.
std::string value_in(std::string_view text) {
    return parse(text).value("a").value_or("(unset)");
}

std::string syntax_error(std::string_view text) {
    try {
        parse(text);
    } catch (const Error& error) {
        EXPECT_EQ(error.kind(), ErrorKind::config);
        return error.what();
    }
    return "none";
}

TEST(ConfFile, TakesTheEqualsSignOrLeavesIt) {
    for (const char* text : {"a = b", "a=b", "a b", "a\tb", " a  =  b  ", "a'b'", "a='b'#c",
                             "a = b # c", "a=b\r\n", "\n\na b\n"}) {
        EXPECT_EQ(value_in(text), "b") << text;
    }
}

TEST(ConfFile, ReadsNumbersAndWordsWithoutQuotes) {
    for (const char* value :
         {"on", "5432", "-1", "+7", "0x1F", "16MB", "10min", "1.5", ".5", "5.", "1.5e-3", "replica",
          "_x", "host.example.org", "a-b_c:d/e.f", "\xc3\xa4"}) {
        EXPECT_EQ(value_in(std::string("a = ") + value), value);
    }
}

TEST(ConfFile, UndoesQuotesAndEscapes) {
    EXPECT_EQ(value_in("a = ''"), "");
    EXPECT_EQ(value_in("a = 'it''s'"), "it's");
    EXPECT_EQ(value_in(R"(a = 'it\'s')"), "it's");
    EXPECT_EQ(value_in(R"(a = '\b\f\n\r\t\x\\')"), "\b\f\n\r\tx\\");
    EXPECT_EQ(value_in(R"(a = '\101\60\0611\1018')"), "A011A8");
    EXPECT_EQ(value_in(R"(a = '\377')"), "\xff");
    EXPECT_EQ(value_in("a = '# no comment' # a comment with 'quotes"), "# no comment");
}

TEST(ConfFile, AcceptsTheNamesOfTheServerAndOfNodes) {
    for (const char* name : {"port", "_p", "plpgsql.check", "a.b.c", "a$b", "1.ssh_port",
                             "127.passfile", "\xc3\xa4"}) {
        const ConfFile file = parse(std::string(name) + " = 1\n");
        ASSERT_EQ(file.settings().size(), 1U) << name;
        EXPECT_EQ(file.settings()[0].name, name);
    }
}

TEST(ConfFile, NamesFileAndLineOfAnError) {
    EXPECT_EQ(syntax_error("\n# c\na = 'x\n"), "a.conf:3: unterminated quoted string");
    EXPECT_EQ(syntax_error("a = 'x\\'\n"), "a.conf:1: unterminated quoted string");
    EXPECT_EQ(syntax_error("a = 'x\\\n'"), "a.conf:1: unterminated quoted string");
    EXPECT_EQ(syntax_error("a\n"), "a.conf:1: \"a\" has no value");
    EXPECT_EQ(syntax_error("a = # b\n"), "a.conf:1: \"a\" has no value");
    EXPECT_EQ(syntax_error("a = b c\n"), "a.conf:1: syntax error near \"c\"");
    EXPECT_EQ(syntax_error("a = 'b' 'c'\n"), "a.conf:1: syntax error near \"'c'\"");
    EXPECT_EQ(syntax_error("a == b\n"), "a.conf:1: syntax error near \"=\"");
    EXPECT_EQ(syntax_error("a = 10.0.0.1\n"), "a.conf:1: syntax error near \"10.0.0.1\"");
    EXPECT_EQ(syntax_error("a = /tmp\n"), "a.conf:1: syntax error near \"/tmp\"");
    EXPECT_EQ(syntax_error("a = 5_\n"), "a.conf:1: syntax error near \"5_\"");
    EXPECT_EQ(syntax_error("a = -\n"), "a.conf:1: syntax error near \"-\"");
    EXPECT_EQ(syntax_error("a = a+b\n"), "a.conf:1: syntax error near \"a+b\"");
    EXPECT_EQ(syntax_error("a = \"b\"\n"), "a.conf:1: syntax error near \"\"\"");
    EXPECT_EQ(syntax_error("= b\n"), "a.conf:1: syntax error near \"=\"");
    EXPECT_EQ(syntax_error("pcp_Password = s3cret$\n"),
              "a.conf:1: syntax error in a value that may hold a password");
    EXPECT_EQ(syntax_error("1 = b\n"), "a.conf:1: syntax error near \"1\"");
    EXPECT_EQ(syntax_error("1.2 = b\n"), "a.conf:1: syntax error near \"1.2\"");
    EXPECT_EQ(syntax_error("a. = b\n"), "a.conf:1: syntax error near \"a.\"");
    EXPECT_EQ(syntax_error("a-b = c\n"), "a.conf:1: syntax error near \"a-b\"");
    EXPECT_EQ(syntax_error("a = '\\0'\n"), "a.conf:1: a value cannot hold a NUL");
    EXPECT_EQ(syntax_error(std::string_view("a = 1\n\0", 7)),
              "a.conf:2: syntax error near \"\\x00\"");
}

TEST(ConfFile, LetsTheLastSettingWinWithoutRegardToCase) {
    const ConfFile file = parse("Port = 1\nhost = a\nPORT = 2\n");
    EXPECT_EQ(file.value("port"), "2");
    EXPECT_EQ(file.find("port")->line, 3);
    EXPECT_EQ(file.find("port")->name, "PORT");
    EXPECT_EQ(file.find("nothing"), nullptr);
    EXPECT_EQ(file.value("nothing"), std::nullopt);
    EXPECT_EQ(file.settings().size(), 3U);
    EXPECT_EQ(file.origin(), "a.conf");
}

TEST(ConfFile, KeepsIncludesAsSettings) {
    const ConfFile file = parse("include_if_exists = 'more.conf'\ninclude 'x'\n");
    EXPECT_EQ(file.value("include_if_exists"), "more.conf");
    EXPECT_EQ(file.value("include"), "x");
}

TEST(ConfFile, ReturnsEveryByteThatItWasGiven) {
    for (const char* text : {"", "\n", "\n\n", "a = 1", "a = 1\n", "a = 1\r\nb = 2\r\n", "# c",
                             "  a  1  # c  \n\t\n", "\r\n", " "}) {
        EXPECT_EQ(parse(text).text(), text);
    }
}

TEST(ConfFile, KeepsACommentBehindAChangedValue) {
    ConfFile file = parse("# top\n  port = 5432   # the port\n\nhost = 'a'\n");
    file.set("port", "5433");
    EXPECT_EQ(file.text(), "# top\n  port = '5433'   # the port\n\nhost = 'a'\n");
    EXPECT_EQ(file.value("port"), "5433");
}

TEST(ConfFile, ChangesTheLastLineThatSetsANameAndRemovesTheOthers) {
    ConfFile file = parse("a = 1\nb = 2\nA = 3 # last\nc = 4\n");
    file.set("a", "5");
    EXPECT_EQ(file.text(), "b = 2\nA = '5' # last\nc = 4\n");
    EXPECT_EQ(file.find("a")->line, 2);
    EXPECT_EQ(file.find("c")->line, 3);
}

TEST(ConfFile, LeavesALineAloneThatSaysTheSame) {
    ConfFile file = parse("a 5 # c\n");
    file.set("a", "5");
    EXPECT_EQ(file.text(), "a 5 # c\n");
}

TEST(ConfFile, AppendsANameThatIsNotThere) {
    const auto appended = [](std::string_view text) {
        ConfFile file = parse(text);
        file.set("b", "it's");
        return file.text();
    };
    EXPECT_EQ(appended(""), "b = 'it''s'\n");
    EXPECT_EQ(appended("a = 1\n"), "a = 1\nb = 'it''s'\n");
    EXPECT_EQ(appended("a = 1"), "a = 1\nb = 'it''s'\n");
    EXPECT_EQ(appended("#b = 1\n"), "#b = 1\nb = 'it''s'\n");
}

TEST(ConfFile, KeepsTheLineEndsOfAnotherSystem) {
    ConfFile file = parse("a = 1\r\nb = 2 # c\r\n");
    file.set("b", "3");
    file.set("d", "4");
    EXPECT_EQ(file.text(), "a = 1\r\nb = '3' # c\r\nd = '4'\r\n");
    EXPECT_EQ(parse(file.text()).value("b"), "3");
}

TEST(ConfFile, ChangesNothingTheSecondTime) {
    ConfFile file = parse("a = 1\na = 2\n# c");
    file.set("a", "x y");
    file.set("b", nasty_name);
    const std::string once = file.text();
    file.set("a", "x y");
    file.set("b", nasty_name);
    EXPECT_EQ(file.text(), once);
    ConfFile again = parse(once);
    again.set("a", "x y");
    again.set("b", nasty_name);
    EXPECT_EQ(again.text(), once);
}

TEST(ConfFile, RemovesEveryLineThatSetsAName) {
    ConfFile file = parse("a = 1\n# a = 2\nA 3\nb = 4\n");
    file.remove("a");
    EXPECT_EQ(file.text(), "# a = 2\nb = 4\n");
    EXPECT_EQ(file.value("a"), std::nullopt);
    EXPECT_EQ(file.find("b")->line, 2);
    file.remove("nothing");
    EXPECT_EQ(file.text(), "# a = 2\nb = 4\n");
}

TEST(ConfFile, CanBeEmptiedAndFilledAgain) {
    ConfFile file = parse("a = 1");
    file.remove("a");
    EXPECT_EQ(file.text(), "");
    file.set("a", "2");
    EXPECT_EQ(file.text(), "a = '2'\n");
}

TEST(ConfFile, ReadsBackEveryByteThatItCanHold) {
    std::string every_byte;
    for (int c = 1; c < 256; ++c) {
        if (c != '\n') {
            every_byte += static_cast<char>(c);
        }
    }
    for (const std::string& value :
         {every_byte, nasty_name, std::string("\\"), std::string("'"), std::string("\\'"),
          std::string(), std::string("trailing\r")}) {
        ConfFile file = parse("a = old # c\n");
        file.set("a", value);
        file.set("b", value);
        EXPECT_EQ(parse(file.text()).value("a"), value);
        EXPECT_EQ(parse(file.text()).value("b"), value);
    }
}

TEST(ConfFile, RefusesAValueThatNoLineCanHold) {
    ConfFile file = parse("a = 1\n");
    EXPECT_EQ(thrown([&] { file.set("a", "x\ny"); }), "config: a setting holds a newline or a NUL");
    EXPECT_EQ(thrown([&] { file.set("a b", "x"); }), "internal: \"a b\" cannot name a setting");
    EXPECT_EQ(file.text(), "a = 1\n");
}

TEST(ConfFile, HoldsAConninfoTwoGrammarsDeep) {
    Conninfo conninfo;
    conninfo.set("user", "repl").set("application_name", nasty_name);
    ConfFile file = parse("");
    file.set("primary_conninfo", conninfo.str());
    EXPECT_EQ(file.text(),
              R"(primary_conninfo = 'user=repl application_name=''n3 it\\''s \\\\a "dq" =x #h $y )"
              "z` %p'''\n");
    const std::string read = parse(file.text()).value("primary_conninfo").value();
    EXPECT_EQ(*Conninfo::parse(read).find("application_name"), nasty_name);
}

}  // namespace
}  // namespace hooks
