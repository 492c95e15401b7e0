#include "common/core/timeline.h"

#include <gtest/gtest.h>

#include "tests/unit/expect_error.h"

namespace hooks {
namespace {

using Entries = std::vector<TimelineEntry>;

TEST(TimelineHistory, OfTheFirstTimelineHasNoParents) {
    const TimelineHistory history = TimelineHistory::parse(1, "");
    EXPECT_EQ(history.timeline(), 1U);
    EXPECT_EQ(history.entries(), (Entries{{1, Lsn{0}, std::nullopt}}));
}

TEST(TimelineHistory, GivesEachAncestorItsStretch) {
    const TimelineHistory history =
        TimelineHistory::parse(4,
                               "1\t0/3000110\tno recovery target specified\n"
                               "\n"
                               "2\t0/5000000\tat restore point \"x\"\n");
    EXPECT_EQ(history.timeline(), 4U);
    EXPECT_EQ(history.entries(), (Entries{{1, Lsn{0}, Lsn{0x3000110}},
                                          {2, Lsn{0x3000110}, Lsn{0x5000000}},
                                          {4, Lsn{0x5000000}, std::nullopt}}));
}

TEST(TimelineHistory, ReadsWhatAServerReads) {
    const Entries expected{{1, Lsn{0}, Lsn{0x3000110}}, {2, Lsn{0x3000110}, std::nullopt}};
    for (const char* content : {
             "1\t0/3000110\tno recovery target specified\n",
             "1\t0/3000110\tno recovery target specified",
             "1\t0/03000110\tno recovery target specified\n",
             "# a comment\n  # another\n\n \t 1 0/3000110\n",
             "1\t0/3000110\r\n",
             "1\t0/3000110",
         }) {
        EXPECT_EQ(TimelineHistory::parse(2, content).entries(), expected) << content;
    }
}

TEST(TimelineHistory, RefusesWhatAServerRefuses) {
    const auto parse = [](const char* content) {
        return thrown([&] { TimelineHistory::parse(3, content); });
    };
    EXPECT_EQ(parse("\nx\t0/1\n"),
              "command: 00000003.history:2: expected the number of a timeline");
    EXPECT_EQ(parse("0\t0/1\n"), "command: 00000003.history:1: expected the number of a timeline");
    EXPECT_EQ(parse("-1\t0/1\n"), "command: 00000003.history:1: expected the number of a timeline");
    EXPECT_EQ(parse("4294967296\t0/1\n"),
              "command: 00000003.history:1: expected the number of a timeline");
    EXPECT_EQ(parse("1"),
              "command: 00000003.history:1: expected a blank and a switchpoint behind "
              "the timeline");
    EXPECT_EQ(parse("1\tlater\n"),
              "command: 00000003.history:1: expected a switchpoint such as 0/3000110");
    EXPECT_EQ(parse("1\t\n"),
              "command: 00000003.history:1: expected a switchpoint such as 0/3000110");
    EXPECT_EQ(parse("2\t0/1\n1\t0/2\n"),
              "command: 00000003.history:2: timelines must be in increasing order");
    EXPECT_EQ(parse("2\t0/1\n2\t0/2\n"),
              "command: 00000003.history:2: timelines must be in increasing order");
    EXPECT_EQ(parse("3\t0/1\n"),
              "command: 00000003.history:1: a parent must have a lower number than its child");
    EXPECT_EQ(thrown([] { TimelineHistory::parse(0, ""); }),
              "command: 00000000.history:0: there is no timeline 0");
}

TEST(TimelineHistory, FindsTheStretchOfATimeline) {
    const TimelineHistory history = TimelineHistory::parse(3, "1\t0/100\n2\t0/200\n");
    ASSERT_NE(history.find(2), nullptr);
    EXPECT_EQ(*history.find(2), (TimelineEntry{2, Lsn{0x100}, Lsn{0x200}}));
    EXPECT_EQ(history.find(4), nullptr);
}

struct AncestorCase {
    const char* name;
    TimelineId target;
    const char* target_content;
    TimelineId source;
    const char* source_content;
    TimelineId timeline;
    std::uint64_t end;  // 0: open
};

class CommonAncestorOf : public testing::TestWithParam<AncestorCase> {};

TEST_P(CommonAncestorOf, IsTheLastStretchThatBothHave) {
    const AncestorCase& param = GetParam();
    const auto target = TimelineHistory::parse(param.target, param.target_content);
    const auto source = TimelineHistory::parse(param.source, param.source_content);
    for (const auto& found : {common_ancestor(target, source), common_ancestor(source, target)}) {
        ASSERT_TRUE(found.has_value());
        EXPECT_EQ(found->timeline, param.timeline);
        EXPECT_EQ(found->end, param.end == 0 ? std::nullopt : std::optional(Lsn{param.end}));
    }
}

INSTANTIATE_TEST_SUITE_P(
    Histories, CommonAncestorOf,
    testing::Values(
        AncestorCase{"OneTimeline", 1, "", 1, "", 1, 0},
        AncestorCase{"TheSameHistory", 2, "1\t0/100\n", 2, "1\t0/100\n", 2, 0},
        AncestorCase{"AStandbyBehindOnePromotion", 1, "", 2, "1\t0/100\n", 1, 0x100},
        AncestorCase{"AStandbyBehindTwoPromotions", 1, "", 3, "1\t0/100\n2\t0/200\n", 1, 0x100},
        AncestorCase{"TwoPromotionsAtDifferentPlaces", 2, "1\t0/100\n", 3, "1\t0/180\n", 1, 0x100},
        AncestorCase{"EqualNumbersFromDifferentPlaces", 2, "1\t0/100\n", 2, "1\t0/180\n", 1, 0x100},
        AncestorCase{"TwoChildrenOfOneSwitchpoint", 2, "1\t0/100\n", 3, "1\t0/100\n", 1, 0x100},
        AncestorCase{"APartAfterACommonPromotion", 3, "1\t0/100\n2\t0/300\n", 4,
                     "1\t0/100\n2\t0/200\n", 2, 0x200}),
    [](const auto& each) { return each.param.name; });

TEST(CommonAncestor, IsNotThereWhenNothingIsShared) {
    EXPECT_FALSE(common_ancestor(TimelineHistory::parse(1, ""), TimelineHistory::parse(2, "")));
}

}  // namespace
}  // namespace hooks
