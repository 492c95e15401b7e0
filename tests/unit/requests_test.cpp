// What each hook takes its arguments for.
#include <gtest/gtest.h>

#include "common/core/plan.h"
#include "failover_command/request.h"
#include "follow_primary_command/request.h"
#include "pgpool_remote_start/request.h"
#include "recovery_1st_stage/request.h"
#include "tests/unit/expect_error.h"

namespace hooks {
namespace {

PgpoolConf conf() {
    PgpoolConf conf;
    conf.path = "/etc/pgpool2/pgpool.conf";
    conf.backends = {{0, "db0", 5432, "/srv/pg/0", ""},
                     {1, "db1", 5433, "/srv/pg/1", "one"},
                     {2, "db2", 5434, "/srv/pg/2", ""}};
    return conf;
}

// Node 0 at db0, with %m and %P.
Arguments pool_words(const std::string& main_node, const std::string& old_primary) {
    return {"0", "db0",       "5432", "/srv/pg/0", main_node, "db1",
            "0", old_primary, "5433", "/srv/pg/1", "db0",     "5432"};
}

// --- failover_command ---

TEST(FailoverRequest, TellsWhetherThePrimaryWasLost) {
    const auto lost = [](const std::string& old_primary) {
        return failover::parse_request(pool_words("1", old_primary), conf());
    };
    EXPECT_EQ(lost("0").detached, 0);
    EXPECT_EQ(lost("0").main_node, 1);
    EXPECT_TRUE(lost("0").detached_was_primary());
    EXPECT_FALSE(lost("2").detached_was_primary());
    EXPECT_TRUE(lost("-1").detached_was_primary()) << "unknown counts as yes";
    EXPECT_TRUE(lost("-2").detached_was_primary());
}

TEST(FailoverRequest, MayHaveNobodyLeft) {
    EXPECT_EQ(failover::parse_request(pool_words("-1", "0"), conf()).main_node, -1);
}

TEST(FailoverRequest, IsComparedWithPgpoolConf) {
    EXPECT_EQ(thrown_kind([] { failover::parse_request(pool_words("7", "0"), conf()); }), "usage");
    EXPECT_EQ(thrown_kind([] { failover::parse_request({}, conf()); }), "usage");
}

// --- follow_primary_command ---

TEST(FollowRequest, NamesWhoFollowsWhom) {
    const follow::Request request = follow::parse_request(pool_words("1", "2"), conf());
    EXPECT_EQ(request.node, 0);
    EXPECT_EQ(request.new_primary, 1);
    EXPECT_EQ(request.old_primary, 2);
}

TEST(FollowRequest, NeedsAPrimaryToFollow) {
    for (const char* nobody : {"-1", "-2"}) {
        EXPECT_EQ(thrown([&] { follow::parse_request(pool_words(nobody, "0"), conf()); }),
                  "usage: %m is " + std::string(nobody) +
                      ": there is no primary to follow; Promote a node first; pgpool then runs "
                      "follow_primary_command by itself.");
    }
}

TEST(FollowRequest, IsNotForTheNodeItself) {
    EXPECT_TRUE(
        thrown([] {
            follow::parse_request(pool_words("0", "0"), conf());
        }).starts_with("usage: %d and %m are both 0: a node cannot follow itself; The line in"));
}

// --- recovery_1st_stage ---

const Arguments seven = {"/srv/pg/0", "db1", "/srv/pg/1", "5432", "1", "5433", "db0"};

Arguments first(std::size_t count, Arguments words = seven) {
    words.resize(count);
    return words;
}

Arguments with(std::size_t place, const std::string& word) {
    Arguments words = seven;
    words.at(place) = word;
    return words;
}

std::string recovery_error(const Arguments& words, const PgpoolConf& conf) {
    return thrown([&] { recovery::parse_request(words, conf); });
}

std::vector<int> ids(const std::vector<Backend>& backends) {
    std::vector<int> out;
    for (const Backend& backend : backends) {
        out.push_back(backend.id);
    }
    return out;
}

// As most sites have it: every host with the same directory and port.
PgpoolConf same_layout() {
    PgpoolConf same = conf();
    for (Backend& backend : same.backends) {
        backend.port = 5432;
        backend.data_directory = "/srv/pg";
    }
    return same;
}

const std::string recovery_hint =
    "; pgpool calls it as: recovery_1st_stage PRIMARY_DATADIR DEST_HOST DEST_DATADIR PRIMARY_PORT "
    "[DEST_NODE_ID [DEST_PORT [PRIMARY_HOST]]]; recovery_1st_stage_command in pgpool.conf is only "
    "the file name, 'recovery_1st_stage'.";

TEST(RecoveryRequest, IsTheSameFromFourWordsToSeven) {
    for (const std::size_t count : {4U, 5U, 6U, 7U}) {
        const recovery::Request r = recovery::parse_request(first(count), conf());
        EXPECT_EQ(r.target.id, 1) << count;
        EXPECT_EQ(r.target.host, "db1");
        EXPECT_EQ(r.target.port, 5433);
        EXPECT_EQ(r.target.data_directory, "/srv/pg/1");
        EXPECT_EQ(r.target.application_name, "one");
        EXPECT_EQ(r.primaries, std::vector<Backend>{conf().backends[0]}) << count;
        EXPECT_EQ(r.primary_named, count == 7) << count;
        EXPECT_EQ(r.primary_directory, "/srv/pg/0");
        EXPECT_EQ(r.primary_port, 5432);
    }
}

TEST(RecoveryRequest, NeedsNoPgpoolConfWhenPgpoolSaysEverything) {
    const recovery::Request r = recovery::parse_request(seven, {});
    EXPECT_EQ(r.target, (Backend{1, "db1", 5433, "/srv/pg/1", ""}));
    EXPECT_EQ(r.primaries, (std::vector<Backend>{{unnamed_primary, "db0", 5432, "/srv/pg/0", ""}}));
}

TEST(RecoveryRequest, NeedsPgpoolConfForWhatOlderVersionsDoNotSay) {
    const std::string no_primary =
        "usage: pgpool gave no primary host, and pgpool.conf does not tell it either; Set "
        "pgpool_conf in hooks.conf on this host.";
    EXPECT_EQ(recovery_error(first(6), {}), no_primary);
    EXPECT_EQ(recovery_error(first(5), {}), no_primary);
    EXPECT_EQ(recovery_error(first(4), {}),
              "usage: pgpool gave no node id, and /srv/pg/1 on db1 is no backend in pgpool.conf; "
              "Set pgpool_conf in hooks.conf on this host.");
}

TEST(RecoveryRequest, HasFourToSevenWords) {
    EXPECT_EQ(recovery_error(first(3), conf()),
              "usage: 3 arguments instead of 4 to 7" + recovery_hint);
    EXPECT_EQ(recovery_error(first(8), conf()),
              "usage: 8 arguments instead of 4 to 7" + recovery_hint);
    EXPECT_EQ(recovery_error({}, conf()), "usage: 0 arguments instead of 4 to 7" + recovery_hint);
}

TEST(RecoveryRequest, NamesTheArgumentThatCannotBe) {
    const struct {
        std::size_t place;
        const char* word;
        const char* name;
    } cases[] = {
        {0, "", "argument 1 (primary data directory)"},
        {0, "srv", "argument 1 (primary data directory)"},
        {1, "", "argument 2 (destination host)"},
        {1, "$(reboot)", "argument 2 (destination host)"},
        {1, "db1;reboot", "argument 2 (destination host)"},
        {1, "db'1", "argument 2 (destination host)"},
        {2, "\"\"", "argument 3 (destination data directory)"},
        {3, "0", "argument 4 (primary port)"},
        {4, "one", "argument 5 (destination node id)"},
        {4, "-1", "argument 5 (destination node id)"},
        {4, "7", "argument 5 (destination node id)"},
        {5, "port", "argument 6 (destination port)"},
        {6, "a b", "argument 7 (primary host)"},
    };
    for (const auto& [place, word, name] : cases) {
        EXPECT_TRUE(recovery_error(with(place, word), conf())
                        .starts_with("usage: " + std::string(name) + " is "))
            << name << " " << word;
    }
}

TEST(RecoveryRequest, IsComparedWithPgpoolConf) {
    EXPECT_EQ(recovery_error(with(4, "7"), conf()),
              "usage: argument 5 (destination node id) is 7, which is not in "
              "/etc/pgpool2/pgpool.conf" +
                  recovery_hint);
    EXPECT_TRUE(recovery_error(first(4, with(1, "db2")), conf())
                    .starts_with("usage: pgpool gave no node id, and /srv/pg/1 on db2 is no"));
}

// A healthy node was stopped and replaced when one word was another node's.
TEST(RecoveryRequest, NeverTakesTwoNodesForOne) {
    const auto differs = [](const char* what, const char* setting, const char* known) {
        return "usage: argument " + std::string(what) + " but " + setting +
               "1 in /etc/pgpool2/pgpool.conf is \"" + known +
               "\": the arguments are shifted, or this is the configuration of another pgpool" +
               recovery_hint;
    };
    EXPECT_EQ(recovery_error(with(1, "db2"), conf()),
              differs("2 (destination host) is \"db2\"", "backend_hostname", "db1"));
    EXPECT_EQ(recovery_error(with(1, "localhost"), conf()),
              differs("2 (destination host) is \"localhost\"", "backend_hostname", "db1"));
    EXPECT_EQ(recovery_error(with(2, "/srv/pg/2"), conf()),
              differs("3 (destination data directory) is \"/srv/pg/2\"", "backend_data_directory",
                      "/srv/pg/1"));
    EXPECT_EQ(recovery_error(with(5, "5434"), conf()),
              differs("6 (destination port) is \"5434\"", "backend_port", "5433"));
}

TEST(RecoveryRequest, NeedsAPrimaryThatIsABackend) {
    const std::string other =
        " is no backend in /etc/pgpool2/pgpool.conf: the arguments are shifted, or this is the "
        "configuration of another pgpool" +
        recovery_hint;
    EXPECT_EQ(recovery_error(with(6, "db9"), conf()), "usage: the primary, db9:5432," + other);
    EXPECT_EQ(recovery_error(with(3, "5499"), conf()), "usage: the primary, db0:5499," + other);
    EXPECT_EQ(recovery_error(with(0, "/a/link/to/it"), conf()), "nothing")
        << "the server's own name for its directory may be another one";
    EXPECT_TRUE(recovery_error(first(6, with(0, "/a/link/to/it")), conf())
                    .starts_with("usage: pgpool gave no primary host, and pgpool.conf does not"));
}

TEST(RecoveryRequest, NeverRebuildsThePrimaryItself) {
    const std::string itself =
        "usage: the target (db0:5432, /srv/pg/0) is the primary itself; pgpool turns the directory "
        "of a unix socket into \"localhost\": give the backends host names or addresses in "
        "pgpool.conf.";
    const Arguments words = {"/srv/pg/0", "db0", "/srv/pg/0", "5432", "0", "5432", "db0"};
    EXPECT_EQ(recovery_error(words, {}), itself);
    EXPECT_EQ(thrown_kind([&] { recovery::parse_request(words, conf()); }), "usage");
}

// pgpool says "localhost" for every backend that it reaches by a unix socket.
TEST(RecoveryRequest, TellsNodesOfOneHostApartByDirectoryAndPort) {
    const Arguments one_host = {"/srv/pg/0", "localhost", "/srv/pg/1", "5432",
                                "1",         "5433",      "localhost"};
    const recovery::Request r = recovery::parse_request(one_host, {});
    EXPECT_EQ(r.primaries.at(0).host, "localhost");
    EXPECT_EQ(r.target.host, "localhost");
    PgpoolConf sockets = conf();
    sockets.backends[0].host = "/var/run/postgresql";
    sockets.backends[1].host = "";
    for (const std::size_t count : {4U, 5U, 6U, 7U}) {
        EXPECT_EQ(recovery::parse_request(first(count, one_host), sockets).target.id, 1) << count;
        EXPECT_EQ(ids(recovery::parse_request(first(count, one_host), sockets).primaries),
                  std::vector<int>{0})
            << count;
    }
    Arguments same_directory = one_host;
    same_directory[2] = "/srv/pg/0";
    EXPECT_EQ(thrown_kind([&] { recovery::parse_request(same_directory, {}); }), "usage");
    Arguments same_port = one_host;
    same_port[5] = "5432";
    EXPECT_EQ(thrown_kind([&] { recovery::parse_request(same_port, {}); }), "usage");
}

// The first that fitted was taken for the primary, which may be one of the past.
TEST(RecoveryRequest, KeepsAllWhoMayBeThePrimaryWhereEveryHostHasTheSameLayout) {
    const Arguments words = {"/srv/pg", "db2", "/srv/pg", "5432", "2", "5432", "db1"};
    for (const std::size_t count : {4U, 5U, 6U}) {
        const recovery::Request r = recovery::parse_request(first(count, words), same_layout());
        EXPECT_EQ(r.target.id, 2) << count;
        EXPECT_FALSE(r.primary_named);
        EXPECT_EQ(ids(r.primaries), (std::vector<int>{0, 1})) << count;
    }
    const recovery::Request named = recovery::parse_request(words, same_layout());
    EXPECT_EQ(named.primaries, (std::vector<Backend>{{1, "db1", 5432, "/srv/pg", ""}}));
    EXPECT_TRUE(named.primary_named);
}

TEST(RecoveryRequest, KeepsAllWhoAreCalledLocalhost) {
    PgpoolConf sockets = same_layout();
    for (Backend& backend : sockets.backends) {
        backend.host = "/run/" + std::to_string(backend.id);
    }
    sockets.backends[2].data_directory = "/srv/other";
    const Arguments words = {"/srv/pg", "localhost", "/srv/other", "5432",
                             "2",       "5432",      "localhost"};
    EXPECT_EQ(ids(recovery::parse_request(words, sockets).primaries), (std::vector<int>{0, 1}));
}

TEST(RecoveryRequest, NeverGuessesTheTarget) {
    PgpoolConf twice = same_layout();
    twice.backends[1] = {1, "db2", 5433, "/srv/pg", ""};
    const Arguments words = {"/srv/pg", "db2", "/srv/pg", "5432"};
    EXPECT_EQ(recovery_error(words, twice),
              "usage: pgpool gave no node id, and /srv/pg on db2 may be node 1 (db2:5433) or node "
              "2 (db2:5432); Give the backends of one host different data directories in "
              "/etc/pgpool2/pgpool.conf.");
}

// --- pgpool_remote_start ---

const std::string remote_start_hint =
    "; pgpool calls it as: pgpool_remote_start DEST_HOST DEST_DATADIR, without any quoting: a data "
    "directory with a blank in its name cannot be recovered by it.";

TEST(RemoteStartRequest, IsAHostAndADirectory) {
    EXPECT_EQ(remote_start::parse_request({"db1", "/srv/pg/1"}, conf()), conf().backends[1]);
}

TEST(RemoteStartRequest, DoesWithoutPgpoolConf) {
    const Backend unnamed{unnamed_target, "db1", 0, "/srv/pg/1", ""};
    EXPECT_EQ(remote_start::parse_request({"db1", "/srv/pg/1"}, {}), unnamed);
    EXPECT_EQ(remote_start::parse_request({"db1", "/srv/pg/1/"}, conf()).id, unnamed_target);
    EXPECT_EQ(remote_start::parse_request({"db2", "/srv/pg/1"}, conf()).id, unnamed_target);
}

TEST(RemoteStartRequest, FindsTheBackendThatPgpoolCallsLocalhost) {
    PgpoolConf sockets = conf();
    sockets.backends[1].host = "/var/run/postgresql";
    EXPECT_EQ(remote_start::parse_request({"localhost", "/srv/pg/1"}, sockets).id, 1);
    EXPECT_EQ(remote_start::parse_request({"localhost", "/srv/pg/2"}, sockets).id, unnamed_target);
}

TEST(RemoteStartRequest, TellsNodesOfOneDirectoryApartByTheirHosts) {
    for (int node = 0; node < 3; ++node) {
        EXPECT_EQ(
            remote_start::parse_request({"db" + std::to_string(node), "/srv/pg"}, same_layout()).id,
            node);
    }
    PgpoolConf sockets = same_layout();
    sockets.backends[1].host = "/run/1";
    sockets.backends[2].host = "/run/2";
    EXPECT_EQ(thrown([&] {
                  remote_start::parse_request({"localhost", "/srv/pg"}, sockets);
              }),
              "usage: /srv/pg on localhost may be node 1 (/run/1:5432) or node 2 (/run/2:5432); "
              "Give the backends of one host different data directories in "
              "/etc/pgpool2/pgpool.conf.");
}

TEST(RemoteStartRequest, HasTwoWords) {
    EXPECT_EQ(thrown([] { remote_start::parse_request({"db1"}, conf()); }),
              "usage: 1 arguments instead of 2" + remote_start_hint);
    EXPECT_EQ(thrown([] {
                  remote_start::parse_request({"db1", "/srv/my", "data"}, conf());
              }),
              "usage: 3 arguments instead of 2" + remote_start_hint);
    EXPECT_EQ(thrown([] { remote_start::parse_request({}, conf()); }),
              "usage: 0 arguments instead of 2" + remote_start_hint);
}

TEST(RemoteStartRequest, NamesTheArgumentThatCannotBe) {
    for (const char* host : {"", "\"\"", "db 1", "db1;reboot", "$(reboot)", "-x", "db'1"}) {
        EXPECT_TRUE(thrown([&] {
                        remote_start::parse_request({host, "/srv/pg/1"}, {});
                    }).starts_with("usage: argument 1 (destination host) is "))
            << host;
    }
    for (const char* directory : {"", "srv", "''", "/srv/\n"}) {
        EXPECT_EQ(thrown_kind([&] {
                      remote_start::parse_request({"db1", directory}, {});
                  }),
                  std::string(directory) == "/srv/\n" ? "nothing" : "usage")
            << directory;
    }
}

}  // namespace
}  // namespace hooks
