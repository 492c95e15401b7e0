#include "common/core/deadline.h"

#include <gtest/gtest.h>

namespace hooks {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;

TEST(Deadline, HasPassedAfterNoTime) {
    const Deadline deadline = Deadline::after(milliseconds(0));
    EXPECT_TRUE(deadline.expired());
    EXPECT_EQ(deadline.remaining(), milliseconds(0));
    EXPECT_EQ(deadline.poll_timeout(), 0);
}

TEST(Deadline, NeverPassesWhenThereIsNone) {
    EXPECT_FALSE(Deadline::never().expired());
    EXPECT_EQ(Deadline::never().remaining(), hours(24));
    EXPECT_EQ(Deadline::never().poll_timeout(milliseconds(50)), 50);
}

TEST(Deadline, IsBroughtNearerButNeverPutOff) {
    const Deadline soon = Deadline::after(milliseconds(0));
    EXPECT_TRUE(soon.within(hours(1)).expired());
    const Deadline nearer = Deadline::never().within(hours(1));
    EXPECT_FALSE(nearer.is_never());
    EXPECT_LE(nearer.remaining(), hours(1));
    EXPECT_GT(nearer.remaining(), milliseconds(3'500'000));
}

TEST(Deadline, IsNotOverBeforeItsTime) {
    EXPECT_GT(Deadline::after(hours(1)).remaining(), milliseconds(0));
    EXPECT_FALSE(Deadline::after(hours(1)).expired());
}

}  // namespace
}  // namespace hooks
