#include <gtest/gtest.h>

#include "tests/unit/rejoin_support.h"

namespace hooks {
namespace {

constexpr std::uint64_t mib = 1024 * 1024;

SourceFacts of_size(std::uint64_t data, std::uint64_t wal) {
    SourceFacts s = source();
    s.data_size = data;
    s.wal_size = wal;
    return s;
}

TEST(CopyEstimate, IsNotMadeOfUnknownSizes) {
    const TargetFacts t = stopped_primary("0/5000100");
    EXPECT_FALSE(estimate_copies(source(), t, lsn("0/5000000")));
    SourceFacts s = of_size(1, 1);
    s.wal_size = Unknown{"X"};
    EXPECT_FALSE(estimate_copies(s, t, lsn("0/5000000")));
}

TEST(CopyEstimate, OfARewindHasTheWholeWalOfTheSource) {
    const TargetFacts t = stopped_primary("0/5000000");
    const auto little = estimate_copies(of_size(2000 * mib, 0), t, lsn("0/5000000"));
    const auto much = estimate_copies(of_size(2000 * mib, 900 * mib), t, lsn("0/5000000"));
    EXPECT_EQ(much->rewind - little->rewind, 900 * mib);
    EXPECT_EQ(much->base_backup, 2000 * mib);
    SourceFacts later = of_size(2000 * mib, 900 * mib);
    later.major = 19;
    EXPECT_EQ(estimate_copies(later, t, lsn("0/5000000"))->rewind - little->rewind, 16 * mib)
        << "from 19 on what it wrote since the fork only";
}

TEST(CopyEstimate, OfARewindHasWhatTheTargetChangedButNotMoreThanThereIs) {
    const SourceFacts s = of_size(1000 * mib, 0);
    const auto none = estimate_copies(s, stopped_primary("0/4000028"), lsn("0/5000000"));
    const auto some = estimate_copies(s, stopped_primary("0/8000028"), lsn("0/5000000"));
    const auto all = estimate_copies(s, stopped_primary("9/8000028"), lsn("0/5000000"));
    EXPECT_EQ(some->rewind - none->rewind, 64 * mib) << "from its redo position on";
    EXPECT_EQ(all->rewind - none->rewind, 1000 * mib);
}

TEST(CopyEstimate, ARewindCostsTooMuchFrom70PercentAnd512MiBOn) {
    EXPECT_TRUE(rewind_costs_too_much({700 * mib, 1000 * mib}));
    EXPECT_FALSE(rewind_costs_too_much({700 * mib - 1, 1000 * mib}));
    EXPECT_TRUE(rewind_costs_too_much({512 * mib + 1, 0}));
    EXPECT_FALSE(rewind_costs_too_much({512 * mib, 0})) << "small things are rewound";
    EXPECT_FALSE(rewind_costs_too_much({600 * mib, 1000 * 1000 * mib}));
}

TEST(Rejoin, R09RebuildsWhereARewindCopiesNearlyAsMuch) {
    const TargetFacts t = stopped_primary("0/5000100");
    EXPECT_EQ(judge(of_size(40 * mib, 1600 * mib), t), "R09 base backup");
    EXPECT_EQ(judge(of_size(40 * mib, 1600 * mib), t, never), "R08 rewind")
        << "a choice by cost refuses nothing";
    EXPECT_EQ(judge(of_size(100000 * mib, 1600 * mib), t), "R08 rewind");
    EXPECT_EQ(judge_rejoin(of_size(40 * mib, 1600 * mib), t, {}).reason,
              "node 0 diverged: it has WAL up to 0/5000100 on timeline 1, node 1 left that history "
              "at 0/5000000; no rewind: a rewind copies up to 1632 MiB, a base backup 40 MiB");
    EXPECT_EQ(judge_rejoin(of_size(100000 * mib, 1600 * mib), t, {}).reason,
              "node 0 diverged: it has WAL up to 0/5000100 on timeline 1, node 1 left that history "
              "at 0/5000000; a rewind copies up to 1682 MiB, a base backup 100000 MiB");
    EXPECT_EQ(judge(of_size(40 * mib, 1600 * mib), stopped_primary("0/5000000")), "R06 follow");
}

}  // namespace
}  // namespace hooks
