// The texts of libpq, as different versions and languages have them.
#include "common/io/pg_failure.h"

#include <gtest/gtest.h>

#include "tests/contract/contract_support.h"

namespace hooks::contract {
namespace {

using Kind = PgAnswer::Kind;

struct Case {
    Kind kind;
    const char* sqlstate;
    const char* text;
};

TEST(PgFailureTest, ClassifiesWhatServersSay) {
    const Case cases[] = {
        {Kind::rejecting, "57P03",
         "connection to server at \"10.0.0.1\", port 5432 failed: FATAL:  57P03: the database "
         "system "
         "is starting up\nLOCATION:  ProcessStartupPacket, postmaster.c:2300\n"},
        {Kind::rejecting, "57P03", "FATAL:  57P03: the database system is shutting down"},
        {Kind::rejecting, "57P01",
         "FATAL:  57P01: terminating connection due to administrator command"},
        {Kind::rejecting, "XX000", "FATAL:  XX000: could not open file \"global/pg_filenode.map\""},
        {Kind::rejecting, "53100", "FATAL:  53100: could not write init file: No space left"},
        {Kind::denied, "28P01", "FATAL:  28P01: password authentication failed for user \"x\""},
        {Kind::denied, "28P01", "FATALE:  28P01: autenticazione fallita"},
        {Kind::denied, "28000", "FATAL:  28000: no pg_hba.conf entry for host \"10.0.0.9\""},
        {Kind::denied, "3D000", "FATAL:  3D000: database \"x\" does not exist"},
        {Kind::denied, "53300", "FATAL:  53300: sorry, too many clients already"},
        {Kind::denied, "42501", "FATAL:  42501: permission denied for database \"x\""},
        // Two attempts, with and without TLS: the last one counts.
        {Kind::rejecting, "57P03",
         "... failed: FATAL:  28000: no pg_hba.conf entry, SSL encryption\n"
         "connection to server at \"10.0.0.1\", port 5432 failed: FATAL:  57P03: starting up\n"},
        {Kind::denied, "", "fe_sendauth: no password supplied"},
        {Kind::denied, "", "server does not support SSL, but SSL was required"},
        {Kind::denied, "", "root certificate file \"/x/root.crt\" does not exist"},
        {Kind::denied, "", "could not open certificate file \"/x\": No such file or directory"},
        {Kind::refused, "",
         "connection to server at \"10.0.0.1\", port 5432 failed: Connection refused\n\tIs the "
         "server running on that host and accepting TCP/IP connections?\n"},
        {Kind::refused, "",
         "could not connect to server: No such file or directory\n\tIs the server running locally "
         "and accepting\n\tconnections on Unix domain socket \"/tmp/.s.PGSQL.5432\"?\n"},
        {Kind::silent, "",
         "connection to server at \"10.0.0.1\", port 5432 failed: No route to host"},
        {Kind::silent, "", "could not connect to server: Connection timed out"},
        {Kind::silent, "", "server closed the connection unexpectedly\n\tThis probably means ..."},
        {Kind::silent, "", ""},
    };
    for (const Case& expected : cases) {
        const PgFailure failure = classify_connection_failure(expected.text);
        EXPECT_STREQ(to_string(failure.kind), to_string(expected.kind)) << expected.text;
        EXPECT_EQ(failure.sqlstate, expected.sqlstate) << expected.text;
    }
}

TEST(PgFailureTest, KnowsWhoHungUp) {
    EXPECT_TRUE(classify_connection_failure("server closed the connection unexpectedly").hung_up);
    EXPECT_TRUE(classify_connection_failure("SSL SYSCALL error: EOF detected").hung_up);
    EXPECT_FALSE(classify_connection_failure("Connection refused").hung_up);
}

TEST(PgFailureTest, HintsNameTheLineOfThePassfileAndTheKeyForTls) {
    Conninfo target;
    target.set("host", "fd00::2").set("user", "postgres");
    EXPECT_EQ(
        connection_hint(classify_connection_failure("fe_sendauth: no password supplied"), target),
        R"(Is "fd00\:\:2:5432:*:postgres:PASSWORD" the right line in ~/.pgpass (mode 0600)?)");
    EXPECT_EQ(
        connection_hint(classify_connection_failure(
                            "server certificate for \"b\" does not match host name \"a\""),
                        target),
        "Look at sslmode and sslrootcert in postgres_conninfo, and whether the certificate of "
        "that server names fd00::2.");
}

TEST(PgFailureTest, OneLine) {
    EXPECT_EQ(one_line("FATAL:  28P01:  a\tb\nDETAIL:  c\nLOCATION:  f, x.c:1\n\n"),
              "FATAL: 28P01: a b; DETAIL: c");
    EXPECT_EQ(one_line(""), "");
}

}  // namespace
}  // namespace hooks::contract
