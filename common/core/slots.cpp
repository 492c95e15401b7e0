#include "common/core/slots.h"

#include <fmt/format.h>

#include <charconv>

#include "common/core/conninfo.h"

namespace hooks {
namespace {

constexpr std::string_view prefix = "pgpool_node_";

// pgpool_node_007 is nobody's.
int node_of(const std::string& slot) {
    int node = -1;
    const char* end = slot.data() + slot.size();
    if (!slot.starts_with(prefix) ||
        std::from_chars(slot.data() + prefix.size(), end, node).ptr != end || node < 0 ||
        slot_name(node) != slot) {
        return -1;
    }
    return node;
}

std::string drop_command(const std::string& slot) {
    return fmt::format("SELECT pg_drop_replication_slot({})", quote_sql_literal(slot));
}

std::string kept_text(const NodeSlot& slot) {
    if (slot.wal_status == "lost") {
        return "has lost its WAL and keeps none back";
    }
    return "keeps back " + (slot.kept ? bytes_text(*slot.kept) : std::string("no WAL"));
}

SlotVerdict judge(const SlotWorld& world, const NodeSlot& slot) {
    SlotVerdict verdict;
    verdict.slot = slot.name;
    verdict.node = node_of(slot.name);
    const int node = verdict.node;
    const auto decide = [&](const char* rule, bool drop, std::string text = {}) {
        verdict.rule = rule;
        verdict.drop = drop;
        verdict.text = std::move(text);
        return verdict;
    };
    if (slot.active) {
        return decide("L01", false);
    }
    if (node >= 0 && node == world.primary) {
        return decide("L02", true, fmt::format("slot {} was for the primary itself", slot.name));
    }
    const bool left = world.backends && (node < 0 || world.backends->count(node) == 0);
    const bool ours = world.ours.count(slot.name) != 0;
    if (left && ours) {
        return decide("L03", true,
                      fmt::format("slot {} was for node {}, which is not in pgpool.conf any more",
                                  slot.name, node));
    }
    const std::string on_primary =
        world.primary < 0 ? " on the primary" : fmt::format(" on node {}", world.primary);
    if (left) {
        verdict.next = drop_command(slot.name) + on_primary;
        return decide("L04", false,
                      fmt::format("slot {} {} for a node that is not in pgpool.conf; it stays, as "
                                  "nothing here says that pgpool-hooks made it",
                                  slot.name, kept_text(slot)));
    }
    if (node >= 0 && world.given_up == node &&
        lets_slot_go(world.policy, world.bound.has_value())) {
        return decide("L05", true, fmt::format("slot {} was for node {}", slot.name, node));
    }
    const bool comes = world.expected.count(node) != 0 && world.given_up != node;
    const bool down = world.down.count(node) != 0 || world.given_up == node;
    const bool much = !slot.wal_status.empty() && slot.wal_status != "reserved";
    if (!much && (comes || !down)) {
        return decide("L06", false);
    }
    const std::string report = fmt::format(
        "slot {} {} for {}, which {}", slot.name, kept_text(slot),
        node < 0 ? "no node" : fmt::format("node {}", node), down ? "is down" : "does not stream");
    if (world.bound || slot.wal_status == "lost" || !slot.kept) {
        return decide("L07", false,
                      world.bound ? fmt::format("{}; max_slot_wal_keep_size bounds it at {}",
                                                report, bytes_text(*world.bound))
                                  : report);
    }
    const std::string drop = drop_command(slot.name);
    verdict.next = (world.major >= 13 ? "ALTER SYSTEM SET max_slot_wal_keep_size = '10GB'; SELECT "
                                        "pg_reload_conf(); or, if that node stays away, " +
                                            drop
                                      : drop) +
                   on_primary;
    return decide("L08", false, report + "; nothing bounds it");
}

// The next `key=value` or `key="value"` of a line, cut off its front. False at its end, and where
// that is none.
bool next_field(std::string_view& line, std::string_view& key, std::string& value) {
    while (line.starts_with(' ')) {
        line.remove_prefix(1);
    }
    const std::size_t equals = line.find_first_of("= \"");
    if (equals == 0 || equals == std::string_view::npos || line[equals] != '=') {
        return false;
    }
    key = line.substr(0, equals);
    line.remove_prefix(equals + 1);
    value.clear();
    if (!line.starts_with('"')) {
        const std::size_t end = std::min(line.find(' '), line.size());
        value = line.substr(0, end);
        line.remove_prefix(end);
        return true;
    }
    for (std::size_t at = 1; at < line.size(); ++at) {
        if (line[at] == '"') {
            line.remove_prefix(at + 1);
            return line.empty() || line.starts_with(' ');
        }
        if (line[at] == '\\' && at + 1 < line.size()) {
            ++at;
        }
        value += line[at];
    }
    return false;
}

struct LedgerLine {
    std::string event;
    std::string slot;
    std::string server;
    std::string cluster;
    bool whole = false;
};

LedgerLine parse_line(std::string_view line) {
    LedgerLine parsed;
    std::string_view key;
    std::string value;
    while (!line.empty()) {
        if (!next_field(line, key, value)) {
            return {};
        }
        if (key == "event") {
            parsed.event = value;
        } else if (key == "slot") {
            parsed.slot = value;
        } else if (key == "server") {
            parsed.server = value;
        } else if (key == "cluster") {
            parsed.cluster = value;
        }
        parsed.whole = key == "run";  // what comes last
    }
    return parsed;
}

}  // namespace

bool lets_slot_go(FailedStandbySlot policy, bool bounded) {
    return policy == FailedStandbySlot::drop ||
           (policy == FailedStandbySlot::keep_if_bounded && !bounded);
}

std::set<std::string> slots_in_ledger(std::string_view text, const SlotPlace& place) {
    const std::string cluster = std::to_string(place.cluster);
    std::set<std::string> slots;
    while (!text.empty()) {
        const std::size_t newline = std::min(text.find('\n'), text.size());
        const LedgerLine line = parse_line(text.substr(0, newline));
        text.remove_prefix(std::min(newline + 1, text.size()));
        if (!line.whole || line.slot.empty() || line.server != place.server ||
            line.cluster != cluster) {
            continue;
        }
        if (line.event == "made") {
            slots.insert(line.slot);
        } else if (line.event == "dropped" || line.event == "gone") {
            slots.erase(line.slot);
        }
    }
    return slots;
}

std::vector<SlotVerdict> judge_slots(const SlotWorld& world) {
    std::vector<SlotVerdict> verdicts;
    for (const NodeSlot& slot : world.slots) {
        verdicts.push_back(judge(world, slot));
    }
    return verdicts;
}

std::string bytes_text(std::uint64_t bytes) {
    constexpr std::uint64_t kilo = 1024;
    if (bytes < kilo) {
        return fmt::format("{} bytes", bytes);
    }
    auto value = static_cast<double>(bytes) / static_cast<double>(kilo);
    const char* unit = "kB";
    for (const char* larger : {"MB", "GB", "TB"}) {
        if (value < 1024) {
            break;
        }
        value /= 1024;
        unit = larger;
    }
    const std::string text = fmt::format("{:.{}f}", value, value < 10 ? 1 : 0);
    return (text.ends_with(".0") ? text.substr(0, text.size() - 2) : text) + " " + unit;
}

}  // namespace hooks
