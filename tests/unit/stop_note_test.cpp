#include "common/core/stop_note.h"

#include <gtest/gtest.h>

#include "tests/unit/rejoin_support.h"

namespace hooks {
namespace {

constexpr std::int64_t noon = 1'700'000'000;

StopNote note() {
    return {noon, "run 1a2b", true, true};
}

NodeReport report(const std::string& name) {
    return parse_node_report(report_of(name));
}

TEST(StopNote, ReadsWhatItWrites) {
    for (const bool answered : {true, false}) {
        for (const bool may_return : {true, false}) {
            const StopNote written{noon, "run 1a2b", answered, may_return};
            EXPECT_EQ(parse_stop_note(stop_note_text(written)), written);
        }
    }
}

TEST(StopNote, ThatWasCutOffOrIsSomethingElseIsNone) {
    const std::string whole = stop_note_text(note());
    for (std::size_t size = 0; size + 1 < whole.size(); ++size) {
        EXPECT_FALSE(parse_stop_note(whole.substr(0, size))) << size;
    }
    EXPECT_FALSE(parse_stop_note("time=12x\nby=a\nanswered=yes\nmay_return=yes\nend=yes\n"));
    EXPECT_FALSE(parse_stop_note("time=12\nby=a\nanswered=perhaps\nmay_return=yes\nend=yes\n"));
    EXPECT_FALSE(parse_stop_note("time=99999999999999999999\nanswered=no\nmay_return=no\nend=yes"));
}

TEST(StopNote, CountsForAnHour) {
    EXPECT_TRUE(still_counts(note(), noon));
    EXPECT_TRUE(still_counts(note(), noon + 3600));
    EXPECT_FALSE(still_counts(note(), noon + 3601));
    EXPECT_FALSE(still_counts(note(), noon - 1));  // the clock was set back
}

TEST(StopNote, OnlyAPrimaryThatWasShutDownCleanlyIsGoneOnWith) {
    EXPECT_EQ(noted_stop(report("primary_clean")), NotedStop::shut_down);
    EXPECT_EQ(noted_stop(report("running")), NotedStop::running);
    EXPECT_EQ(noted_stop(report("primary_crashed")), NotedStop::none);
    EXPECT_EQ(noted_stop(report("standby_clean")), NotedStop::none);
    EXPECT_EQ(noted_stop(report("standby_crashed")), NotedStop::none);
    EXPECT_EQ(noted_stop(report("absent")), NotedStop::none);
    EXPECT_EQ(noted_stop(report("junk")), NotedStop::none);
    EXPECT_EQ(noted_stop(report("marked")), NotedStop::none);
}

TEST(StopNote, BelowVersion12ATombstoneIsNoStandby) {
    NodeReport old = report("primary_clean");
    old.major = 11;
    old.recovery_conf = true;
    EXPECT_EQ(noted_stop(old), NotedStop::none);
    old.tombstone = "# Fenced by pgpool-hooks at ...";
    EXPECT_EQ(noted_stop(old), NotedStop::shut_down);
}

}  // namespace
}  // namespace hooks
