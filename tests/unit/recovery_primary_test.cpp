// Which backend is the primary, where all have the same data directory and port.
#include <gtest/gtest.h>

#include "recovery_1st_stage/decide.h"
#include "tests/unit/expect_error.h"

namespace hooks::recovery {
namespace {

Backend node(int id) {
    return {id, "db" + std::to_string(id), 5432, "/srv/pg", ""};
}

Request request() {
    return {"/srv/pg", 5432, false, {node(0), node(1)}, node(2)};
}

ServerSeen server(int id, Liveness liveness) {
    ServerSeen seen;
    seen.backend = node(id);
    seen.liveness = liveness;
    seen.detail = "as it was";
    return seen;
}

ServerSeen serving(int id, bool in_recovery) {
    ServerSeen seen = server(id, Liveness::serving);
    seen.server.emplace();
    seen.server->in_recovery = in_recovery;
    return seen;
}

TEST(RecoveryPrimary, IsTheOneOnThisHost) {
    EXPECT_EQ(those_here(request(), {{node(0), false}, {node(1), true}}),
              std::vector<Backend>{node(1)});
    EXPECT_EQ(those_here(request(), {{node(0), Unknown{"no such name"}}, {node(1), true}}),
              std::vector<Backend>{node(1)})
        << "what is proved needs no other to be known";
    EXPECT_EQ(those_here(request(), {{node(0), true}, {node(1), true}}),
              (std::vector<Backend>{node(0), node(1)}));
}

// Nor is the only one that fits taken for it: pgpool.conf here may be an old copy.
TEST(RecoveryPrimary, IsNotGuessedWhenNoneIsOnThisHost) {
    EXPECT_EQ(thrown([] {
                  those_here(request(), {{node(0), false}, {node(1), Unknown{"no such name"}}});
              }),
              "refused: pgpool gave no primary host, and none of the backends with /srv/pg and "
              "port 5432 is on this host, which would be the primary's; node 0 (db0:5432): its "
              "host is not this one; node 1 (db1:5432): no such name; On the primary's host its "
              "backend_hostname must be an address that the host has itself, or a name for one "
              "(/etc/hosts). By hand, or in the wrapper in PGDATA, the primary's host can be given "
              "as argument 7.");
    EXPECT_EQ(thrown_kind([] { those_here(request(), {{node(0), false}}); }), "refused");
}

TEST(RecoveryPrimary, IsTheOneOutOfRecoveryWhereSeveralAreHere) {
    EXPECT_EQ(the_primary(request(), {serving(0, true), serving(1, false)}), node(1));
    EXPECT_EQ(the_primary(request(), {serving(0, false), serving(1, true)}), node(0));
    EXPECT_EQ(the_primary(request(), {server(0, Liveness::refused), serving(1, false)}), node(1));
}

TEST(RecoveryPrimary, IsNotGuessedWhereAnotherMayBeOutOfRecoveryToo) {
    const auto refused = [](const std::vector<ServerSeen>& servers) {
        return thrown_kind([&] { the_primary(request(), servers); });
    };
    EXPECT_EQ(refused({serving(0, false), serving(1, false)}), "refused");
    EXPECT_EQ(refused({serving(0, true), serving(1, true)}), "refused");
    for (const Liveness liveness : {Liveness::silent, Liveness::denied, Liveness::rejecting}) {
        EXPECT_EQ(refused({server(0, liveness), serving(1, false)}), "refused");
        EXPECT_EQ(refused({serving(0, false), server(1, liveness)}), "refused");
    }
    EXPECT_EQ(thrown([] {
                  the_primary(request(), {serving(0, false), serving(1, false)});
              }),
              "refused: pgpool gave no primary host, and /srv/pg with port 5432 fits several "
              "nodes; which backend is the primary is not known: node 0 (db0:5432): is out of "
              "recovery; node 1 (db1:5432): is out of recovery; In pgpool.conf, give the backends "
              "of one host different data directories or ports, and host names or addresses. By "
              "hand, or in the wrapper in PGDATA, the primary's host can be given as argument 7.");
}

}  // namespace
}  // namespace hooks::recovery
