#include "common/core/held_settings.h"

#include <gtest/gtest.h>

#include "common/core/conninfo.h"
#include "common/core/recovery_conf.h"

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

}  // namespace
}  // namespace hooks
