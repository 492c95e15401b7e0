#include "common/core/held_settings.h"

#include <gtest/gtest.h>

#include "common/core/conninfo.h"
#include "common/core/recovery_conf.h"
#include "common/core/server_facts.h"

namespace hooks {
namespace {

TEST(HeldSettings, AConnectionStringLeadsNowhereAndKeepsWhatItWas) {
    for (const std::string original :
         {"", "host=a port=5432", "hostaddr=10.0.0.1 host='a b' password='it\\'s' ",
          "host=a,b port=1,2 application_name='x'", "user = u  host = a"}) {
        for (const bool reset : {false, true}) {
            const auto held = hold_conninfo(original, reset);
            ASSERT_TRUE(held) << original;
            EXPECT_TRUE(Conninfo::parse(*held).find("host")->starts_with("/pgpool-hooks-held"));
            EXPECT_EQ(*Conninfo::parse(*held).find("hostaddr"), "");
            const auto back = held_conninfo(*held);
            ASSERT_TRUE(back);
            EXPECT_EQ(back->original, original);
            EXPECT_EQ(back->reset, reset);
            EXPECT_EQ(conninfo_without_hold(*held), original);
        }
    }
}

TEST(HeldSettings, WhatIsNotHeldIsLeftAsItIs) {
    EXPECT_FALSE(held_conninfo("host=a"));
    EXPECT_FALSE(held_conninfo(""));
    EXPECT_EQ(conninfo_without_hold("host=a"), "host=a");
    EXPECT_FALSE(held_restore_command(""));
    EXPECT_FALSE(held_restore_command("cp /archive/%f %p"));
    EXPECT_FALSE(held_restore_command("false # by somebody else"));
}

// There the words behind it would be part of a value, and it would connect after all.
TEST(HeldSettings, AStringThatSwallowsWhatFollowsIsNotHeld) {
    for (const char* original : {"postgresql://a/db", "postgres://a", "host='a",
                                 "password=", "host=a passfile= ", "host=a\\"}) {
        EXPECT_FALSE(hold_conninfo(original, false)) << original;
    }
}

TEST(HeldSettings, ARestoreCommandFailsAndKeepsWhatItWas) {
    for (const std::string original : {"cp /archive/%f %p", "x # y", "echo 'it''s' %%"}) {
        for (const bool reset : {false, true}) {
            const std::string held = hold_restore_command(original, reset);
            EXPECT_TRUE(held.starts_with("false #"));
            const auto back = held_restore_command(held);
            ASSERT_TRUE(back);
            EXPECT_EQ(back->original, original);
            EXPECT_EQ(back->reset, reset);
        }
    }
}

// A node that was stopped before anybody could put it back.
TEST(HeldSettings, RecoverySettingsAreWrittenWithoutThem) {
    RecoverySettings settings;
    settings.primary_conninfo = Conninfo::parse("host=b");
    const auto auto_conf = [&](const std::string& before) {
        for (const auto& write : recovery_files(15, settings, before).writes) {
            if (write.path == "postgresql.auto.conf") {
                return write.content;
            }
        }
        return std::string();
    };
    EXPECT_NE(auto_conf("restore_command = 'false # held by pgpool-hooks: cp /a/%f %p'\n")
                  .find("restore_command = 'cp /a/%f %p'"),
              std::string::npos);
    EXPECT_EQ(auto_conf("restore_command = 'false # held by pgpool-hooks, reset: cp /a/%f %p'\n")
                  .find("restore_command"),
              std::string::npos);
}

TEST(HeldSettings, ASynchronousListKeepsWhatItWas) {
    for (const std::string original : {"*", "ANY 1 (a, \"reset: \")", "FIRST 2 (\"it's\", b)"}) {
        for (const bool reset : {false, true}) {
            const auto back = held_synchronous(hold_synchronous(original, reset));
            ASSERT_TRUE(back);
            EXPECT_EQ(back->original, original);
            EXPECT_EQ(back->reset, reset);
        }
    }
    EXPECT_FALSE(held_synchronous(""));
    EXPECT_FALSE(held_synchronous("reset: "));
}

TEST(HeldSettings, ARelaxedServerMeansWhatItWas) {
    ServerFacts facts;
    EXPECT_EQ(facts.synchronous_as_meant(), "");
    facts.synchronous_held = "reset: ANY 1 (*)";
    EXPECT_TRUE(facts.synchronous_is_relaxed());
    EXPECT_EQ(facts.synchronous_as_meant(), "ANY 1 (*)");
    facts.synchronous_standby_names = "b";
    EXPECT_FALSE(facts.synchronous_is_relaxed()) << "somebody has set it since";
    EXPECT_EQ(facts.synchronous_as_meant(), "b");
}

// A relaxed primary that is made a standby, or a copy of one.
TEST(HeldSettings, AStandbyIsWrittenWithTheSynchronousListThatIsMeant) {
    const std::string name(held_synchronous_name);
    const auto written = [](int version, const std::string& before) {
        std::string text = "not written";
        for (const auto& write : recovery_files(version, {}, before).writes) {
            text = write.path == "postgresql.auto.conf" ? write.content : text;
        }
        return text.substr(0, text.find("primary_conninfo"));
    };
    for (const int version : {10, 11, 12, 15, 18}) {
        EXPECT_EQ(
            written(version, "a = 1\nsynchronous_standby_names = ''\n" + name + " = 'b, c'\n"),
            "a = 1\nsynchronous_standby_names = 'b, c'\n");
        EXPECT_EQ(written(version, name + " = 'reset: b'\nsynchronous_standby_names = ''\na = 1\n"),
                  "a = 1\n");
        EXPECT_EQ(written(version, "synchronous_standby_names = 'x'\n" + name + " = 'reset: b'\n"),
                  "synchronous_standby_names = 'x'\n")
            << "somebody has set it since";
    }
    EXPECT_EQ(written(10, "synchronous_standby_names = ''\n"), "not written");
}

}  // namespace
}  // namespace hooks
