#include "common/core/server_facts.h"

#include <gtest/gtest.h>

#include "common/core/facts.h"
#include "tests/unit/decision_support.h"

namespace hooks {
namespace {

TEST(Known, IsUnknownUntilSomebodyLooks) {
    const Known<bool> fact;
    EXPECT_FALSE(fact);
    EXPECT_EQ(fact.why(), "not looked at");
}

TEST(Known, IsKnownWhenItIsFalse) {
    const Known<bool> fact(false);
    EXPECT_TRUE(fact);
    EXPECT_FALSE(*fact);
}

// What makes the enumerations of the decisions worth something: a rule that acts on an unknown
// fact cannot go unseen.
TEST(Known, ThrowsRatherThanAnswerWhenUnknown) {
    const Known<Lsn> fact(Unknown{"no answer"});
    EXPECT_THROW(*fact, std::bad_variant_access);
    EXPECT_THROW(static_cast<void>(fact->valid()), std::bad_variant_access);
    EXPECT_THROW(static_cast<void>(Known<Lsn>(Lsn{1}).why()), std::bad_variant_access);
}

TEST(EndOfWal, OfAPrimaryIsWhatItFlushed) {
    EXPECT_EQ(primary(0, "0/5000000").server->end_of_wal(), lsn("0/5000000"));
}

// The received position goes back to the begin of its segment when the walreceiver restarts, and
// is 0/0 after a restart of the server; the replayed one lags behind on a paused standby.
TEST(EndOfWal, OfAStandbyIsTheHigherOfReceivedAndReplayed) {
    ServerFacts facts = *standby(1, "0/5000000").server;
    facts.replayed = lsn("0/4037618");
    EXPECT_EQ(facts.end_of_wal(), lsn("0/5000000"));
    facts.received = lsn("0/4000000");
    EXPECT_EQ(facts.end_of_wal(), lsn("0/4037618"));
    facts.received = Lsn{};
    EXPECT_EQ(facts.end_of_wal(), lsn("0/4037618"));
}

TEST(ServerSeen, IsAPrimaryOrAStandbyOnlyWhenItSaidSo) {
    EXPECT_TRUE(primary(0, "0/1").is_primary());
    EXPECT_FALSE(primary(0, "0/1").is_standby());
    EXPECT_TRUE(standby(0, "0/1").is_standby());
    EXPECT_FALSE(standby(0, "0/1").is_primary());
    for (const Liveness liveness : {Liveness::serving, Liveness::rejecting, Liveness::refused,
                                    Liveness::denied, Liveness::silent}) {
        EXPECT_FALSE(seen(0, liveness).is_primary());
        EXPECT_FALSE(seen(0, liveness).is_standby());
    }
}

TEST(ServerSeen, DescribesItselfInOnePhrase) {
    EXPECT_EQ(primary(0, "0/5000028", 3).describe(),
              "node 0 (db0:5432): primary, timeline 3, WAL up to 0/5000028");
    EXPECT_EQ(standby(1, "0/5000028").describe(),
              "node 1 (db1:5432): standby, timeline 1, WAL up to 0/5000028");
    EXPECT_EQ(seen(2, Liveness::refused, "connection refused").describe(),
              "node 2 (db2:5432): not running: connection refused");
    EXPECT_EQ(seen(2, Liveness::rejecting, "x").describe(),
              "node 2 (db2:5432): rejecting connections: x");
    EXPECT_EQ(seen(2, Liveness::denied, "x").describe(), "node 2 (db2:5432): access denied: x");
    EXPECT_EQ(seen(2, Liveness::silent, "x").describe(), "node 2 (db2:5432): no answer: x");
    EXPECT_STREQ(to_string(Liveness::serving), "serving");
}

TEST(FindServer, FindsByNodeIdNotByPlace) {
    const std::vector<ServerSeen> servers = {standby(2, "0/1"), standby(0, "0/2")};
    ASSERT_NE(find_server(servers, 0), nullptr);
    EXPECT_EQ(find_server(servers, 0)->backend.host, "db0");
    EXPECT_EQ(find_server(servers, 1), nullptr);
    EXPECT_EQ(find_server({}, 0), nullptr);
}

}  // namespace
}  // namespace hooks
