#include "common/core/pool_arguments.h"

#include <gtest/gtest.h>

#include "tests/unit/expect_error.h"

namespace hooks {
namespace {

const std::string hook = "failover_command";
const std::string hint =
    "; The line in pgpool.conf should read: failover_command = "
    "'/usr/lib/pgpool-hooks/failover_command %d %h %p \"%D\" %m %H %M %P %r \"%R\" %N %S'";

// Node 0, the primary, is lost; node 1 is the lowest that is left.
const Arguments usual = {"0", "db0", "5432", "/srv/pg/0", "1",   "db1",
                         "0", "0",   "5433", "/srv/pg/1", "db0", "5432"};

Arguments with(std::size_t place, const std::string& word) {
    Arguments words = usual;
    words.at(place) = word;
    return words;
}

std::string error(const Arguments& words) {
    return thrown([&] { parse_pool_arguments(words, hook); });
}

PgpoolConf conf() {
    PgpoolConf conf;
    conf.path = "/etc/pgpool2/pgpool.conf";
    conf.backends = {{0, "db0", 5432, "/srv/pg/0", ""},
                     {1, "db1", 5433, "/srv/pg/1", ""},
                     {4, "/tmp", 5434, "", ""}};
    return conf;
}

std::string mismatch(const Arguments& words) {
    return thrown([&] { check_against(conf(), parse_pool_arguments(words, hook), hook); });
}

TEST(PoolArguments, AreTwelveWords) {
    const PoolArguments a = parse_pool_arguments(usual, hook);
    EXPECT_EQ(a.node, 0);
    EXPECT_EQ(a.host, "db0");
    EXPECT_EQ(a.port, 5432);
    EXPECT_EQ(a.directory, "/srv/pg/0");
    EXPECT_EQ(a.main_node, 1);
    EXPECT_EQ(a.old_primary, 0);
    EXPECT_EQ(mismatch(usual), "nothing");
}

TEST(PoolArguments, AHintForAFollowSaysWhatPgpool41CallsTheSetting) {
    const std::string said = thrown([&] { parse_pool_arguments({}, "follow_primary_command"); });
    EXPECT_NE(said.find("should read: follow_primary_command = '"), std::string::npos) << said;
    EXPECT_NE(said.find("(Pgpool-II 4.1 calls that setting follow_master_command)"),
              std::string::npos)
        << said;
    EXPECT_EQ(error({}).find("follow_master_command"), std::string::npos);
}

TEST(PoolArguments, MayHaveTheBlankThatPgpool44PutsBeforeNumbers) {
    Arguments words = usual;
    for (const std::size_t place : {0U, 2U, 4U}) {
        words[place] = " " + words[place];
    }
    EXPECT_EQ(mismatch(words), "nothing");
}

TEST(PoolArguments, MayTellOfNobody) {
    // All nodes are down: %m -1, %H and %R two quote characters, %P -1 or never determined.
    Arguments words = {"0", "db0", "5432", "", "-1", "\"\"", "0", "-2", "\"\"", "\"\"", "", ""};
    const PoolArguments a = parse_pool_arguments(words, hook);
    EXPECT_EQ(a.main_node, -1);
    EXPECT_EQ(a.old_primary, -2);
    EXPECT_EQ(a.directory, "");
    EXPECT_EQ(mismatch(words), "nothing");
    words[7] = "-1";
    EXPECT_EQ(parse_pool_arguments(words, hook).old_primary, -1);
}

// %M is always 0 on current releases, %r and %R are of another node on 4.2 and below.
TEST(PoolArguments, DoNotLookAtWordsThatPgpoolGetsWrong) {
    for (const std::size_t place : {6U, 8U, 9U, 11U}) {
        EXPECT_EQ(mismatch(with(place, "whatever; it says")), "nothing") << place;
    }
}

TEST(PoolArguments, AreNotElevenOrThirteen) {
    Arguments words = usual;
    words.erase(words.begin() + 3);
    EXPECT_EQ(error(words),
              "usage: 11 arguments instead of 12: a value that is not set vanishes unless it is "
              "quoted" +
                  hint);
    words = usual;
    words.insert(words.begin() + 3, "/srv/my");
    EXPECT_EQ(error(words),
              "usage: 13 arguments instead of 12: a value with a blank in it is split unless it is "
              "quoted" +
                  hint);
    EXPECT_TRUE(error({}).starts_with("usage: 0 arguments instead of 12: "));
}

TEST(PoolArguments, NameANodeThatIsOne) {
    for (const char* word : {"-1", "-2"}) {
        EXPECT_EQ(error(with(0, word)),
                  "usage: %d is " + std::string(word) + ": not a node id" + hint);
    }
    for (const char* word : {"", "\"\"", "db0", "0x", "128", "0 1"}) {
        EXPECT_EQ(error(with(0, word)),
                  "usage: %d is \"" + std::string(word) + "\", which is not a node id" + hint);
        EXPECT_TRUE(error(with(4, word)).starts_with("usage: %m is ")) << word;
        EXPECT_TRUE(error(with(7, word)).starts_with("usage: %P is ")) << word;
    }
}

TEST(PoolArguments, NameAPortThatIsOne) {
    for (const char* word : {"", "0", "-1", "65536", "/srv/pg/0", "\"\""}) {
        EXPECT_TRUE(error(with(2, word)).starts_with("usage: %p is ")) << word;
    }
}

TEST(PoolArguments, AreNeverWordsForAShell) {
    for (const char* word : {"db'0", "db\"0", "db 0", "$(reboot)", "db0;reboot", "`reboot`",
                             "db0|x", "db0&", "db0>x", "db0\nx", "-oProxyCommand=x", "db*"}) {
        for (const auto& [place, name] : {std::pair(1, "%h"), {5, "%H"}, {10, "%N"}}) {
            EXPECT_TRUE(error(with(static_cast<std::size_t>(place), word))
                            .starts_with("usage: " + std::string(name) + " is "))
                << word;
        }
    }
}

TEST(PoolArguments, HaveAnAbsoluteDirectory) {
    EXPECT_TRUE(error(with(3, "srv/pg")).starts_with("usage: %D is \"srv/pg\", which is not an"));
    EXPECT_TRUE(error(with(3, "/srv/\npg")).starts_with("usage: %D is "));
    EXPECT_EQ(parse_pool_arguments(with(3, "/srv/it's $HOME"), hook).directory, "/srv/it's $HOME");
}

// What a value that vanished does to the words behind it.
TEST(PoolArguments, AreNotBelievedWhenTheyAreShifted) {
    for (std::size_t gone = 0; gone < usual.size(); ++gone) {
        Arguments words = usual;
        words.erase(words.begin() + static_cast<std::ptrdiff_t>(gone));
        words.push_back("more");
        // Behind %P nothing is used but the host of the old primary.
        if (gone < 8) {
            EXPECT_NE(mismatch(words), "nothing") << gone;
        }
    }
}

TEST(CheckAgainst, MissesTheNodeInPgpoolConf) {
    EXPECT_EQ(mismatch(with(0, "2")),
              "usage: node 2 is not in /etc/pgpool2/pgpool.conf; Check pgpool_conf in hooks.conf, "
              "and the order of the arguments. " +
                  hint.substr(2));
    EXPECT_EQ(mismatch(with(4, "2")),
              "usage: %m names node 2, which is not in /etc/pgpool2/pgpool.conf" + hint);
    EXPECT_EQ(mismatch(with(7, "3")),
              "usage: %P names node 3, which is not in /etc/pgpool2/pgpool.conf" + hint);
}

TEST(CheckAgainst, ComparesHostPortAndDirectory) {
    const auto differs = [](const char* what, const char* setting, const char* known) {
        return "usage: " + std::string(what) + " but " + setting +
               "0 in /etc/pgpool2/pgpool.conf is \"" + known +
               "\": the arguments are shifted, or this is the configuration of another pgpool" +
               hint;
    };
    EXPECT_EQ(mismatch(with(1, "db9")), differs("%h is \"db9\"", "backend_hostname", "db0"));
    EXPECT_EQ(mismatch(with(2, "5433")), differs("%p is \"5433\"", "backend_port", "5432"));
    EXPECT_EQ(mismatch(with(3, "/srv/pg/9")),
              differs("%D is \"/srv/pg/9\"", "backend_data_directory", "/srv/pg/0"));
}

TEST(CheckAgainst, ComparesWhatIsSetOnBothSides) {
    EXPECT_EQ(mismatch(with(1, "")), "nothing");
    EXPECT_EQ(mismatch(with(3, "\"\"")), "nothing");
    const Arguments socket = {"4", "/tmp", "5434", "/srv/pg/4", "1",   "db1",
                              "0", "0",    "5433", "/srv/pg/1", "db0", "5432"};
    EXPECT_EQ(mismatch(socket), "nothing") << "no directory in pgpool.conf";
}

}  // namespace
}  // namespace hooks
