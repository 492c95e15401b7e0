// Rules L01 to L08, one by one and over the whole space of facts, and the ledger.
#include "common/core/slots.h"

#include <gtest/gtest.h>

#include "tests/unit/decision_support.h"

namespace hooks {
namespace {

constexpr std::uint64_t megabyte = 1024 * 1024;
constexpr std::uint64_t gigabyte = 1024 * megabyte;

// Node 0 is the primary of nodes 0, 1 and 2; node 2 is down, and its slot keeps 1.2 GB back.
SlotWorld world_with(NodeSlot slot) {
    SlotWorld world;
    world.major = 15;
    world.backends = {0, 1, 2};
    world.down = {2};
    world.slots = {std::move(slot)};
    return world;
}

const NodeSlot slot_of_2{"pgpool_node_2", false, gigabyte + 205 * megabyte, "extended"};
const NodeSlot slot_of_3{"pgpool_node_3", false, 16 * megabyte, "reserved"};

SlotVerdict judge(const SlotWorld& world) {
    return judge_slots(world).at(0);
}

std::string rule_and_fate(const SlotWorld& world) {
    const SlotVerdict verdict = judge(world);
    return verdict.rule + (verdict.drop ? " drop" : " keep");
}

TEST(Slots, L01AnActiveSlotStaysWhateverElseIsSo) {
    SlotWorld world = world_with(slot_of_3);
    world.slots[0].active = true;
    world.ours = {"pgpool_node_3"};
    EXPECT_EQ(rule_and_fate(world), "L01 keep");
    EXPECT_EQ(judge(world).text, "");
}

TEST(Slots, L02ThePrimarysOwnSlotGoes) {
    EXPECT_EQ(rule_and_fate(world_with({"pgpool_node_0", false, 0, "reserved"})), "L02 drop");
}

TEST(Slots, L03TheSlotOfANodeThatLeftGoesWhenItIsOurs) {
    SlotWorld world = world_with(slot_of_3);
    world.ours = {"pgpool_node_3"};
    EXPECT_EQ(rule_and_fate(world), "L03 drop");
    EXPECT_EQ(judge(world).text,
              "slot pgpool_node_3 was for node 3, which is not in pgpool.conf any more");
}

TEST(Slots, L04ASlotThatNobodyIsKnownToHaveMadeStaysAndTheCommandIsTold) {
    const SlotVerdict verdict = judge(world_with(slot_of_3));
    EXPECT_EQ(verdict.rule, "L04");
    EXPECT_FALSE(verdict.drop);
    EXPECT_EQ(
        verdict.text,
        "slot pgpool_node_3 keeps back 16 MB for a node that is not in pgpool.conf; it stays, "
        "as nothing here says that pgpool-hooks made it");
    EXPECT_EQ(verdict.next, "SELECT pg_drop_replication_slot('pgpool_node_3') on node 0");
    // No node's slot is called that.
    EXPECT_EQ(rule_and_fate(world_with({"pgpool_node_002", false, 0, "reserved"})), "L04 keep");
    EXPECT_EQ(rule_and_fate(world_with({"pgpool_node_99999999999", false, 0, ""})), "L04 keep");
}

TEST(Slots, L05TheSlotOfANodeThatIsGivenUpGoesByThePolicy) {
    const struct {
        FailedStandbySlot policy;
        bool bounded;
        const char* fate;
    } cases[] = {
        {FailedStandbySlot::keep_if_bounded, true, "L07 keep"},
        {FailedStandbySlot::keep_if_bounded, false, "L05 drop"},
        {FailedStandbySlot::keep, true, "L07 keep"},
        {FailedStandbySlot::keep, false, "L08 keep"},
        {FailedStandbySlot::drop, true, "L05 drop"},
        {FailedStandbySlot::drop, false, "L05 drop"},
    };
    for (const auto& [policy, bounded, fate] : cases) {
        SlotWorld world = world_with(slot_of_2);
        world.policy = policy;
        if (bounded) {
            world.bound = 2 * gigabyte;
        }
        world.given_up = 1;
        EXPECT_EQ(judge(world).drop, false) << "another node is given up";
        world.given_up = 2;
        world.expected = {2};
        EXPECT_EQ(rule_and_fate(world), fate) << static_cast<int>(policy) << bounded;
    }
}

TEST(Slots, L06NothingIsSaidOfANodeThatServesOrComesBack) {
    SlotWorld world = world_with({"pgpool_node_2", false, 16 * megabyte, "reserved"});
    world.expected = {2};
    EXPECT_EQ(rule_and_fate(world), "L06 keep");
    EXPECT_EQ(judge(world).text, "");
    world.expected = {};
    world.down = {};
    EXPECT_EQ(rule_and_fate(world), "L06 keep");
    world.slots[0].wal_status = "extended";  // it serves, and uses no slot
    EXPECT_EQ(rule_and_fate(world), "L08 keep");
    EXPECT_EQ(judge(world).text,
              "slot pgpool_node_2 keeps back 16 MB for node 2, which does not stream; nothing "
              "bounds it");
}

TEST(Slots, L07WhatADeadNodeKeepsBackIsToldWithItsBound) {
    SlotWorld world = world_with(slot_of_2);
    world.bound = 2 * gigabyte;
    EXPECT_EQ(rule_and_fate(world), "L07 keep");
    EXPECT_EQ(judge(world).text,
              "slot pgpool_node_2 keeps back 1.2 GB for node 2, which is down; "
              "max_slot_wal_keep_size bounds it at 2 GB");
    EXPECT_EQ(judge(world).next, "");
    world.slots[0].kept = std::nullopt;
    world.slots[0].wal_status = "lost";
    EXPECT_EQ(judge(world).text,
              "slot pgpool_node_2 has lost its WAL and keeps none back for node 2, which is down; "
              "max_slot_wal_keep_size bounds it at 2 GB");
}

TEST(Slots, L08WhatNothingBoundsIsToldWithTheCommand) {
    SlotWorld world = world_with(slot_of_2);
    EXPECT_EQ(rule_and_fate(world), "L08 keep");
    EXPECT_EQ(judge(world).text,
              "slot pgpool_node_2 keeps back 1.2 GB for node 2, which is down; nothing bounds it");
    EXPECT_EQ(judge(world).next,
              "ALTER SYSTEM SET max_slot_wal_keep_size = '10GB'; SELECT pg_reload_conf(); or, if "
              "that node stays away, SELECT pg_drop_replication_slot('pgpool_node_2') on node 0");
    world.major = 12;
    world.slots[0].wal_status = "";
    EXPECT_EQ(judge(world).next, "SELECT pg_drop_replication_slot('pgpool_node_2') on node 0");
}

// What is dropped is never in use, and has a reason that was known for certain; whatever keeps WAL
// back for a node that is down is told.
TEST(Slots, WholeSpace) {
    std::size_t count = 0;
    std::set<std::string> rules;
    for (std::size_t index = 0;; ++index, ++count) {
        Pick pick(index);
        SlotWorld world;
        world.primary = pick.of<int>({0, -1});
        world.major = pick.of<int>({12, 15});
        const bool backends_known = pick.yes_or_no();
        if (backends_known) {
            world.backends = {0, 1, 2};
        }
        world.policy = pick.of<FailedStandbySlot>(
            {FailedStandbySlot::keep_if_bounded, FailedStandbySlot::keep, FailedStandbySlot::drop});
        NodeSlot slot;
        slot.name = pick.of<std::string>(
            {"pgpool_node_0", "pgpool_node_2", "pgpool_node_3", "pgpool_node_03"});
        slot.active = pick.yes_or_no();
        if (pick.yes_or_no()) {
            slot.kept = 16 * megabyte;
        }
        const std::string status = pick.of<std::string>({"reserved", "extended", "lost"});
        const bool bounded = pick.yes_or_no() && world.major >= 13;
        if (world.major >= 13) {
            slot.wal_status = status;
        }
        if (bounded) {
            world.bound = gigabyte;
        }
        if (pick.yes_or_no()) {
            world.ours = {slot.name};
        }
        const bool down = pick.yes_or_no();
        if (down) {
            world.down = {2};
        }
        const bool expected = pick.yes_or_no();
        if (expected) {
            world.expected = {2};
        }
        world.given_up = pick.of<std::optional<int>>({std::nullopt, 1, 2});
        world.slots = {slot};
        if (pick.overflowed()) {
            break;
        }
        const SlotVerdict verdict = judge(world);
        rules.insert(verdict.rule);
        const bool own = world.primary == 0 && slot.name == "pgpool_node_0";
        const bool of_2 = slot.name == "pgpool_node_2";
        const bool left = backends_known && !of_2 && slot.name != "pgpool_node_0";
        const bool given_up = of_2 && world.given_up == 2;
        const bool may_go = own || (left && !world.ours.empty()) ||
                            (given_up && lets_slot_go(world.policy, bounded));
        ASSERT_EQ(verdict.drop, may_go && !slot.active) << index << " " << verdict.rule;
        ASSERT_FALSE(verdict.drop && verdict.text.empty()) << index;
        ASSERT_FALSE(slot.active && !verdict.text.empty()) << index;
        if (!slot.active && !verdict.drop && of_2 && (given_up || (down && !expected))) {
            ASSERT_NE(verdict.text, "") << index;
            ASSERT_EQ(verdict.text.find("bounds it at") != std::string::npos, bounded) << index;
        }
        // Where WAL is kept back without a bound and nothing will end that, there is a command.
        ASSERT_EQ(verdict.rule == "L08" || verdict.rule == "L04", !verdict.next.empty()) << index;
        if (verdict.rule == "L08") {
            ASSERT_TRUE(!bounded && slot.kept && !verdict.drop) << index;
        }
    }
    EXPECT_GT(count, 10000U);
    EXPECT_EQ(rules,
              (std::set<std::string>{"L01", "L02", "L03", "L04", "L05", "L06", "L07", "L08"}));
}

TEST(Slots, BytesAreCountedAsPostgresCounts) {
    EXPECT_EQ(bytes_text(0), "0 bytes");
    EXPECT_EQ(bytes_text(1023), "1023 bytes");
    EXPECT_EQ(bytes_text(1024), "1 kB");
    EXPECT_EQ(bytes_text(16 * megabyte), "16 MB");
    EXPECT_EQ(bytes_text(gigabyte + 205 * megabyte), "1.2 GB");
    EXPECT_EQ(bytes_text(5000 * gigabyte), "4.9 TB");
    EXPECT_EQ(bytes_text(~std::uint64_t{0}), "16777216 TB");
}

// --- the ledger ---

const SlotPlace here{"db1:5432", this_cluster};

std::string line(const char* event, const char* slot, const char* server = "db1:5432",
                 std::uint64_t cluster = this_cluster) {
    return std::string("time=2026-11-26T10:00:00.000Z event=") + event + " slot=" + slot +
           " on=\"node 1 (db1:5432)\" server=" + server + " cluster=" + std::to_string(cluster) +
           " why=\"before \\\"its\\\" promotion\" hook=failover_command host=pgpool1 run=5f2c\n";
}

TEST(SlotLedger, TheLastLineOfASlotCounts) {
    EXPECT_EQ(slots_in_ledger("", here), std::set<std::string>{});
    const std::string both = line("made", "pgpool_node_0") + line("made", "pgpool_node_2");
    EXPECT_EQ(slots_in_ledger(both, here),
              (std::set<std::string>{"pgpool_node_0", "pgpool_node_2"}));
    for (const char* end : {"dropped", "gone"}) {
        const std::string gone = both + line(end, "pgpool_node_2");
        EXPECT_EQ(slots_in_ledger(gone, here), std::set<std::string>{"pgpool_node_0"}) << end;
        EXPECT_EQ(slots_in_ledger(gone + line("made", "pgpool_node_2"), here).size(), 2U);
    }
}

TEST(SlotLedger, ASlotOfAnotherServerOrClusterIsAnother) {
    const std::string text = line("made", "pgpool_node_0", "db2:5432") +
                             line("made", "pgpool_node_0", "db1:5432", other_cluster);
    EXPECT_EQ(slots_in_ledger(text, here), std::set<std::string>{});
    EXPECT_EQ(
        slots_in_ledger(
            line("made", "pgpool_node_0") + line("dropped", "pgpool_node_0", "db2:5432"), here),
        std::set<std::string>{"pgpool_node_0"});
}

// Cut off anywhere, the last line says what it says with the run id begun, or nothing; the lines
// before it and after it stand.
TEST(SlotLedger, ATornLineCountsForNothing) {
    const std::string first = line("made", "pgpool_node_0");
    const std::string torn = line("made", "pgpool_node_21");
    const std::size_t run = torn.find("run=") + 4;
    for (std::size_t length = 0; length < run; ++length) {
        const std::string text = first + torn.substr(0, length);
        EXPECT_EQ(slots_in_ledger(text, here), std::set<std::string>{"pgpool_node_0"}) << length;
        EXPECT_EQ(slots_in_ledger(text + "\n" + line("made", "pgpool_node_2"), here),
                  (std::set<std::string>{"pgpool_node_0", "pgpool_node_2"}))
            << length;
    }
}

TEST(SlotLedger, WhatIsNoLineIsPassedOver) {
    const std::string junk =
        std::string("\n\n  \nevent\n=\n\"\nslot==\nevent=made slot=x run=1\n") +
        "event=burnt slot=pgpool_node_0 server=db1:5432 cluster=7001 run=1\n" +
        std::string("\0\x01\xff", 3) + "\n" + std::string(1 << 16, '"') + "\n";
    EXPECT_EQ(slots_in_ledger(junk + line("made", "pgpool_node_0") + junk, here),
              std::set<std::string>{"pgpool_node_0"});
}

}  // namespace
}  // namespace hooks
