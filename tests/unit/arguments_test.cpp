#include "common/core/arguments.h"

#include <gtest/gtest.h>

#include "tests/unit/expect_error.h"

namespace hooks {
namespace {

TEST(NodeId, MayHaveTheBlankThatPgpool44PutsBeforeIt) {
    EXPECT_EQ(parse_node_id("0", "%d"), 0);
    EXPECT_EQ(parse_node_id(" 1", "%d"), 1);
    EXPECT_EQ(parse_node_id("127\n", "%d"), 127);
}

TEST(NodeId, MayBeNobodyOrNeverKnown) {
    EXPECT_EQ(parse_node_id("-1", "%m"), -1);
    EXPECT_EQ(parse_node_id(" -2", "%P"), -2);
}

TEST(NodeId, IsNothingElse) {
    for (const char* word : {"", " ", "''", "a", "1a", "1 2", "+1", "-3", "128", "1.0", "0x1",
                             "99999999999", "/var/lib/pg"}) {
        EXPECT_EQ(thrown([&] { parse_node_id(word, "%d"); }),
                  "usage: %d is \"" + std::string(word) + "\", which is not a node id");
    }
}

TEST(Port, IsBetween1And65535) {
    EXPECT_EQ(parse_port(" 5432", "%p"), 5432);
    EXPECT_EQ(parse_port("1", "%p"), 1);
    EXPECT_EQ(parse_port("65535", "%p"), 65535);
    for (const char* word : {"", "0", "-1", "65536", "5432x", "db1"}) {
        EXPECT_EQ(thrown([&] { parse_port(word, "%r"); }),
                  "usage: %r is \"" + std::string(word) + "\", which is not a port");
    }
}

TEST(PlainWord, IsWhatStandsBetweenBlanks) {
    EXPECT_EQ(plain_word(" a b\t"), "a b");
    EXPECT_EQ(plain_word(""), "");
    EXPECT_EQ(plain_word("   "), "");
}

TEST(PlainWord, IsEmptyForTwoQuotes) {
    EXPECT_EQ(plain_word("\"\""), "");
    EXPECT_EQ(plain_word(" '' "), "");
    EXPECT_EQ(plain_word("'"), "'");
    EXPECT_EQ(plain_word("'\""), "'\"");
}

TEST(Host, IsANameAnAddressOrASocketDirectory) {
    for (const char* host : {"db1", "db-1.example.org", "under_score", "10.0.0.1", "::1",
                             "fe80::1%eth0", "/tmp", "/var/run/postgresql", "/run/pg_15+a@b-c"}) {
        EXPECT_EQ(parse_host(host, "%h"), host);
    }
    EXPECT_EQ(parse_host(" db1 ", "%h"), "db1");
}

TEST(Host, IsNeverSomethingForAShell) {
    for (const char* word :
         {"", "\"\"", "a b", "a;reboot", "$(reboot)", "`reboot`", "a'b", "a\"b", "a|b", "a&b",
          "a>b", "-oProxyCommand=x", "/tmp/a b", "/tmp/$x", "a/b", "a\nb", "user@host", "a\\b"}) {
        EXPECT_EQ(thrown([&] { parse_host(word, "%h"); }),
                  "usage: %h is \"" + std::string(word) +
                      "\", which is neither a host nor the directory of a unix socket");
    }
}

TEST(Directory, IsAnAbsolutePathWithWhateverAPathMayHold) {
    EXPECT_EQ(parse_directory("/var/lib/postgresql/15/main", "%D"), "/var/lib/postgresql/15/main");
    EXPECT_EQ(parse_directory(" /a ", "%D"), "/a");
    EXPECT_EQ(parse_directory("/" + nasty_name, "%D"), "/" + nasty_name);
    EXPECT_EQ(parse_directory("/d\xc3\xa4ten", "%D"), "/d\xc3\xa4ten");
}

TEST(Directory, IsNotRelativeAndHoldsNoControlCharacters) {
    EXPECT_EQ(thrown([] { parse_directory("data", "%D"); }),
              "usage: %D is \"data\", which is not an absolute path");
    EXPECT_EQ(thrown([] { parse_directory("", "%R"); }),
              "usage: %R is \"\", which is not an absolute path");
    for (const char* word : {"/a\nb", "/a\x1b[0m", "/a\x7f"}) {
        EXPECT_EQ(thrown([&] { parse_directory(word, "%D"); }),
                  "usage: %D is \"...\", a path that holds a control character");
    }
}

}  // namespace
}  // namespace hooks
