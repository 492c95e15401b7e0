// The reports and the outputs of pg_waldump under golden/reports were written by the two scripts
// on clusters of PostgreSQL 15; only the path of the data directory is another one.
#include "common/core/node_report.h"

#include <gtest/gtest.h>

#include "tests/unit/expect_error.h"
#include "tests/unit/rejoin_support.h"

namespace hooks {
namespace {

NodeReport parsed(const std::string& name) {
    return parse_node_report(report_of(name));
}

TargetFacts facts_of(const std::string& name) {
    return target_facts(0, parsed(name), report_of(name + ".waldump"));
}

std::string replaced(std::string text, const std::string& from, const std::string& to) {
    const std::size_t at = text.find(from);
    EXPECT_NE(at, std::string::npos) << from;
    return text.replace(at, from.size(), to);
}

// A primary that was promoted where these nodes left off, at 0/3031EE8.
SourceFacts promoted_at_their_end() {
    SourceFacts s = source();
    s.system_identifier = *facts_of("primary_crashed").system_identifier;
    s.history = TimelineHistory::parse(2, "1\t0/3031EE8\tno recovery target specified\n");
    return s;
}

// --- the script's output as a struct ---

TEST(NodeReport, TellsWhatStandsInADataDirectory) {
    const NodeReport report = parsed("primary_clean");
    EXPECT_TRUE(report.data_directory);
    EXPECT_FALSE(report.empty);
    EXPECT_EQ(report.major, 15);
    EXPECT_EQ(report.bin_dir, "/usr/lib/postgresql/15/bin");
    EXPECT_EQ(report.user, "postgres");
    EXPECT_EQ(report.owner, "postgres");
    EXPECT_EQ(report.work_directory, "/srv/pg/data.pgpool-hooks");
    EXPECT_TRUE(report.parent_writable);
    EXPECT_TRUE(report.pg_rewind);
    EXPECT_FALSE(report.running);
    EXPECT_FALSE(report.standby_signal || report.recovery_signal || report.recovery_conf);
    EXPECT_FALSE(report.unfinished_marker);
    EXPECT_FALSE(report.symbolic_link);
    EXPECT_EQ(report.busy, "");
    EXPECT_EQ(report.history, "");
    ASSERT_TRUE(report.control) << report.control.why();
    EXPECT_EQ(report.control->state, ClusterState::shut_down);
    EXPECT_EQ(to_string(report.control->checkpoint), "0/3031F60");
}

TEST(NodeReport, TellsARunningServer) {
    EXPECT_TRUE(parsed("running").running);
}

TEST(NodeReport, TellsSignalFilesAndTheMarkerOfAnUnfinishedRewind) {
    EXPECT_TRUE(parsed("standby_clean").standby_signal);
    const NodeReport report = parsed("marked");
    EXPECT_TRUE(report.standby_signal && report.recovery_signal && report.recovery_conf);
    EXPECT_TRUE(report.unfinished_marker);
}

TEST(NodeReport, TakesARewindThatDidNotEndForTheWorstWhereItDoesNotKnowBetter) {
    EXPECT_EQ(parsed("marked").rewind_state, RewindState::copying);
    const auto state = [](const std::string& word) {
        return parse_node_report("unfinished_marker: yes\nrewind_state: " + word +
                                 "\nend: report\n")
            .rewind_state;
    };
    EXPECT_EQ(state("untouched"), RewindState::untouched);
    EXPECT_EQ(state("rewound"), RewindState::rewound);
    EXPECT_EQ(state("something"), RewindState::copying);
    NodeReport away = parsed("absent");
    away.unfinished_marker = true;
    EXPECT_EQ(judge(target_facts(0, away, "")), "R03 base backup");
}

TEST(NodeReport, BringsTheHistoryOfTheNewestTimeline) {
    EXPECT_EQ(parsed("promoted").history, "1\t0/3031EE8\tno recovery target specified\n");
}

TEST(NodeReport, TellsAnEmptyPlaceFromOneThatHoldsSomethingElse) {
    const NodeReport absent = parsed("absent");
    EXPECT_TRUE(absent.empty);
    EXPECT_FALSE(absent.data_directory);
    EXPECT_EQ(absent.owner, "");
    EXPECT_EQ(absent.bin_dir, "/usr/lib/postgresql/15/bin") << "for a base backup";
    const NodeReport junk = parsed("junk");
    EXPECT_FALSE(junk.empty);
    EXPECT_FALSE(junk.data_directory);
    EXPECT_EQ(absent.foreign, "");
    EXPECT_EQ(junk.foreign, "x ");
    EXPECT_EQ(judge(target_facts(0, junk, "")), "R02 refuse");
}

TEST(NodeReport, HasTheRarerLinesToo) {
    const NodeReport report = parse_node_report(
        "user: pg\nsymbolic_link: yes\nbusy: pg_rewind, pid 4711\npg_version: 9.6\nbin_dir: \n"
        "debian_cluster: 15/main\nconfig_file: /etc/postgresql/15/main/postgresql.conf\n"
        "end: report\n");
    EXPECT_TRUE(report.symbolic_link);
    EXPECT_EQ(report.busy, "pg_rewind, pid 4711");
    EXPECT_EQ(report.debian_cluster, "15/main");
    EXPECT_EQ(report.config_file, "/etc/postgresql/15/main/postgresql.conf");
    EXPECT_EQ(report.major, 9);
    EXPECT_FALSE(report.parent_writable);
    EXPECT_EQ(report.control.why(),
              "no programs of PostgreSQL 9 were found there: set postgres_bin_dir");
}

TEST(NodeReport, TellsWhoseConfigurationStaysWhenTheOldDataIsGone) {
    const auto own = [](const std::string& lines) {
        return parse_node_report(lines + "end: report\n").unfinished_keeps_configuration;
    };
    EXPECT_TRUE(own("unfinished_configuration: own\n"));
    EXPECT_FALSE(own("unfinished_configuration: source\n"));
    EXPECT_FALSE(own("unfinished_configuration: \n") || own(""));
}

TEST(NodeReport, IsNotDisturbedByWhatALoginShellPrints) {
    const NodeReport report = parse_node_report("Welcome to db0\n\nLast login: Sun Nov 22\n" +
                                                report_of("standby_clean"));
    EXPECT_EQ(report.major, 15);
    EXPECT_TRUE(report.control);
}

// A connection that broke off must not look like a node without a server, without a marker, ...
TEST(NodeReport, IsRefusedWhereverItBreaksOff) {
    for (const char* name : {"standby_clean", "absent"}) {
        const std::string whole = report_of(name);
        const std::size_t end = whole.rfind("end: ");
        for (std::size_t length = 0; length < end; length += 7) {
            EXPECT_EQ(thrown_kind([&] { parse_node_report(whole.substr(0, length)); }), "command");
        }
    }
    EXPECT_EQ(thrown([] { parse_node_report(""); }),
              "command: the look at the node's files broke off before its end; Look at what the "
              "login shell of that user prints, and whether it ends early.");
}

TEST(NodeReport, DoesNotKnowTheControlFileThatAnotherVersionPrinted) {
    const NodeReport report = parse_node_report(
        replaced(report_of("primary_clean"), "control: pg_control version",
                 "control: WARNING: Calculated CRC checksum does not match value stored in file.\n"
                 "control: pg_control version"));
    ASSERT_FALSE(report.control);
    EXPECT_NE(report.control.why().find("CRC checksum"), std::string::npos);
    const TargetFacts facts = target_facts(0, report, report_of("primary_clean.waldump"));
    EXPECT_EQ(facts.major, 15);
    EXPECT_FALSE(facts.system_identifier || facts.was_primary || facts.history ||
                 facts.end_of_wal || facts.on_disk || facts.redo);
    EXPECT_EQ(judge(facts), "R01 refuse");
}

TEST(NodeReport, DoesNotKnowAControlFileThatCouldNotBeRead) {
    const NodeReport report = parse_node_report(
        "pg_version: 15\nbin_dir: /usr/lib/postgresql/15/bin\n"
        "control: pg_controldata: error: could not open file \"global/pg_control\"\nend: report\n");
    EXPECT_FALSE(report.control);
}

// --- what the rules make of it ---

TEST(TargetFacts, OfANodeWithoutADataDirectory) {
    const TargetFacts facts = target_facts(2, parsed("absent"), "");
    EXPECT_EQ(facts.node, 2);
    EXPECT_FALSE(facts.data_directory);
    EXPECT_EQ(facts.system_identifier.why(), "no data directory");
    EXPECT_EQ(judge(facts), "R09 base backup");
}

TEST(TargetFacts, OfACrashedPrimary) {
    const TargetFacts facts = facts_of("primary_crashed");
    EXPECT_EQ(facts.was_primary, Known<bool>(true));
    EXPECT_EQ(facts.end_of_wal, Known<Lsn>(lsn("0/3031EE8")))
        << "what pg_waldump called the position of an invalid record";
    EXPECT_EQ(facts.on_disk, facts.end_of_wal) << "nothing bounds it but the end of its WAL";
    EXPECT_EQ(facts.redo, Known<Lsn>(lsn("0/2000028")));
    EXPECT_FALSE(facts.control->shut_down_cleanly());
    EXPECT_EQ(judge(promoted_at_their_end(), facts), "R06 follow");
}

TEST(TargetFacts, OfACleanPrimaryIncludeItsShutdownCheckpoint) {
    const TargetFacts facts = facts_of("primary_clean");
    EXPECT_EQ(facts.was_primary, Known<bool>(true));
    EXPECT_EQ(facts.end_of_wal, Known<Lsn>(lsn("0/3031FD8")));
    EXPECT_EQ(judge(promoted_at_their_end(), facts), "R08 rewind")
        << "its standby was promoted without that checkpoint";
    SourceFacts with_it = promoted_at_their_end();
    with_it.history = TimelineHistory::parse(2, "1\t0/3031FD8\t\n");
    EXPECT_EQ(judge(with_it, facts), "R06 follow");
}

TEST(TargetFacts, OfACleanStandby) {
    const TargetFacts facts = facts_of("standby_clean");
    EXPECT_EQ(facts.was_primary, Known<bool>(false));
    EXPECT_EQ(facts.end_of_wal, Known<Lsn>(lsn("0/3022418")));
    EXPECT_EQ(facts.on_disk, Known<Lsn>(lsn("0/3022418")));
    EXPECT_EQ(judge(promoted_at_their_end(), facts), "R06 follow");
}

// It received more than it had written to its files when it was killed.
TEST(TargetFacts, OfACrashedStandby) {
    const TargetFacts facts = facts_of("standby_crashed");
    EXPECT_EQ(facts.was_primary, Known<bool>(false));
    EXPECT_EQ(facts.end_of_wal, Known<Lsn>(lsn("0/3031EE8")));
    EXPECT_EQ(facts.on_disk, Known<Lsn>(lsn("0/3022418")));
    SourceFacts promoted_in_between = promoted_at_their_end();
    promoted_in_between.history = TimelineHistory::parse(2, "1\t0/3022418\t\n");
    EXPECT_EQ(judge(promoted_in_between, facts), "R07 trim");
}

TEST(TargetFacts, OfAPromotedNodeReadItsNewTimelineFromItsBegin) {
    const NodeReport report = parsed("promoted");
    EXPECT_EQ(wal_scan_start(report), lsn("0/3033D78"));
    NodeReport before_its_checkpoint = report;
    ControlData control = *report.control;
    control.redo = lsn("0/2000028");
    before_its_checkpoint.control = control;
    EXPECT_EQ(wal_scan_start(before_its_checkpoint), lsn("0/3031EE8"));

    const TargetFacts facts = facts_of("promoted");
    EXPECT_EQ(facts.timeline(), 2U);
    EXPECT_EQ(facts.was_primary, Known<bool>(true));
    EXPECT_EQ(facts.end_of_wal, Known<Lsn>(lsn("0/3033DF0")));
}

// rejoin_old_primary = off holds from the first moment on.
TEST(TargetFacts, OfAServerThatComesUpAreThoseOfAPrimaryWhereItsFilesAre) {
    for (const char* state : {"in production", "in crash recovery", "starting up", "shut down"}) {
        NodeReport report =
            parse_node_report(replaced(report_of("primary_crashed"), "in production", state));
        report.running = true;
        EXPECT_TRUE(files_of_a_primary(report)) << state;
        report.standby_signal = true;
        EXPECT_FALSE(files_of_a_primary(report)) << "somebody made a standby of it: " << state;
    }
    NodeReport standby = parsed("standby_crashed");
    standby.running = true;
    EXPECT_FALSE(files_of_a_primary(standby));
}

// It followed a promotion and was killed before a restartpoint told its control file.
TEST(TargetFacts, OfAStandbyWithWalOfALaterTimelineAreOnThatTimeline) {
    const NodeReport report = parse_node_report(
        replaced(report_of("standby_crashed"), "end: report",
                 "newest_timeline: 2\nhistory: 1\t0/3022418\tno recovery target specified\n"
                 "end: report"));
    EXPECT_EQ(report.timeline(), 2U);
    EXPECT_EQ(wal_scan_start(report), lsn("0/3022418"));
    const TargetFacts facts = target_facts(0, report, report_of("standby_crashed.waldump"));
    EXPECT_EQ(facts.timeline(), 2U);
    EXPECT_EQ(facts.end_of_wal, Known<Lsn>(lsn("0/3031EE8")));
    // Started, it would replay timeline 2 past the switchpoint of timeline 3.
    SourceFacts s = source();
    s.system_identifier = *facts.system_identifier;
    s.history = TimelineHistory::parse(3, "1\t0/3022418\t\n2\t0/3030000\t\n");
    EXPECT_EQ(judge(s, facts), "R07 trim");
    EXPECT_EQ(judge(s, facts_of("standby_crashed")), "R07 trim") << "of another timeline";
    s.history = TimelineHistory::parse(3, "1\t0/3022418\t\n2\t0/3031EE8\t\n");
    EXPECT_EQ(judge(s, facts), "R06 follow");
    EXPECT_EQ(parse_node_report(report_of("standby_crashed")).timeline(), 1U);
}

// A former primary that was started as a standby and never became consistent.
TEST(TargetFacts, OfAStandbyWithoutAMinimumRecoveryPointAreThoseOfAPrimary) {
    for (const char* state : {"in archive recovery", "shut down in recovery"}) {
        const NodeReport report =
            parse_node_report(replaced(report_of("primary_crashed"), "in production", state));
        const TargetFacts facts = target_facts(0, report, report_of("primary_crashed.waldump"));
        EXPECT_EQ(facts.was_primary, Known<bool>(true)) << state;
        EXPECT_EQ(facts.on_disk, Known<Lsn>(lsn("0/3031EE8"))) << state;
    }
}

// It has the control file of the primary, which was in production while it was copied.
TEST(TargetFacts, OfABaseBackupThatWasNeverStartedAreThoseOfAStandby) {
    const std::string text = replaced(report_of("primary_crashed"), "end: report",
                                      "backup_start: 0/2000000\nend: report");
    const NodeReport report = parse_node_report(text);
    EXPECT_EQ(report.backup_start, lsn("0/2000000"));
    EXPECT_EQ(wal_scan_start(report), lsn("0/2000000"));
    const TargetFacts facts = target_facts(0, report, report_of("primary_crashed.waldump"));
    EXPECT_EQ(facts.was_primary, Known<bool>(false));
    EXPECT_EQ(facts.redo, Known<Lsn>(lsn("0/2000000")));
    EXPECT_EQ(facts.end_of_wal, Known<Lsn>(lsn("0/3031EE8")));
    EXPECT_EQ(facts.on_disk, facts.end_of_wal) << "its pages may be as new as that";
    SourceFacts the_same = source();
    the_same.system_identifier = *facts.system_identifier;
    the_same.history = TimelineHistory::parse(1, "");
    EXPECT_EQ(judge(the_same, facts, never), "R06 follow");
    EXPECT_EQ(judge(the_same, facts_of("primary_crashed")), "R05 base backup");
    SourceFacts before = promoted_at_their_end();
    before.history = TimelineHistory::parse(2, "1\t0/3031EE0\t\n");
    EXPECT_EQ(judge(before, facts), "R08 rewind") << "nothing is trimmed under it";

    // Where its WAL cannot be read, nobody knows where the copy ended.
    EXPECT_FALSE(target_facts(0, report, "").end_of_wal);
    EXPECT_FALSE(parse_node_report(replaced(text, "0/2000000", "")).backup_start);
}

TEST(TargetFacts, OfANewestPageThatIsACheckpointOfTheStandby) {
    const NodeReport report =
        parse_node_report(replaced(report_of("standby_clean"), "location:           0/2000060",
                                   "location:           0/3030000"));
    const TargetFacts facts = target_facts(0, report, "");
    EXPECT_EQ(facts.on_disk, Known<Lsn>(lsn("0/3030018"))) << "with its header";
    EXPECT_EQ(facts.end_of_wal, facts.on_disk) << "and it has that record";
    SourceFacts source = promoted_at_their_end();
    source.history = TimelineHistory::parse(2, "1\t0/3030000\t\n");
    EXPECT_EQ(judge(source, facts), "R08 rewind")
        << "a server whose last checkpoint begins at the switchpoint would refuse to start";
}

TEST(TargetFacts, KnowTheEndOfAStandbyWithoutRecordsToBeItsMinimumRecoveryPoint) {
    const TargetFacts facts = target_facts(0, parsed("standby_clean"), "pg_waldump: fatal: no\n");
    EXPECT_EQ(facts.end_of_wal, Known<Lsn>(lsn("0/3022418")));
    EXPECT_FALSE(facts.wal_readable);
    EXPECT_TRUE(facts_of("standby_clean").wal_readable);
    SourceFacts s = promoted_at_their_end();
    EXPECT_EQ(judge(s, facts), "R06 follow");
    s.oldest_wal = lsn("0/3000000");
    EXPECT_EQ(judge(s, facts_of("standby_clean")), "R06 follow");
    EXPECT_EQ(judge(s, facts), "R09 base backup") << "nobody has what it would replay first";
}

TEST(TargetFacts, TakeTheLaterOfRecordsAndMinimumRecoveryPoint) {
    const NodeReport report =
        parse_node_report(replaced(report_of("standby_crashed"), "0/3022418", "0/4000000"));
    EXPECT_EQ(target_facts(0, report, report_of("standby_crashed.waldump")).end_of_wal,
              Known<Lsn>(lsn("0/4000000")));
}

TEST(TargetFacts, DoNotKnowTheEndOfAPrimaryWithoutRecords) {
    const TargetFacts facts =
        target_facts(0, parsed("primary_crashed"),
                     "pg_waldump: error: could not find file \"000000010000000000000002\"\n\n");
    ASSERT_FALSE(facts.end_of_wal);
    EXPECT_EQ(facts.end_of_wal.why(),
              "pg_waldump found no record from 0/2000028 on timeline 1: pg_waldump: error: could "
              "not find file \"000000010000000000000002\"");
    EXPECT_FALSE(facts.on_disk);
    EXPECT_EQ(judge(promoted_at_their_end(), facts), "R01 refuse");
    EXPECT_FALSE(target_facts(0, parsed("primary_crashed"), "").end_of_wal);
}

TEST(TargetFacts, DoNotKnowAHistoryThatMakesNoSense) {
    const NodeReport report = parse_node_report(
        replaced(report_of("promoted"), "history: 1\t0/3031EE8", "history: 1\tnowhere"));
    EXPECT_EQ(wal_scan_start(report), lsn("0/3033D78")) << "the look goes on without it";
    for (const std::string& waldump : {report_of("promoted.waldump"), std::string()}) {
        const TargetFacts facts = target_facts(0, report, waldump);
        ASSERT_FALSE(facts.history);
        EXPECT_EQ(facts.history.why(),
                  "00000002.history:1: expected a switchpoint such as 0/3000110");
        EXPECT_TRUE(facts.system_identifier);
    }
}

TEST(TargetFacts, DoNotKnowTheHistoryOfALaterTimelineWithoutItsFile) {
    const NodeReport report =
        parse_node_report(replaced(report_of("promoted"), "history: 1\t0/3031EE8", "history: #"));
    const TargetFacts facts = target_facts(0, report, report_of("promoted.waldump"));
    ASSERT_FALSE(facts.history) << "timeline 2 has a parent";
    EXPECT_EQ(facts.history.why(), "00000002.history is not in its pg_wal, or names no parent");
    EXPECT_EQ(judge(promoted_at_their_end(), facts), "R01 refuse");
}

TEST(TargetFacts, TellWhetherARewindIsPossible) {
    EXPECT_EQ(facts_of("primary_clean").pg_rewind_installed, Known<bool>(true));
    const NodeReport without =
        parse_node_report(replaced(report_of("primary_clean"), "pg_rewind: yes\n", ""));
    EXPECT_EQ(target_facts(0, without, "").pg_rewind_installed, Known<bool>(false));
    EXPECT_TRUE(target_facts(0, parsed("marked"), "").unfinished_marker);
}

}  // namespace
}  // namespace hooks
