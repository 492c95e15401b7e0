// A standby that still gets WAL of a primary of the past, between the look at it and its new
// settings: it is past the switchpoint then, and would ask for the new timeline for ever.
#include <gtest/gtest.h>

#include "tests/cluster/stepped_calls.h"

namespace hooks::harness {
namespace {

using std::chrono::seconds;

class StaleSource : public SteppedTest {
  protected:
    void SetUp() override {
        SteppedTest::SetUp();
        conninfo_ = cluster.sql_value(1, "SHOW primary_conninfo");
        cut_replication(cluster, 1);
        cut_replication(cluster, 2);
        // Node 0 goes on as if nobody had told it, like one behind a cut of the network.
        ASSERT_EQ(cluster.sql_value(2, "SELECT pg_promote()"), "t");
        cluster.sql(0, "CREATE TABLE public.diverged AS SELECT generate_series(1, 1000) AS row");
    }
    // Before it is re-pointed, and after the look at it.
    void stream_from_the_past() {
        cluster.sql(1, "ALTER SYSTEM SET primary_conninfo = $$" + conninfo_ + "$$");
        cluster.sql(1, "SELECT pg_reload_conf()");
        cluster.wait_until([&] { return has_diverged(); }, seconds(20), "node 1 has rows too many");
        cluster.stop_postgres(0);
    }
    bool has_diverged() {
        return cluster.sql_value(1, "SELECT count(*) FROM pg_class WHERE relname = 'diverged'") ==
               "1";
    }

    std::string conninfo_;
};

TEST_F(StaleSource, TheWorkerLooksAgainAndRewinds) {
    const auto run = worker(1, 2);
    ASSERT_TRUE(run->run_past({"step done", "create slot"})) << run->text();
    stream_from_the_past();
    const Outcome outcome = run->finish();
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    EXPECT_NE(outcome.err.find("rule=R06"), std::string::npos) << outcome.err;
    EXPECT_NE(outcome.err.find("it got more WAL before it was re-pointed"), std::string::npos)
        << outcome.err;
    EXPECT_NE(outcome.err.find("rule=R08"), std::string::npos) << outcome.err;
    expect_streaming(cluster, 1);
    expect_not_diverged(1);
}

TEST_F(StaleSource, TheHookHandsItToAWorker) {
    const auto run = stepped("follow_primary_command", {}, words(1, 2, 0));
    ASSERT_TRUE(run->run_past({"step done", "create slot"})) << run->text();
    stream_from_the_past();
    const Outcome outcome = run->finish();
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    EXPECT_NE(outcome.err.find("it got more WAL before it was re-pointed"), std::string::npos)
        << outcome.err;
    EXPECT_NE(outcome.err.find("handed over to a worker"), std::string::npos) << outcome.err;
    expect_streaming(cluster, 1, seconds(60));
    expect_attached(cluster, 1);
    expect_not_diverged(1);
}

}  // namespace
}  // namespace hooks::harness
