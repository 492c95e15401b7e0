// Rules S01 to S05: may this data directory be started?
#include "pgpool_remote_start/decide.h"

#include <gtest/gtest.h>

#include "tests/unit/decision_support.h"

namespace hooks::remote_start {
namespace {

NodeReport standby_of(int major) {
    NodeReport report;
    report.data_directory = true;
    report.major = major;
    report.standby_signal = major >= 12;
    report.recovery_conf = major < 12;
    return report;
}

std::string outcome(const NodeReport& report) {
    return rule_and_outline(decide(backend(1), report));
}

TEST(RemoteStart, S05StartsAStoppedStandby) {
    for (const int major : {10, 11, 12, 15, 18}) {
        const Decision decision = decide(backend(1), standby_of(major));
        EXPECT_EQ(rule_and_outline(decision), "S05: start prove") << major;
        EXPECT_EQ(order_defect(std::get<Plan>(decision)), std::nullopt);
    }
    expect_golden("remote_start", decide(backend(1), standby_of(15)));
}

TEST(RemoteStart, S05StartsANodeThatPgpoolDidNotName) {
    Backend target = backend(unnamed_target);
    target.host = "db1";
    const Decision decision = decide(target, standby_of(15));
    EXPECT_EQ(text(std::get<Plan>(decision).steps.at(0)), "start the server of the target node");
}

// What it is will be seen; a server that is no standby is not proved.
TEST(RemoteStart, S05ProvesAServerThatRunsAlready) {
    NodeReport report = standby_of(15);
    report.running = true;
    EXPECT_EQ(outcome(report), "S05: prove");
    report.standby_signal = false;
    EXPECT_EQ(outcome(report), "S05: prove");
}

TEST(RemoteStart, S01RefusesWhatIsNoDataDirectory) {
    EXPECT_EQ(outcome(NodeReport{}), "S01: refuse");
    EXPECT_EQ(outcome(parse_node_report(report_of("absent"))), "S01: refuse");
    EXPECT_EQ(outcome(parse_node_report(report_of("junk"))), "S01: refuse");
}

TEST(RemoteStart, S02RefusesWhatARewindLeftUnfinished) {
    NodeReport report = standby_of(15);
    report.unfinished_marker = true;
    EXPECT_EQ(outcome(report), "S02: refuse");
    report.data_directory = false;  // it has another name for that time
    EXPECT_EQ(outcome(report), "S02: refuse");
    report.data_directory = true;
    report.running = true;
    EXPECT_EQ(outcome(report), "S02: refuse");
    EXPECT_EQ(outcome(parse_node_report(report_of("marked"))), "S02: refuse");
}

TEST(RemoteStart, S03RefusesWhatWouldBeASecondPrimary) {
    for (const int major : {10, 11, 12, 15, 18}) {
        NodeReport report = standby_of(major);
        report.standby_signal = false;
        report.recovery_conf = false;
        EXPECT_EQ(outcome(report), "S03: refuse") << major;
    }
    expect_golden("remote_start_no_standby",
                  decide(backend(1), parse_node_report(report_of("primary_clean"))));
}

// standby.signal means nothing to 11, and recovery.signal makes no standby.
TEST(RemoteStart, S03KnowsTheFileOfEachVersion) {
    NodeReport eleven = standby_of(11);
    eleven.recovery_conf = false;
    eleven.standby_signal = true;
    EXPECT_EQ(outcome(eleven), "S03: refuse");
    NodeReport twelve = standby_of(12);
    twelve.standby_signal = false;
    twelve.recovery_signal = true;
    EXPECT_EQ(outcome(twelve), "S03: refuse");
}

TEST(RemoteStart, S04RefusesAServerThatWouldNotStart) {
    NodeReport report = standby_of(12);
    report.recovery_conf = true;
    EXPECT_EQ(outcome(report), "S04: refuse");
}

TEST(RemoteStart, S04ShowsTheTombstoneOfAFencedPrimary) {
    for (const int major : {11, 12, 18}) {
        NodeReport report = standby_of(major);
        report.standby_signal = false;
        report.recovery_conf = true;
        report.tombstone = "Fenced by pgpool-hooks at noon: node 1 took the place";
        const Decision decision = decide(backend(1), report);
        EXPECT_EQ(rule_and_outline(decision), "S04: refuse") << major;
        EXPECT_NE(reason_of(decision).find(report.tombstone), std::string::npos);
    }
}

TEST(RemoteStart, NeverStartsAnythingButAWholeStoppedStandby) {
    for (int bits = 0; bits < 128; ++bits) {
        for (const int major : {0, 9, 11, 12, 18}) {
            const auto bit = [bits](int n) { return (bits >> n & 1) != 0; };
            NodeReport report;
            report.data_directory = bit(0);
            report.unfinished_marker = bit(1);
            report.running = bit(2);
            report.standby_signal = bit(3);
            report.recovery_signal = bit(4);
            report.recovery_conf = bit(5);
            report.empty = bit(6);
            report.major = major;
            const Decision decision = decide(backend(1), report);
            if (const auto* plan = std::get_if<Plan>(&decision)) {
                EXPECT_EQ(order_defect(*plan), std::nullopt);
                EXPECT_TRUE(has<ProveStreaming>(plan->steps));
                EXPECT_TRUE(report.data_directory && !report.unfinished_marker);
                if (has<StartServer>(plan->steps)) {
                    EXPECT_FALSE(report.running);
                    EXPECT_TRUE(major >= 12 ? report.standby_signal && !report.recovery_conf
                                            : report.recovery_conf);
                }
            } else {
                EXPECT_FALSE(std::get<Refuse>(decision).next.empty());
            }
        }
    }
}

}  // namespace
}  // namespace hooks::remote_start
