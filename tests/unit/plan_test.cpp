#include "common/core/plan.h"

#include <gtest/gtest.h>

#include "tests/unit/decision_support.h"

namespace hooks {
namespace {

struct StepCase {
    Step step;
    const char* name;
    const char* text;
    bool no_return;
};

const StepCase step_cases[] = {
    {CreateSlots{1, {"pgpool_node_0"}}, "create_slots",
     "create slot pgpool_node_0 on node 1, reserving WAL at once", false},
    {CreateSlots{1, {"pgpool_node_0", "pgpool_node_2"}}, "create_slots",
     "create slots pgpool_node_0, pgpool_node_2 on node 1, reserving WAL at once", false},
    {DropSlot{0, "pgpool_node_2"}, "drop_slot",
     "drop slot pgpool_node_2 on node 0 if it is not in use", true},
    {ResumeReplay{2}, "resume_replay", "resume replay on node 2", false},
    {Promote{1}, "promote", "promote node 1", true},
    {StopServer{0}, "stop", "stop the server of node 0 (fast)", false},
    {WaitForWal{1, 2, Lsn{0x5000110}}, "wait_for_wal",
     "wait until a candidate, best node 1, has received timeline 2 up to 0/5000110", false},
    {Fence{0, 1}, "fence",
     "put a tombstone into the data directory of node 0: its place is taken by node 1", false},
    {StartAsPrimary{0}, "start_as_primary",
     "start the server of node 0 again as the primary that it was", false},
    {LookAgain{0}, "look_again", "look at node 0 again and decide anew", false},
    {Checkpoint{1}, "checkpoint", "checkpoint on node 1", false},
    {SettleCrash{0}, "settle_crash",
     "replay the WAL of node 0 as an isolated standby, then stop it", false},
    {TrimWal{2, 1, Lsn{0x5000110}}, "trim_wal",
     "remove WAL of timeline 1 from the segment of 0/5000110 on from node 2, which has not "
     "replayed it",
     true},
    {RescueWal{0, {{1, Lsn{0x5000110}, Lsn{0x6000000}}, {2, Lsn{0x6000000}, Lsn{0x60000A0}}}},
     "rescue_wal",
     "keep WAL 0/5000110 to 0/60000A0 of node 0, which would be lost, outside its data directory",
     false},
    {Rewind{0, 1}, "rewind", "rewind node 0 to node 1", true},
    {BaseBackup{0, 1, false, true}, "base_backup",
     "base backup of node 1 for node 0 in place of its old data, then swap", false},
    {BaseBackup{0, 1}, "base_backup",
     "base backup of node 1 for node 0 beside its data directory, then swap", false},
    {WriteRecoverySettings{0, 1}, "write_settings",
     "write the recovery settings of node 0: standby of node 1", false},
    {Repoint{2, 1}, "repoint", "re-point node 2 to node 1 by reload", false},
    {StartServer{0}, "start", "start the server of node 0", false},
    {ProveStreaming{0, 1}, "prove", "prove that node 0 streams from node 1 and replays a marker",
     false},
    {AttachNode{0}, "attach", "attach node 0 to pgpool and see it there", false},
    {HandOver{0}, "hand_over", "hand node 0 over to a detached worker", false},
};

TEST(Step, SaysWhatItDoesToWhichNode) {
    std::vector<bool> covered(std::variant_size_v<Step>);
    for (const StepCase& each : step_cases) {
        covered[each.step.index()] = true;
        EXPECT_STREQ(name(each.step), each.name);
        EXPECT_EQ(text(each.step), each.text);
        EXPECT_EQ(is_point_of_no_return(each.step), each.no_return) << each.name;
    }
    EXPECT_EQ(std::count(covered.begin(), covered.end(), false), 0) << "a step without a case";
}

TEST(Step, NamesNodesThatPgpoolDidNotName) {
    EXPECT_EQ(text(ProveStreaming{unnamed_target, unnamed_primary}),
              "prove that the target node streams from the primary and replays a marker");
    EXPECT_EQ(text(Rewind{2, unnamed_primary}), "rewind node 2 to the primary");
}

TEST(DecisionText, MarksThePointOfNoReturnOnce) {
    EXPECT_EQ(to_string(Plan{"X01", "for this reason", {Checkpoint{1}, Promote{1}, Rewind{0, 1}}}),
              "X01: for this reason\n"
              "  1. checkpoint on node 1\n"
              "     -- point of no return --\n"
              "  2. promote node 1\n"
              "  3. rewind node 0 to node 1\n");
    EXPECT_EQ(to_string(Plan{"X01", "for this reason", {HandOver{1}}}),
              "X01: for this reason\n"
              "  1. hand node 1 over to a detached worker\n");
}

TEST(DecisionText, SaysWhatAPersonCanDoAboutARefusal) {
    EXPECT_EQ(to_string(Refuse{"X02", "it is dark", "Switch the light on."}),
              "X02: refused: it is dark\n  next: Switch the light on.\n");
    EXPECT_EQ(to_string(Nothing{"X03", "all is well"}), "X03: nothing to do: all is well\n");
}

TEST(Decision, HasItsRuleAndReasonWhateverItIs) {
    for (const Decision& decision : {Decision(Plan{"X", "why", {}}), Decision(Nothing{"X", "why"}),
                                     Decision(Refuse{"X", "why", "next"})}) {
        EXPECT_EQ(rule_of(decision), "X");
        EXPECT_EQ(reason_of(decision), "why");
    }
}

std::string defect(std::vector<Step> steps) {
    return order_defect(Plan{"X", "why", std::move(steps)}).value_or("none");
}

TEST(OrderDefect, IsNotInThePlansThatAreMeant) {
    EXPECT_EQ(defect({CreateSlots{1, {"a"}}, ResumeReplay{1}, Promote{1}}), "none");
    EXPECT_EQ(
        defect({CreateSlots{1, {"a"}}, Checkpoint{1}, SettleCrash{0}, Rewind{0, 1},
                WriteRecoverySettings{0, 1}, StartServer{0}, ProveStreaming{0, 1}, AttachNode{0}}),
        "none");
    EXPECT_EQ(defect({StopServer{0}, LookAgain{0}}), "none");
    EXPECT_EQ(defect({StopServer{2}, Fence{2, 1}, LookAgain{2}}), "none");
    EXPECT_EQ(defect({WaitForWal{1, 1, Lsn{8}}, LookAgain{1}}), "none");
    EXPECT_EQ(defect({CreateSlots{1, {"a"}}, Fence{0, 1}, Promote{1}}), "none");
    EXPECT_EQ(defect({StartAsPrimary{0}}), "none");
    EXPECT_EQ(defect({Repoint{2, 1}, ProveStreaming{2, 1}, AttachNode{2}}), "none");
    EXPECT_EQ(defect({StartServer{2, true}, ProveStreaming{2, 1}}), "none");
}

TEST(OrderDefect, IsAnEmptyPlan) {
    EXPECT_EQ(defect({}), "a plan without steps");
}

TEST(OrderDefect, IsAStartThatWouldGiveASecondPrimary) {
    EXPECT_EQ(defect({StartServer{0}}), "node 0 would start without recovery settings");
    EXPECT_EQ(defect({WriteRecoverySettings{1, 0}, StartServer{0}}),
              "node 0 would start without recovery settings");
    // Both bring the settings of the source along.
    EXPECT_EQ(defect({WriteRecoverySettings{0, 1}, Rewind{0, 1}, StartServer{0}}),
              "node 0 would start without recovery settings");
    EXPECT_EQ(defect({WriteRecoverySettings{0, 1}, BaseBackup{0, 1}, StartServer{0}}),
              "node 0 would start without recovery settings");
}

TEST(OrderDefect, IsADirectoryThatIsLeftAsTheSourceHadIt) {
    EXPECT_EQ(defect({Rewind{0, 1}}), "node 0 is left with the settings of another node");
    EXPECT_EQ(defect({WriteRecoverySettings{0, 1}, BaseBackup{0, 1}}),
              "node 0 is left with the settings of another node");
}

TEST(OrderDefect, IsAnAttachmentWithoutProof) {
    EXPECT_EQ(defect({WriteRecoverySettings{0, 1}, StartServer{0}, AttachNode{0}}),
              "node 0 would be attached without proof");
    EXPECT_EQ(defect({AttachNode{0}, ProveStreaming{0, 1}}),
              "node 0 would be attached without proof");
    EXPECT_EQ(defect({ProveStreaming{2, 1}, AttachNode{0}}),
              "node 0 would be attached without proof");
}

TEST(OrderDefect, IsWorkOnFilesThatAreNoLongerTheNodesOwn) {
    const Step settings = WriteRecoverySettings{0, 1};
    EXPECT_EQ(defect({Rewind{0, 1}, SettleCrash{0}, settings}),
              "\"replay the WAL of node 0 as an isolated standby, then stop it\" after the files "
              "were replaced");
    EXPECT_EQ(defect({BaseBackup{0, 1}, TrimWal{0, 1, Lsn{8}}, settings}),
              "\"remove WAL of timeline 1 from the segment of 0/8 on from node 0, which has not "
              "replayed it\" after the files were replaced");
    EXPECT_EQ(defect({Rewind{0, 1}, StopServer{0}, settings}),
              "node 0 is stopped after its files were replaced");
}

TEST(OrderDefect, IsWalThatIsLostBeforeItIsKept) {
    const Step settings = WriteRecoverySettings{0, 1};
    const Step rescue = RescueWal{0, {{1, Lsn{8}, Lsn{16}}}};
    EXPECT_EQ(defect({rescue, Rewind{0, 1, true}, settings}), "none");
    EXPECT_EQ(defect({rescue, BaseBackup{0, 1, true}, settings}), "none");
    EXPECT_EQ(defect({Rewind{0, 1, true}, settings}),
              "\"rewind node 0 to node 1\" before the WAL that it loses was kept");
    EXPECT_EQ(defect({RescueWal{2, {{1, Lsn{8}, Lsn{16}}}}, BaseBackup{0, 1, true}, settings}),
              "\"base backup of node 1 for node 0 beside its data directory, then swap\" before "
              "the WAL that it loses was kept");
    EXPECT_EQ(defect({Rewind{0, 1}, rescue, settings}),
              "\"keep WAL 0/8 to 0/10 of node 0, which would be lost, outside its data "
              "directory\" after the files were replaced");
}

TEST(OrderDefect, IsASecondPrimary) {
    EXPECT_EQ(defect({Promote{1}, Promote{2}}), "two nodes would be promoted");
    EXPECT_EQ(
        defect({StartAsPrimary{0}, Promote{1}}),
        "\"start the server of node 0 again as the primary that it was\" is not the only step");
    EXPECT_EQ(
        defect({Fence{0, 1}, StartAsPrimary{0}}),
        "\"start the server of node 0 again as the primary that it was\" is not the only step");
}

TEST(OrderDefect, IsAFenceThatComesTooLate) {
    EXPECT_EQ(defect({Promote{1}, Fence{0, 1}}), "node 0 is fenced after another took its place");
    EXPECT_EQ(defect({Promote{1}, StopServer{0}}),
              "node 0 is stopped after another took its place");
    EXPECT_EQ(defect({Fence{1, 1}, Promote{1}}), "node 1 would be promoted after it was fenced");
    EXPECT_EQ(defect({Promote{1}, WaitForWal{1, 1, Lsn{8}}}),
              "a promoted node receives nothing more");
}

TEST(OrderDefect, IsASlotThatComesTooLate) {
    EXPECT_EQ(defect({Promote{1}, CreateSlots{1, {"a"}}}),
              "slots after the promotion do not hold the WAL that a rewind needs");
}

TEST(OrderDefect, IsAPlanThatGoesOnWithStaleFacts) {
    EXPECT_EQ(defect({StopServer{0}, LookAgain{0}, Promote{1}}),
              "\"look at node 0 again and decide anew\" is not the last step");
    EXPECT_EQ(defect({HandOver{0}, ProveStreaming{0, 1}}),
              "\"hand node 0 over to a detached worker\" is not the last step");
}

}  // namespace
}  // namespace hooks
