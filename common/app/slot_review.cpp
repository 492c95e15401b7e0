#include "common/app/slot_review.h"

#include <fmt/format.h>

#include <algorithm>

#include "common/app/run_hook.h"
#include "common/app/slot_ledger.h"

namespace hooks {
namespace {

// A row for each slot, and one without a slot where there is none. In recovery it fails.
std::string slots_sql(int major) {
    return fmt::format(
        "SELECT i.system_identifier, "
        "(SELECT setting FROM pg_settings WHERE name = 'max_slot_wal_keep_size'), "
        "s.slot_name, s.active, "
        "greatest(0, pg_wal_lsn_diff(pg_current_wal_lsn(), s.restart_lsn))::bigint "
        "+ CASE WHEN s.restart_lsn IS NULL THEN NULL ELSE 0 END, {} "
        "FROM pg_control_system() i LEFT JOIN pg_replication_slots s "
        "ON s.slot_type = 'physical' AND s.slot_name ~ '^pgpool_node_[0-9]+$' ORDER BY 3",
        major >= 13 ? "s.wal_status" : "''");
}

// "Which nodes are there" of a file that somebody may have changed since this run began.
std::optional<std::set<int>> backends_now(Env& env) {
    if (env.pgpool.path.empty()) {
        return std::nullopt;
    }
    try {
        std::set<int> ids;
        for (const Backend& backend : pgpool_conf_now(env).backends) {
            ids.insert(backend.id);
        }
        return ids;
    } catch (const Error& error) {
        env.log.warn(
            "pgpool.conf cannot be read now: no slot is taken for that of a node that left",
            {{"why", error.what()}});
        return std::nullopt;
    }
}

std::set<int> ask_who_is_down(const SlotWorld& world, Env& env, Deadline deadline) {
    std::vector<Backend> nodes;
    for (const NodeSlot& slot : world.slots) {
        for (const Backend& backend : env.pgpool.backends) {
            if (!slot.active && slot.name == slot_name(backend.id) && backend.id != world.primary &&
                backend.id != world.given_up) {
                nodes.push_back(backend);
            }
        }
    }
    if (nodes.empty()) {
        return {};
    }
    return down_of(look_at_servers(nodes, env, deadline.within(env.config.connect_timeout)));
}

std::string outcome_text(SlotDrop end) {
    switch (end) {
        case SlotDrop::dropped:
            return "was dropped";
        case SlotDrop::none:
            return "has gone already";
        case SlotDrop::in_use:
            break;
    }
    return "is in use by now, or a run works on that node: it stays";
}

SlotReview carry_out(const SlotWorld& world, const SlotServer& on, Env& env, Deadline deadline) {
    SlotReview review;
    for (const SlotVerdict& verdict : judge_slots(world)) {
        std::string text = verdict.text;
        if (verdict.drop) {
            const SlotDrop end = drop_slot_noted(
                on, verdict.slot, fmt::format("{}: {}", verdict.rule, verdict.text), env, deadline,
                verdict.node >= 0 ? std::optional(verdict.node) : std::nullopt);
            text += " and " + outcome_text(end);
        }
        if (text.empty()) {
            continue;
        }
        env.log.write(verdict.next.empty() ? LogLevel::info : LogLevel::warn, text,
                      {{"rule", verdict.rule},
                       {"slot", verdict.slot},
                       {"on", on.backend.label()},
                       {"next", verdict.next}});
        review.text += "; " + text;
        if (!verdict.next.empty()) {
            review.next += (review.next.empty() ? "" : " ") + verdict.next + ".";
        }
    }
    return review;
}

}  // namespace

std::set<int> down_of(const std::vector<ServerLook>& looks) {
    std::set<int> down;
    for (const ServerLook& look : looks) {
        if (look.seen.liveness == Liveness::refused || look.seen.liveness == Liveness::silent) {
            down.insert(look.seen.backend.id);
        }
    }
    return down;
}

SlotReview review_slots(PgConnection& primary, const SlotsToReview& what, Env& env,
                        Deadline deadline) {
    if (env.dry_run) {
        return {};
    }
    try {
        SlotWorld world;
        world.primary = what.primary.id;
        world.major = primary.major_version();
        world.backends = backends_now(env);
        world.expected = what.expected;
        world.given_up = what.given_up;
        world.policy = env.config.failed_standby_slot;
        // In this order: a slot that is made in between must not seem to be missing.
        const std::string ledger = slot_ledger_text(env);
        const auto rows = primary.query(slots_sql(world.major), deadline);
        SlotServer on{primary, what.primary};
        for (const PgRow& row : rows) {
            on.cluster = std::stoull(row.at(0).value());
            if (row.at(1) && row.at(1) != "-1") {
                world.bound = std::stoull(*row.at(1)) * 1024 * 1024;  // its unit is MB
            }
            if (row.at(2)) {
                NodeSlot slot{*row.at(2), row.at(3) == "t", {}, row.at(5).value_or("")};
                if (row.at(4)) {
                    slot.kept = std::stoull(*row.at(4));
                }
                world.slots.push_back(std::move(slot));
            }
        }
        world.ours = slots_in_ledger(ledger, on.place());
        std::set<std::string> gone = world.ours;
        for (const NodeSlot& slot : world.slots) {
            gone.erase(slot.name);
        }
        note_slots(on, "gone", {gone.begin(), gone.end()}, "it is there no more", env);
        world.down = what.down ? *what.down : ask_who_is_down(world, env, deadline);
        return carry_out(world, on, env, deadline);
    } catch (const Error& error) {
        env.log.warn("what the slots keep back could not be seen",
                     {{"on", what.primary.label()}, {"why", error.what()}});
    }
    return {};
}

}  // namespace hooks
