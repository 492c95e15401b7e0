// Who is a candidate, and who the best: histories, synchronous replication, settings.
#include "failover_command/candidates.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "tests/unit/decision_support.h"

namespace hooks::failover {
namespace {

constexpr Request primary_lost{0, 1, 0};
const ServerSeen dead = seen(0, Liveness::refused, "connection refused");

ServerSeen with_history(ServerSeen server, const std::string& file) {
    server.server->history = TimelineHistory::parse(server.server->timeline, file);
    return server;
}
// On timeline 1; on timeline 2, which began at `fork`.
ServerSeen first(int id, const char* end) {
    return with_history(standby(id, end, 1), "");
}
ServerSeen second(int id, const char* end, const std::string& fork) {
    return with_history(standby(id, end, 2), "1\t" + fork + "\tno recovery target specified\n");
}
ServerSeen following(ServerSeen server, int node) {
    server.server->primary_conninfo = "host=db" + std::to_string(node) + " port=5432";
    return server;
}

std::string ids(const std::vector<const ServerSeen*>& servers) {
    std::string out;
    for (const ServerSeen* seen : servers) {
        out += (out.empty() ? "" : " ") + std::to_string(seen->backend.id);
    }
    return out;
}
std::string ranking(const std::vector<ServerSeen>& servers,
                    const std::vector<Failed>& failed = {}) {
    return ids(find_candidates(primary_lost, servers, {}, failed).ranked);
}

TEST(Candidates, AreOnOneLineWhenOneHistoryContinuesTheOther) {
    const std::vector<ServerSeen> servers = {dead, first(1, "0/4000000"),
                                             second(2, "0/6000000", "0/5000000")};
    EXPECT_EQ(ranking(servers), "2 1");
    EXPECT_EQ(ranking({dead, first(1, "0/5000000"), servers[2]}), "2 1") << "up to the fork";
}

TEST(Candidates, WalBehindTheForkIsAnotherLine) {
    const std::vector<ServerSeen> servers = {dead, first(1, "0/5000001"), first(3, "0/5500000"),
                                             second(2, "0/6000000", "0/5000000")};
    const Candidates found = find_candidates(primary_lost, servers, {}, {});
    EXPECT_EQ(ids(found.ranked), "3 1") << "the line with more members";
    EXPECT_EQ(ids(found.left_out), "2");
    EXPECT_NE(
        found.remarks().find("node 2 (db2:5432) (timeline 2, WAL up to 0/6000000) is left out"),
        std::string::npos)
        << found.remarks();
}

TEST(Candidates, TwoPromotionsToTheSameTimelineAreTwoLines) {
    EXPECT_EQ(ranking({dead, second(1, "0/7000000", "0/5000000"),
                       second(2, "0/6000000", "0/4000000"), second(3, "0/6000000", "0/4000000")}),
              "2 3");
}

TEST(Candidates, WhoFollowsTheLostPrimaryDecidesBetweenTwoLines) {
    const ServerSeen one = first(1, "0/5500000");
    const ServerSeen other = second(2, "0/6000000", "0/5000000");
    EXPECT_EQ(ranking({dead, following(one, 0), following(other, 5)}), "1");
    EXPECT_EQ(ranking({dead, following(one, 5), following(other, 0)}), "2");
    ServerSeen streaming = one;
    streaming.server->sender_host = "db0";
    streaming.server->sender_port = 5432;
    EXPECT_EQ(ranking({dead, streaming, following(other, 5)}), "1");
    for (const int both : {0, 5}) {
        const std::vector<ServerSeen> servers = {dead, following(one, both),
                                                 following(other, both)};
        const Candidates found = find_candidates(primary_lost, servers, {}, {});
        EXPECT_EQ(ids(found.ranked), "");
        EXPECT_NE(found.two_lines.find("node 1"), std::string::npos);
        EXPECT_NE(found.two_lines.find("node 2"), std::string::npos);
    }
}

TEST(Candidates, AHeldConnectionStringSaysWhomItsServerFollows) {
    ServerSeen held = first(1, "0/5500000");
    held.server->primary_conninfo = "host=db0 port=5432 host=/pgpool-hooks-held hostaddr=''";
    EXPECT_EQ(ranking({dead, held, following(second(2, "0/6000000", "0/5000000"), 5)}), "1");
}

TEST(Candidates, AHistoryThatCouldNotBeReadJoinsNoTwoLines) {
    const ServerSeen unknown = standby(3, "0/5000000", 1);
    EXPECT_EQ(ranking({dead, first(1, "0/5500000"), unknown}), "1 3");
    const Candidates found = find_candidates(
        primary_lost, {dead, first(1, "0/5500000"), second(2, "0/6000000", "0/5000000"), unknown},
        {}, {});
    EXPECT_EQ(ids(found.ranked), "");
    EXPECT_FALSE(found.two_lines.empty());
}

// What failed still tells which rows are the cluster's.
TEST(Candidates, AFailedMemberCountsForItsLine) {
    EXPECT_EQ(ranking({dead, first(1, "0/5500000"), first(3, "0/5600000"),
                       second(2, "0/6000000", "0/5000000")},
                      {{3, "it broke"}}),
              "1");
}

// --- ranks of equals ---

ServerSeen synchronous(ServerSeen server, const char* setting) {
    server.server->synchronous_standby_names = setting;
    server.server->primary_conninfo =
        "host=db0 application_name=n" + std::to_string(server.backend.id);
    return server;
}

TEST(Candidates, ASynchronousStandbyIsTakenFirstAmongEquals) {
    const ServerSeen one = synchronous(first(1, "0/5000000"), "n2");
    const ServerSeen two = synchronous(first(2, "0/5000000"), "n2");
    EXPECT_EQ(ranking({dead, one, two}), "2 1");
    EXPECT_EQ(ranking({dead, synchronous(first(1, "0/5000001"), "n2"), two}), "1 2")
        << "more WAL holds all that any synchronous standby confirmed";
}

TEST(Candidates, APausedOneComesAfterItsEquals) {
    ServerSeen paused = first(1, "0/5000000");
    paused.server->replay_paused = true;
    EXPECT_EQ(ranking({dead, paused, first(2, "0/5000000")}), "2 1");
    EXPECT_EQ(ranking({dead, paused, first(2, "0/4000000")}), "1 2");
}

TEST(Candidates, OneThatWouldShutDownComesLast) {
    ServerSeen low = first(1, "0/9000000");
    low.server->replay_paused = true;
    low.server->short_of = "max_connections (50, the primary has 100)";
    const std::vector<ServerSeen> servers = {dead, low, first(2, "0/5000000")};
    const Candidates found = find_candidates(primary_lost, servers, {}, {});
    EXPECT_EQ(ids(found.ranked), "2 1");
    EXPECT_NE(found.remarks().find("max_connections (50, the primary has 100)"), std::string::npos);
    EXPECT_EQ(ranking({dead, low}), "1");
}

TEST(Candidates, RowsMayBeMissingWhenThoseWhoConfirmedThemAreNotThere) {
    const auto missing = [](const std::vector<ServerSeen>& servers) {
        return !find_candidates(primary_lost, servers, {}, {}).rows_may_be_missing.empty();
    };
    EXPECT_FALSE(missing({dead, first(1, "0/5000000"), seen(2, Liveness::silent)})) << "off";
    EXPECT_FALSE(missing({dead, synchronous(first(1, "0/5000000"), "*")}));
    EXPECT_TRUE(missing({dead, synchronous(first(1, "0/5000000"), "n2")}));
    EXPECT_TRUE(missing(
        {dead, synchronous(first(1, "0/5000000"), "ANY 1 (*)"), seen(2, Liveness::silent)}));
    EXPECT_FALSE(
        missing({dead, synchronous(first(1, "0/5000000"), "ANY 2 (*)"), seen(2, Liveness::silent)}))
        << "two had to confirm, one of them is here";
    EXPECT_FALSE(
        missing({dead, synchronous(first(1, "0/5000000"), "n1"), seen(2, Liveness::silent)}))
        << "that one was never asked";
}

TEST(Candidates, TheNewPrimaryWaitsWhenTooFewOfItsStandbysAreLeft) {
    const ServerSeen one = synchronous(first(1, "0/5000000"), "ANY 1 (n0, n2)");
    EXPECT_EQ(nobody_can_confirm(one, {dead, one, synchronous(first(2, "0/5000000"), "")}, {}), "");
    for (const ServerSeen& other : {seen(2, Liveness::silent), synchronous(first(3, "0/1"), "")}) {
        EXPECT_NE(nobody_can_confirm(one, {dead, one, other}, {}).find("'ANY 1 (n0, n2)'"),
                  std::string::npos);
    }
    const ServerSeen two = synchronous(first(2, "0/5000000"), "");
    EXPECT_NE(nobody_can_confirm(one, {dead, one, two}, {&two}), "") << "it must be rewound first";
    EXPECT_EQ(nobody_can_confirm(first(1, "0/5000000"), {dead}, {}), "") << "off";
    ServerSeen relaxed = synchronous(first(1, "0/5000000"), "");
    relaxed.server->synchronous_held = "reset: ANY 1 (n0, n2)";
    EXPECT_NE(nobody_can_confirm(relaxed, {dead, relaxed}, {}), "") << "as it is meant to be";
}

// --- what holds for all of them ---

TEST(Candidates, NeverMixTwoLinesAndNeverDependOnTheOrderOfTheAnswers) {
    std::vector<ServerSeen> kinds = {seen(0, Liveness::refused),
                                     standby(0, "0/5000000", 2),
                                     first(0, "0/4000000"),
                                     first(0, "0/5500000"),
                                     second(0, "0/6000000", "0/5000000"),
                                     second(0, "0/6000000", "0/4500000")};
    for (std::size_t index = 0; index < 6 * 6 * 6 * 6; ++index) {
        Pick pick(index);
        std::vector<ServerSeen> servers = {dead};
        for (int id = 1; id <= 3; ++id) {
            servers.push_back(pick.of(kinds));
            servers.back().backend = backend(id);
            if (servers.back().server && pick.yes_or_no() && id < 3) {
                servers.back() = following(servers.back(), 0);
            }
        }
        const Candidates found = find_candidates(primary_lost, servers, {}, {});
        const auto standbys = std::count_if(servers.begin(), servers.end(),
                                            [](const ServerSeen& s) { return s.is_standby(); });
        if (found.two_lines.empty()) {
            ASSERT_EQ(found.ranked.size() + found.left_out.size(), standbys);
            ASSERT_EQ(found.ranked.empty(), standbys == 0);
        } else {
            ASSERT_TRUE(found.ranked.empty());
        }
        for (const ServerSeen* one : found.ranked) {
            for (const ServerSeen* two : found.ranked) {
                if (!one->server->history || !two->server->history) {
                    continue;
                }
                const auto fork = common_ancestor(*one->server->history, *two->server->history);
                ASSERT_TRUE(fork);
                ASSERT_TRUE(!fork->end || one->server->end_of_wal() <= *fork->end ||
                            two->server->end_of_wal() <= *fork->end);
            }
        }
        const std::string before = ids(found.ranked);
        std::rotate(servers.begin(), servers.begin() + 2, servers.end());
        ASSERT_EQ(ids(find_candidates(primary_lost, servers, {}, {}).ranked), before);
    }
}

}  // namespace
}  // namespace hooks::failover
