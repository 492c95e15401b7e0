#include "common/core/conninfo.h"

#include <gtest/gtest.h>

#include "tests/unit/expect_error.h"

namespace hooks {
namespace {

using Items = std::vector<std::pair<std::string, std::string>>;

Items items_of(const char* text) {
    return Conninfo::parse(text).items();
}

TEST(Conninfo, ReadsKeywordsAndValues) {
    EXPECT_EQ(items_of("host=10.0.0.1 port=5432"), (Items{{"host", "10.0.0.1"}, {"port", "5432"}}));
    EXPECT_EQ(items_of("  host = a\tport\t=\t1 "), (Items{{"host", "a"}, {"port", "1"}}));
    EXPECT_EQ(items_of(""), Items{});
    EXPECT_EQ(items_of("  "), Items{});
}

TEST(Conninfo, ReadsQuotesAndBackslashesAsLibpqDoes) {
    EXPECT_EQ(items_of(R"(user='it\'s' password='a\\b c')"),
              (Items{{"user", "it's"}, {"password", "a\\b c"}}));
    EXPECT_EQ(items_of(R"(user=a\ b\'c)"), (Items{{"user", "a b'c"}}));
    EXPECT_EQ(items_of(R"(user='' options=)"), (Items{{"user", ""}, {"options", ""}}));
    EXPECT_EQ(items_of("user='a'port=1"), (Items{{"user", "a"}, {"port", "1"}}));
    EXPECT_EQ(items_of(R"(user=a\)"), (Items{{"user", "a"}}));
    // libpq passes over blanks behind '=' before it looks for a value.
    EXPECT_EQ(items_of("user= port=1"), (Items{{"user", "port=1"}}));
}

TEST(Conninfo, LetsTheLastValueWinInTheFirstPlace) {
    EXPECT_EQ(items_of("host=a port=1 host=b"), (Items{{"host", "b"}, {"port", "1"}}));
}

TEST(Conninfo, RefusesWhatLibpqRefuses) {
    const std::string quoting = "; A value with blanks must be quoted: keyword='two words'.";
    EXPECT_EQ(thrown([] { Conninfo::parse("host"); }),
              "config: missing \"=\" at offset 4 of the connection string" + quoting);
    EXPECT_EQ(thrown([] { Conninfo::parse("host=a mydb port=1"); }),
              "config: missing \"=\" at offset 12 of the connection string" + quoting);
    EXPECT_EQ(thrown([] { Conninfo::parse("user='a"); }),
              "config: unterminated quoted string in the connection string");
    EXPECT_EQ(thrown([] { Conninfo::parse(R"(user='a\)"); }),
              "config: unterminated quoted string in the connection string");
    EXPECT_EQ(thrown([] { Conninfo::parse("=a"); }),
              "config: a keyword of the connection string is not made of a-z, 0-9 and _");
    EXPECT_EQ(thrown([] { Conninfo::parse("Host=a"); }),
              "config: a keyword of the connection string is not made of a-z, 0-9 and _");
}

TEST(Conninfo, DoesNotRepeatWhatMayBeAPassword) {
    EXPECT_EQ(thrown([] { Conninfo::parse("password=my hunter2"); }).find("hunter2"),
              std::string::npos);
}

TEST(Conninfo, RefusesUrisAndSaysWhatToWrite) {
    for (const char* uri : {"postgresql://h/db", "postgres://h/db"}) {
        EXPECT_EQ(thrown([&] { Conninfo::parse(uri); }),
                  "config: a connection URI cannot be used here; Write it as keywords and values: "
                  "host=... port=... user=...");
    }
}

TEST(Conninfo, RefusesLineBreaksAndNul) {
    EXPECT_EQ(thrown([] { Conninfo::parse("host=a\nport=1"); }),
              "config: a connection string holds a newline or a NUL");
    EXPECT_EQ(thrown([] { Conninfo().set("user", std::string_view("a\0b", 3)); }),
              "config: the value of user holds a newline or a NUL");
}

TEST(Conninfo, QuotesOnlyWhereItMust) {
    Conninfo conninfo;
    conninfo.set("host", "db_1.example").set("user", "").set("password", "p'w\\d");
    conninfo.set("hostaddr", "fe80::1").set("application_name", "a-b");
    EXPECT_EQ(conninfo.str(), R"(host=db_1.example user='' password='p\'w\\d' hostaddr='fe80::1' )"
                              R"(application_name='a-b')");
}

TEST(Conninfo, ReadsBackWhatItWrote) {
    Conninfo conninfo;
    conninfo.set("application_name", nasty_name).set("user", "").set("options", " \t'\\' ");
    EXPECT_EQ(conninfo.str(),
              R"(application_name='n3 it\'s \\a "dq" =x #h $y z` %p' user='' options=' )"
              "\t"
              R"(\'\\\' ')");
    EXPECT_EQ(Conninfo::parse(conninfo.str()).items(), conninfo.items());
}

TEST(Conninfo, SetsAKeywordAgainInItsPlace) {
    Conninfo conninfo = Conninfo::parse("host=a port=1");
    EXPECT_EQ(conninfo.set("host", "b").str(), "host=b port=1");
    EXPECT_EQ(*conninfo.find("host"), "b");
    EXPECT_EQ(conninfo.find("user"), nullptr);
    EXPECT_FALSE(conninfo.empty());
    EXPECT_TRUE(Conninfo().empty());
}

TEST(Conninfo, IsOverriddenByWhatIsMergedIntoIt) {
    Conninfo conninfo = Conninfo::parse("host=a sslmode=disable");
    conninfo.merge(Conninfo::parse("sslmode=require keepalives=1"));
    EXPECT_EQ(conninfo.str(), "host=a sslmode=require keepalives=1");
    EXPECT_EQ(conninfo.merge(conninfo).str(), "host=a sslmode=require keepalives=1");
}

TEST(Conninfo, ShowsNoSecrets) {
    const Conninfo conninfo = Conninfo::parse(
        "host=a password=hunter2 sslpassword='hunter3 x' oauth_client_secret=s scram_client_key=k "
        "passfile=/p require_auth=password");
    EXPECT_EQ(conninfo.redacted(),
              "host=a password=******** sslpassword=******** oauth_client_secret=******** "
              "scram_client_key=******** passfile='/p' require_auth=password");
}

TEST(QuoteGucString, DoublesQuotesAndBackslashes) {
    EXPECT_EQ(quote_guc_string(""), "''");
    EXPECT_EQ(quote_guc_string("it's"), "'it''s'");
    EXPECT_EQ(quote_guc_string(R"(password='p\'w\\d')"), R"('password=''p\\''w\\\\d''')");
    EXPECT_EQ(thrown([] { quote_guc_string("a\nb"); }),
              "config: a setting holds a newline or a NUL");
}

TEST(QuoteSqlLiteral, NeedsAnEOnlyForBackslashes) {
    EXPECT_EQ(quote_sql_literal("it's\nme"), "'it''s\nme'");
    EXPECT_EQ(quote_sql_literal(R"(a\'b)"), R"(E'a\\''b')");
    EXPECT_EQ(thrown_kind([] { quote_sql_literal(std::string_view("\0", 1)); }), "config");
}

TEST(QuoteSqlIdentifier, DoublesDoubleQuotes) {
    EXPECT_EQ(quote_sql_identifier("a\"b'c\\"), "\"a\"\"b'c\\\"");
    EXPECT_EQ(thrown_kind([] { quote_sql_identifier(std::string_view("\0", 1)); }), "config");
}

TEST(HostAndPort, KeepAnIpv6AddressApartFromItsPort) {
    EXPECT_EQ(host_and_port("db1", "5432"), "db1:5432");
    EXPECT_EQ(host_and_port("fd00::2", "5432"), "[fd00::2]:5432");
    EXPECT_EQ(host_and_port("/run/a:b", "5432"), "/run/a:b:5432");
    EXPECT_EQ(host_and_port("", "5432"), "local socket:5432");
}

TEST(SlotName, ComesFromTheNodeId) {
    EXPECT_EQ(slot_name(2), "pgpool_node_2");
    EXPECT_EQ(slot_name(127), "pgpool_node_127");
    EXPECT_EQ(thrown([] { slot_name(-1); }), "internal: node -1 has no replication slot");
}

}  // namespace
}  // namespace hooks
