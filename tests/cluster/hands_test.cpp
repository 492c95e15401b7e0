// Two runs that meet at one node: which of them works, what the other says, and that nothing is
// left to nobody when the one that works is lost.
#include <gtest/gtest.h>

#include <future>

#include "tests/cluster/stepped_calls.h"

namespace hooks::harness {
namespace {

using std::chrono::seconds;

class Hands : public SteppedTest {
  protected:
    void wait_for_log(const std::string& text) {
        cluster.wait_until([&] { return cluster.hook_log().find(text) != std::string::npos; },
                           seconds(30), "the log says " + text);
    }
    void expect_whole(int node) {
        expect_streaming(cluster, node);
        expect_attached(cluster, node);
    }
    static testing::AssertionResult says(const Outcome& outcome, const std::string& text) {
        return outcome.err.find(text) != std::string::npos
                   ? testing::AssertionSuccess()
                   : testing::AssertionFailure() << "not \"" << text << "\" in: " << outcome.err;
    }
};

// ---- failover against failover: two pgpools without a watchdog

TEST_F(Hands, TwoPgpoolsLoseThePrimaryAtOnceAndOneNodeIsPromotedOnce) {
    cluster.kill_postgres(0);
    // The two see the same loss; with 4.4 and later the words are the same, %N and %S differ.
    auto one = std::async(std::launch::async, [&] { return failover(0); });
    auto two = std::async(std::launch::async, [&] {
        return call(cluster, "failover_command", 0, 1, 0, PgpoolStyle::v4_4);
    });
    const Outcome first = one.get();
    const Outcome second = two.get();
    EXPECT_EQ(first.exit_code, 0) << first.err;
    EXPECT_EQ(second.exit_code, 0) << second.err;
    const std::string all = first.err + second.err;
    EXPECT_NE(all.find("rule=F05"), std::string::npos) << all;
    ASSERT_EQ(cluster.writable_nodes().size(), 1U);
    EXPECT_EQ(cluster.view(cluster.writable_nodes()[0]).timeline, 2) << "promoted more than once";
}

TEST_F(Hands, APromotionThatIsUnderWayIsWaitedForAndNamed) {
    cluster.kill_postgres(0);
    const auto first = stepped_failover(0);
    ASSERT_TRUE(first->run_past({"step done", "create slots"}));
    // It has the locks and the slots, and stands before the promotion.
    auto second = stepped_failover(0);
    ASSERT_TRUE(second->wait_for(
        {"another run promotes a node: failover_command pid " + std::to_string(first->pid())}))
        << second->text();
    ASSERT_TRUE(cluster.writable_nodes().empty());
    const Outcome done = first->finish();
    EXPECT_EQ(done.exit_code, 0) << done.err;
    const Outcome late = second->finish();
    EXPECT_EQ(late.exit_code, 0) << late.err;
    EXPECT_TRUE(says(late, "rule=F03"));
    EXPECT_EQ(cluster.view(cluster.writable_nodes().at(0)).timeline, 2);
}

TEST_F(Hands, TheLeadersHookIsKilledInThePromotionAndTheNextLeaderFinishesIt) {
    cluster.kill_postgres(0);
    const auto first = stepped_failover(0);
    ASSERT_TRUE(first->run_past({"step done", "create slots"}));
    first->kill(true);
    const Outcome next = failover(0);
    EXPECT_EQ(next.exit_code, 0) << next.err;
    EXPECT_TRUE(says(next, "rule=F05"));
    EXPECT_EQ(cluster.writable_nodes().size(), 1U);
    expect_no_locks(cluster, 1);
}

// The other had stopped it for a switchover, found nobody to take its place, and started it again.
TEST_F(Hands, APrimaryThatIsBackSinceTheLookIsNoLongerTakenForADeadOne) {
    cluster.stop_postgres(0);
    const auto late = stepped_failover(0);
    ASSERT_TRUE(late->run_past({"planned step", "promote"}));
    cluster.start_postgres(0);
    cluster.sql(0, "INSERT INTO public.harness_markers VALUES ('back')");
    for (const int standby : {1, 2}) {  // else nobody could take its place
        expect_streaming(cluster, standby);
    }
    const Outcome done = late->finish();
    EXPECT_EQ(done.exit_code, 0) << done.err;
    EXPECT_TRUE(says(done, "the old primary refuses no more, looking again"));
    EXPECT_TRUE(says(done, "rule=F04"));
    ASSERT_EQ(cluster.writable_nodes().size(), 1U);
    const int primary = cluster.writable_nodes()[0];
    EXPECT_NE(primary, 0);
    EXPECT_EQ(cluster.sql_value(
                  primary, "SELECT count(*) FROM public.harness_markers WHERE marker = 'back'"),
              "1");
}

// ---- two runs for one node

TEST_F(Hands, AWorkerWaitsForTheOneThatHasTheNodeAndGoesOnWhenThatIsKilled) {
    cluster.stop_postgres(2);
    cluster.pcp("pcp_detach_node", {"2"});
    const auto first = worker(2, 0);
    ASSERT_TRUE(first->run_past({"planned step", "start the server of node 2"}));
    // What the second pgpool calls; its hook hands the node over at once.
    const Outcome handed = follow(2, 0);
    EXPECT_EQ(handed.exit_code, 0) << handed.err;
    wait_for_log("another run works on node 2: follow_primary_command worker pid " +
                 std::to_string(first->pid()) + " on ");
    EXPECT_FALSE(cluster.postgres_runs(2));
    first->kill();  // with its pgpool: nobody would ever call again
    expect_whole(2);
    expect_no_locks(cluster, 0);
}

TEST_F(Hands, AWorkerThatWaitedFindsTheNodeDone) {
    cluster.stop_postgres(2);
    const auto first = worker(2, 0);
    ASSERT_TRUE(first->run_past({"planned step", "start the server of node 2"}));
    const auto second = worker(2, 0);
    ASSERT_TRUE(second->wait_for({"waiting for the lock of a node", "since 20"}));
    const Outcome done = first->finish();
    EXPECT_EQ(done.exit_code, 0) << done.err;
    const std::string started = cluster.start_time(2);
    const Outcome late = second->finish();
    EXPECT_EQ(late.exit_code, 0) << late.err;
    EXPECT_EQ(cluster.start_time(2), started);
    expect_whole(2);
}

TEST_F(Hands, AQuickFollowMeetsAWorkerAndSaysWhoThatIs) {
    const auto first = worker(2, 0);
    ASSERT_TRUE(first->run_past({"planned step"}));
    const Outcome quick = follow(2, 0);
    EXPECT_EQ(quick.exit_code, 3) << quick.err;
    EXPECT_TRUE(says(quick, "another run works on node 2: follow_primary_command worker pid " +
                                std::to_string(first->pid())));
    EXPECT_EQ(first->finish().exit_code, 0);
    expect_whole(2);
}

TEST_F(Hands, RecoveryMeetsAWorkerAndIsRefusedAtOnce) {
    cluster.stop_postgres(2);
    const auto first = worker(2, 0);
    ASSERT_TRUE(first->run_past({"planned step", "start the server of node 2"}));
    cluster.wait_until([&] { return !cluster.pool_status().at(2).attached(); }, seconds(30),
                       "pgpool sees the loss");
    const Outcome whole = cluster.pcp("pcp_recovery_node", {"2"});
    EXPECT_EQ((whole.out + whole.err).find("Command Successful"), std::string::npos) << whole.out;
    wait_for_log("hook=recovery_1st_stage");
    const Outcome stage = recovery("recovery_1st_stage", 2);
    EXPECT_EQ(stage.exit_code, 3) << stage.err;
    EXPECT_TRUE(says(stage, "another run works on node 2: follow_primary_command worker pid " +
                                std::to_string(first->pid())));
    EXPECT_TRUE(says(stage, "from " + cluster.network().host(kHub)));
    EXPECT_FALSE(cluster.postgres_runs(2));
    EXPECT_EQ(first->finish().exit_code, 0);
    expect_whole(2);
}

TEST_F(Hands, AWorkerMeetsARecoveryAndTakesTheNodeOverFromIt) {
    cluster.stop_postgres(2);
    const auto first =
        stepped("recovery_1st_stage", {}, right_words(cluster, "recovery_1st_stage", 2, 0));
    ASSERT_TRUE(first->run_past({"planned step"}));
    const auto second = worker(2, 0);
    ASSERT_TRUE(second->wait_for(
        {"another run works on node 2: recovery_1st_stage pid " + std::to_string(first->pid())}));
    const Outcome stage = first->finish();
    EXPECT_EQ(stage.exit_code, 0) << stage.err;
    auto rest = std::async(std::launch::async, [&] { return second->finish(); });
    // The second stage waits for the worker, and finds the node running.
    const Outcome started = recovery("pgpool_remote_start", 2);
    EXPECT_EQ(started.exit_code, 0) << started.err;
    const Outcome worked = rest.get();
    EXPECT_EQ(worked.exit_code, 0) << worked.err;
    expect_whole(2);
}

// ---- a holder that is gone

TEST_F(Hands, AHolderWhoseHostIsCutOffFreesTheNodeWithinTheBound) {
    cluster.stop_postgres(2);
    const auto first = worker(2, 0);
    ASSERT_TRUE(first->run_past({"planned step", "start the server of node 2"}));
    ASSERT_EQ(locks(0), "1");
    // What the pgpool host sends is lost: the primary hears nothing more from it. Node 1 asks in
    // our place.
    const auto cut = std::chrono::steady_clock::now();
    cluster.cut_one_way(kHub, 0);
    const Place elsewhere(cluster.account(), cluster.network().namespace_path(1));
    const auto free_again = [&] {
        const Outcome asked = elsewhere.run(
            {cluster.postgres_bin_dir() + "/psql", "-XAtqw", "-d", cluster.conninfo(0).str(), "-c",
             "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted"});
        return asked.out == "0\n";
    };
    cluster.wait_until(free_again, seconds(40), "the lock is given up");
    const auto took = std::chrono::steady_clock::now() - cut;
    cluster.heal_one_way(kHub, 0);
    EXPECT_LT(took, seconds(25));
    // The holder notices before its next step, and takes the lock again: it is its turn still.
    const Outcome done = first->finish();
    EXPECT_EQ(done.exit_code, 0) << done.err;
    EXPECT_TRUE(says(done, "opening it anew"));
    expect_whole(2);
}

TEST_F(Hands, AHolderThatLostItsSessionYieldsToTheOneThatHasTheNodeNow) {
    cluster.stop_postgres(2);
    const auto first = worker(2, 0);
    ASSERT_TRUE(first->run_past({"planned step", "start the server of node 2"}));
    cluster.sql(0, "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'");
    expect_no_locks(cluster, 0);
    const auto second = worker(2, 0);
    ASSERT_TRUE(second->run_past({"planned step", "start the server of node 2"}));
    auto rest = std::async(std::launch::async, [&] { return first->finish(); });
    EXPECT_EQ(second->finish().exit_code, 0);
    const Outcome yielded = rest.get();
    EXPECT_EQ(yielded.exit_code, 0) << yielded.err;
    EXPECT_TRUE(says(yielded, "opening it anew"));
    expect_whole(2);
}

// ---- a second failure

class SecondFailure : public Hands {
  protected:
    // Node 0 was lost and node 1 took over; then node 1 is lost, and node 2 takes over.
    void first_failure() {
        diverge();
        cluster.kill_postgres(0);
        const Outcome outcome = failover(0);
        ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
        ASSERT_EQ(cluster.primary(), 1);
        const Outcome next = follow(2, 1);
        ASSERT_EQ(next.exit_code, 0) << next.err;
        ASSERT_EQ(cluster.streaming_problem(2), "");
    }
    void second_failure() {
        cluster.kill_postgres(1);
        const Outcome outcome = failover(1);
        ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
        ASSERT_EQ(cluster.primary(), 2);
    }
    // What the worker for the primary that is gone must end with, and what comes after it.
    void expect_refused_and_then_whole(SteppedHook& stale) {
        const Outcome refused = stale.finish();
        EXPECT_TRUE(says(refused, "the primary is node 2 ("));
        EXPECT_NE(refused.exit_code, 0) << refused.err;
        EXPECT_FALSE(cluster.postgres_runs(0)) << refused.err;
        for (const int node : {0, 1}) {
            const Outcome next = follow(node, 2, 1);
            EXPECT_EQ(next.exit_code, 0) << next.err;
        }
        for (const int node : {0, 1}) {
            expect_whole(node);
            expect_not_diverged(node);
        }
    }
};

TEST_F(SecondFailure, WhileAWorkerWaitsForItsHost) {
    first_failure();
    cluster.kill_sshd(0);
    const auto stale = worker(0, 1);
    ASSERT_TRUE(stale->wait_for({"node cannot be looked at yet"}));
    second_failure();
    cluster.start_sshd(0);
    expect_refused_and_then_whole(*stale);
}

TEST_F(SecondFailure, BetweenTheDecisionAndTheRewind) {
    first_failure();
    const auto stale = worker(0, 1);
    ASSERT_TRUE(stale->run_past({"planned step", "rewind node 0"})) << stale->text();
    second_failure();
    expect_refused_and_then_whole(*stale);
}

TEST_F(SecondFailure, BetweenTheRewindAndTheStart) {
    first_failure();
    const auto stale = worker(0, 1);
    ASSERT_TRUE(stale->run_past({"step done", "rewind node 0"})) << stale->text();
    second_failure();
    expect_refused_and_then_whole(*stale);
}

// The copy is complete when the primary that it was made from is replaced: it must not be put in
// place for a primary that is none any more.
TEST_F(SecondFailure, BetweenTheCopyAndItsSwap) {
    first_failure();
    const std::string work = cluster.data_directory(0) + ".pgpool-hooks";
    const std::string bin = cluster.base_directory() + "/programs";
    const std::string real = cluster.postgres_bin_dir();
    const std::string go_on = cluster.base_directory() + "/go-on";
    // A pg_basebackup that has everything and is not told so.
    const Outcome prepared = cluster.run_shell(
        "mkdir " + work + " && touch " + work + "/rewind-unfinished " + cluster.data_directory(0) +
        "/original && mkdir " + bin + " && ln -s " + real + "/* " + bin + "/ && cd " + bin +
        " && rm pg_basebackup && printf '#!/bin/sh\\n" + real +
        "/pg_basebackup \"$@\"; status=$?; while [ ! -e " + go_on +
        " ]; do sleep 0.05; done; exit $status\\n' >pg_basebackup && chmod 755 pg_basebackup && "
        "echo \"0.postgres_bin_dir = '" +
        bin + "'\" >>" + cluster.hooks_conf_path());
    ASSERT_TRUE(prepared.ok()) << prepared.err;
    const auto stale = worker(0, 1);
    ASSERT_TRUE(stale->wait_for({"pg_basebackup", "(100%)"})) << stale->text();
    cluster.wait_until(
        [&] { return cluster.run_shell("test -e " + work + "/incoming/backup_manifest").ok(); },
        seconds(30), "the copy is complete");
    second_failure();
    ASSERT_TRUE(cluster.run_shell("touch " + go_on).ok());
    const Outcome refused = stale->finish();
    EXPECT_EQ(refused.exit_code, 3) << refused.err;
    EXPECT_TRUE(says(refused, "the primary is node 2 ("));
    EXPECT_TRUE(cluster.run_shell("test -e " + cluster.data_directory(0) + "/original").ok());
    for (const int node : {0, 1}) {
        const Outcome next = follow(node, 2, 1);
        EXPECT_EQ(next.exit_code, 0) << next.err;
    }
    for (const int node : {0, 1}) {
        expect_whole(node);
        expect_not_diverged(node);
    }
    EXPECT_FALSE(cluster.run_shell("ls " + work + "/incoming").ok());
}

TEST_F(SecondFailure, AfterTheOldPrimaryWasMadeAStandbyByHand) {
    first_failure();
    const auto stale = worker(0, 1);
    ASSERT_TRUE(stale->run_past({"planned step", "start the server of node 0"})) << stale->text();
    // It answers, and is a standby of another primary: a switchover.
    const Outcome moved = failover(1);
    ASSERT_EQ(moved.exit_code, 0) << moved.err;
    ASSERT_EQ(cluster.primary(), 2);
    const Outcome next = follow(1, 2, 1);
    ASSERT_EQ(next.exit_code, 0) << next.err;
    expect_streaming(cluster, 1);
    const Outcome refused = stale->finish();
    EXPECT_EQ(refused.exit_code, 3) << refused.err;
    EXPECT_TRUE(says(refused, "is no longer the primary on timeline 2; the primary is node 2"));
    EXPECT_EQ(follow(0, 2, 1).exit_code, 0);
    expect_whole(0);
    expect_not_diverged(0);
}

}  // namespace
}  // namespace hooks::harness
