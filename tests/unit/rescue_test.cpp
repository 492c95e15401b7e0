// What is kept of WAL that is thrown away, and how it is told.
#include "common/core/rescue.h"

#include <gtest/gtest.h>

#include "tests/unit/decision_support.h"
#include "tests/unit/expect_error.h"

namespace hooks {
namespace {

std::string stretches(const char* history, TimelineId timeline, const char* from, const char* to) {
    std::string out;
    for (const WalStretch& each :
         stretches_between(TimelineHistory::parse(timeline, history), lsn(from), lsn(to))) {
        out += fmt::format("{}:{}-{} ", each.timeline, each.from, each.to);
    }
    return out;
}

TEST(Rescue, OfOneTimelineIsOneStretch) {
    EXPECT_EQ(stretches("", 1, "0/5000110", "0/50FFF00"), "1:0/5000110-0/50FFF00 ");
}

TEST(Rescue, GoesOnThroughTheTimelinesOfTheNode) {
    const char* history = "1\t0/3000000\t\n2\t0/5000000\t\n";
    EXPECT_EQ(stretches(history, 3, "0/2000000", "0/6000000"),
              "1:0/2000000-0/3000000 2:0/3000000-0/5000000 3:0/5000000-0/6000000 ");
    EXPECT_EQ(stretches(history, 3, "0/4000000", "0/6000000"),
              "2:0/4000000-0/5000000 3:0/5000000-0/6000000 ");
    EXPECT_EQ(stretches(history, 3, "0/5000000", "0/6000000"), "3:0/5000000-0/6000000 ");
}

TEST(Rescue, HasANameForNodeAndRange) {
    EXPECT_EQ(rescue_name(2, 7, lsn("16/B374D848"), lsn("17/28")), "node2-tl7-16_B374D848-17_28");
}

const char* const report =
    "Welcome to db0\ndirectory: /var/lib/pgpool-hooks/diverged/20261122T101500Z-node0-tl1-a-b\n"
    "WAL of node 0 that its new primary does not have, kept before it was thrown away\n"
    "range: 0/5000110 to 0/50FFF00, 1048048 bytes, timeline 1\ncommits: 17\n"
    "first commit: 2026-11-22 10:14:01.5 UTC\nlast commit: 2026-11-22 10:14:59 UTC\n"
    "aborts: 2\nmissing segments: 0\nlook: LC_ALL=C pg_waldump -t 1\nend: rescue\n";

TEST(Rescue, TellsWhatIsLostAndWhereItIs) {
    const RescuedWal rescued = parse_rescue(report, lsn("0/5000110"), lsn("0/50FFF00"));
    EXPECT_EQ(rescued.aborts, 2);
    EXPECT_EQ(text(rescued),
              "lost: WAL 0/5000110 to 0/50FFF00, 1048048 bytes, 17 commits between 2026-11-22 "
              "10:14:01.5 UTC and 2026-11-22 10:14:59 UTC, kept on its host in "
              "/var/lib/pgpool-hooks/diverged/20261122T101500Z-node0-tl1-a-b");
}

TEST(Rescue, DoesNotCallWhatCouldNotBeReadNothing) {
    RescuedWal rescued;
    rescued.from = lsn("0/5000110");
    rescued.to = lsn("0/5000210");
    EXPECT_EQ(text(rescued),
              "lost: WAL 0/5000110 to 0/5000210, 256 bytes, of which no segment was left to keep");
    rescued.directory = "/d";
    EXPECT_EQ(text(rescued),
              "lost: WAL 0/5000110 to 0/5000210, 256 bytes, 0 commits, kept on its host in /d");
    rescued.commits = 1;
    rescued.first_commit = rescued.last_commit = "2026-11-22 10:14:01 UTC";
    rescued.missing_segments = 1;
    EXPECT_EQ(text(rescued),
              "lost: WAL 0/5000110 to 0/5000210, 256 bytes, 1 commit at 2026-11-22 10:14:01 UTC in "
              "what could be read of it, kept on its host in /d but for 1 segment that was gone");
}

TEST(Rescue, IsNotBelievedWhenItBrokeOff) {
    const std::string whole = report;
    EXPECT_EQ(thrown_kind(
                  [&] { parse_rescue(whole.substr(0, whole.size() - 5), lsn("0/1"), lsn("0/2")); }),
              "command");
}

}  // namespace
}  // namespace hooks
