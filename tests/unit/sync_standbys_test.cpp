#include "common/core/sync_standbys.h"

#include <gtest/gtest.h>

namespace hooks {
namespace {

using Names = std::vector<std::string>;

TEST(SyncStandbys, EveryFormThatPostgresKnows) {
    const auto plain = parse_sync_standbys(" a, b_1 ");
    ASSERT_TRUE(plain);
    EXPECT_EQ(plain->count, 1);
    EXPECT_EQ(plain->method, SyncStandbys::Method::first);
    EXPECT_EQ(plain->names, (Names{"a", "b_1"}));

    const auto old = parse_sync_standbys("2 (a, b, c)");
    ASSERT_TRUE(old);
    EXPECT_EQ(old->count, 2);
    EXPECT_EQ(old->method, SyncStandbys::Method::first);

    const auto first = parse_sync_standbys("first 2(a,\"b \"\"c\"\" d\",*)");
    ASSERT_TRUE(first);
    EXPECT_EQ(first->method, SyncStandbys::Method::first);
    EXPECT_EQ(first->names, (Names{"a", "b \"c\" d", "*"}));

    const auto any = parse_sync_standbys("ANY 1 (\"node-1\", 7)");
    ASSERT_TRUE(any);
    EXPECT_EQ(any->method, SyncStandbys::Method::any);
    EXPECT_EQ(any->names, (Names{"node-1", "7"}));

    EXPECT_EQ(parse_sync_standbys("*")->names, Names{"*"});
    EXPECT_EQ(parse_sync_standbys("1, 2")->names, (Names{"1", "2"}));
    EXPECT_EQ(parse_sync_standbys("\"any\"")->names, Names{"any"});
    EXPECT_EQ(parse_sync_standbys("w\xc3\xa4rter$")->names, Names{"w\xc3\xa4rter$"});
}

TEST(SyncStandbys, EmptyIsOff) {
    for (const char* text : {"", "  ", "\t\n"}) {
        ASSERT_TRUE(parse_sync_standbys(text));
        EXPECT_FALSE(parse_sync_standbys(text)->on());
    }
}

TEST(SyncStandbys, WhatPostgresWouldNotAccept) {
    for (const char* text :
         {"a b", "a,", ",a", "ANY (a)", "ANY a", "FIRST 1", "any", "a, first", "0 (a)", "1 (a",
          "1 ()", "1 (a) b", "\"a", "node-1", "ANY 99999999999 (a)", "(a)", "a;b"}) {
        EXPECT_FALSE(parse_sync_standbys(text)) << text;
    }
}

TEST(SyncStandbys, NamesAreComparedWithoutRegardToCase) {
    EXPECT_TRUE(parse_sync_standbys("Node1")->lists("nODE1"));
    EXPECT_FALSE(parse_sync_standbys("Node1")->lists("node12"));
    EXPECT_TRUE(parse_sync_standbys("x, *")->lists("whoever"));
}

TEST(SyncStandbys, NobodyCanConfirm) {
    const auto nobody = [](const char* setting, const Names& names) {
        return cannot_be_satisfied(*parse_sync_standbys(setting), names);
    };
    EXPECT_FALSE(nobody("", {}));
    EXPECT_TRUE(nobody("*", {}));
    EXPECT_FALSE(nobody("*", {"a"}));
    EXPECT_TRUE(nobody("b", {"a", "c"}));
    EXPECT_TRUE(nobody("ANY 2 (a, b, c)", {"a", "d"}));
    EXPECT_FALSE(nobody("ANY 2 (a, b, c)", {"a", "C"}));
    EXPECT_TRUE(nobody("FIRST 2 (*)", {"a"}));
}

}  // namespace
}  // namespace hooks
