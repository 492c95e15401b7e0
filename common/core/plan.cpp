#include "common/core/plan.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>

namespace hooks {
namespace {

struct Texts {
    const char* name;
    std::string text;
    bool no_return = false;
};

struct Describe {
    Texts operator()(const CreateSlots& s) const {
        return {"create_slots", fmt::format("create {} {} on {}, reserving WAL at once",
                                            s.slots.size() == 1 ? "slot" : "slots",
                                            fmt::join(s.slots, ", "), node_name(s.node))};
    }
    Texts operator()(const DropSlot& s) const {
        return {"drop_slot",
                fmt::format("drop slot {} on {} if it is not in use", s.slot, node_name(s.node)),
                true};
    }
    Texts operator()(const ResumeReplay& s) const {
        return {"resume_replay", fmt::format("resume replay on {}", node_name(s.node))};
    }
    Texts operator()(const Promote& s) const {
        return {"promote", fmt::format("promote {}", node_name(s.node)), true};
    }
    Texts operator()(const StopServer& s) const {
        return {"stop", fmt::format("stop the server of {} (fast)", node_name(s.node))};
    }
    Texts operator()(const WaitForWal& s) const {
        return {"wait_for_wal",
                fmt::format("wait until a candidate, best {}, has received timeline {} up to {}",
                            node_name(s.node), s.timeline, s.upto)};
    }
    Texts operator()(const Fence& s) const {
        return {"fence", fmt::format("put a tombstone into the data directory of {}: its place is "
                                     "taken by {}",
                                     node_name(s.node), node_name(s.successor))};
    }
    Texts operator()(const StartAsPrimary& s) const {
        return {"start_as_primary",
                fmt::format("start the server of {} again as the primary that it was",
                            node_name(s.node))};
    }
    Texts operator()(const LookAgain& s) const {
        return {"look_again", fmt::format("look at {} again and decide anew", node_name(s.node))};
    }
    Texts operator()(const Checkpoint& s) const {
        return {"checkpoint", fmt::format("checkpoint on {}", node_name(s.node))};
    }
    Texts operator()(const SettleCrash& s) const {
        return {"settle_crash",
                fmt::format("replay the WAL of {} as an isolated standby, then stop it",
                            node_name(s.node))};
    }
    Texts operator()(const TrimWal& s) const {
        return {"trim_wal",
                fmt::format("remove WAL of timeline {} from the segment of {} on from "
                            "{}, which has not replayed it",
                            s.timeline, s.from, node_name(s.node)),
                true};
    }
    Texts operator()(const RescueWal& s) const {
        return {"rescue_wal",
                fmt::format("keep WAL {} to {} of {}, which would be lost, outside its data "
                            "directory",
                            s.stretches.front().from, s.stretches.back().to, node_name(s.node))};
    }
    Texts operator()(const Rewind& s) const {
        return {"rewind", fmt::format("rewind {} to {}", node_name(s.node), node_name(s.source)),
                true};
    }
    Texts operator()(const BaseBackup& s) const {
        return {"base_backup",
                fmt::format("base backup of {} for {} {}, then swap", node_name(s.source),
                            node_name(s.node),
                            s.in_place ? "in place of its old data" : "beside its data directory")};
    }
    Texts operator()(const WriteRecoverySettings& s) const {
        return {"write_settings", fmt::format("write the recovery settings of {}: standby of "
                                              "{}",
                                              node_name(s.node), node_name(s.source))};
    }
    Texts operator()(const Repoint& s) const {
        return {"repoint",
                fmt::format("re-point {} to {} by reload", node_name(s.node), node_name(s.source))};
    }
    Texts operator()(const StartServer& s) const {
        return {"start", fmt::format("start the server of {}", node_name(s.node))};
    }
    Texts operator()(const ProveStreaming& s) const {
        return {"prove", fmt::format("prove that {} streams from {} and replays a marker",
                                     node_name(s.node), node_name(s.source))};
    }
    Texts operator()(const AttachNode& s) const {
        return {"attach", fmt::format("attach {} to pgpool and see it there", node_name(s.node))};
    }
    Texts operator()(const HandOver& s) const {
        return {"hand_over", fmt::format("hand {} over to a detached worker", node_name(s.node))};
    }
};

template <class T>
int node_of(const T& step) {
    return step.node;
}

}  // namespace

std::string node_name(int node) {
    switch (node) {
        case unnamed_primary:
            return "the primary";
        case unnamed_target:
            return "the target node";
        default:
            return fmt::format("node {}", node);
    }
}

std::string text(const Step& step) {
    return std::visit(Describe{}, step).text;
}
const char* name(const Step& step) {
    return std::visit(Describe{}, step).name;
}
bool is_point_of_no_return(const Step& step) {
    return std::visit(Describe{}, step).no_return;
}

const std::string& rule_of(const Decision& decision) {
    return std::visit([](const auto& d) -> const std::string& { return d.rule; }, decision);
}

const std::string& reason_of(const Decision& decision) {
    return std::visit([](const auto& d) -> const std::string& { return d.reason; }, decision);
}

bool needs_a_start(const Decision& decision) {
    const Plan* const plan = std::get_if<Plan>(&decision);
    return plan != nullptr &&
           std::any_of(plan->steps.begin(), plan->steps.end(), [](const Step& step) {
               return std::holds_alternative<StopServer>(step) ||
                      std::holds_alternative<Rewind>(step) ||
                      std::holds_alternative<BaseBackup>(step) ||
                      std::holds_alternative<StartServer>(step);
           });
}

std::string to_string(const Decision& decision) {
    if (const auto* plan = std::get_if<Plan>(&decision)) {
        std::string out = fmt::format("{}: {}\n", plan->rule, plan->reason);
        int number = 0;
        bool marked = false;
        for (const Step& step : plan->steps) {
            if (!marked && is_point_of_no_return(step)) {
                out += "     -- point of no return --\n";
                marked = true;
            }
            out += fmt::format("  {}. {}\n", ++number, text(step));
        }
        return out;
    }
    if (const auto* refuse = std::get_if<Refuse>(&decision)) {
        return fmt::format("{}: refused: {}\n  next: {}\n", refuse->rule, refuse->reason,
                           refuse->next);
    }
    const auto& nothing = std::get<Nothing>(decision);
    return fmt::format("{}: nothing to do: {}\n", nothing.rule, nothing.reason);
}

std::optional<std::string> order_defect(const Plan& plan) {
    if (plan.steps.empty()) {
        return "a plan without steps";
    }
    std::set<int> settings_written;
    std::set<int> files_replaced;  // by a rewind or a base backup
    std::set<int> rescued;
    std::set<int> proved;
    std::set<int> promoted;
    std::set<int> fenced;
    for (std::size_t i = 0; i < plan.steps.size(); ++i) {
        const Step& step = plan.steps[i];
        const int node = std::visit([](const auto& s) { return node_of(s); }, step);
        if (std::holds_alternative<WriteRecoverySettings>(step)) {
            settings_written.insert(node);
        } else if (std::holds_alternative<Repoint>(step)) {
            settings_written.insert(node);
        } else if (std::holds_alternative<Rewind>(step) ||
                   std::holds_alternative<BaseBackup>(step)) {
            const auto* rewind = std::get_if<Rewind>(&step);
            const bool loses = rewind ? rewind->loses_wal : std::get<BaseBackup>(step).loses_wal;
            if (loses && !rescued.count(node)) {
                return fmt::format("\"{}\" before the WAL that it loses was kept", text(step));
            }
            // Both bring the source's settings along.
            settings_written.erase(node);
            files_replaced.insert(node);
        } else if (const auto* start = std::get_if<StartServer>(&step)) {
            if (!start->settings_seen && !settings_written.count(node)) {
                return fmt::format("node {} would start without recovery settings", node);
            }
        } else if (std::holds_alternative<RescueWal>(step)) {
            if (files_replaced.count(node)) {
                return fmt::format("\"{}\" after the files were replaced", text(step));
            }
            rescued.insert(node);
        } else if (std::holds_alternative<SettleCrash>(step) ||
                   std::holds_alternative<TrimWal>(step)) {
            if (files_replaced.count(node)) {
                return fmt::format("\"{}\" after the files were replaced", text(step));
            }
        } else if (std::holds_alternative<StopServer>(step)) {
            if (files_replaced.count(node)) {
                return fmt::format("node {} is stopped after its files were replaced", node);
            }
            if (!promoted.empty()) {
                return fmt::format("node {} is stopped after another took its place", node);
            }
        } else if (std::holds_alternative<Fence>(step)) {
            // Until then it could come up beside the new primary.
            if (!promoted.empty()) {
                return fmt::format("node {} is fenced after another took its place", node);
            }
            fenced.insert(node);
        } else if (std::holds_alternative<WaitForWal>(step)) {
            if (!promoted.empty()) {
                return "a promoted node receives nothing more";
            }
        } else if (std::holds_alternative<StartAsPrimary>(step)) {
            if (plan.steps.size() != 1) {
                return fmt::format("\"{}\" is not the only step", text(step));
            }
        } else if (std::holds_alternative<ProveStreaming>(step)) {
            proved.insert(node);
        } else if (std::holds_alternative<AttachNode>(step)) {
            if (!proved.count(node)) {
                return fmt::format("node {} would be attached without proof", node);
            }
        } else if (std::holds_alternative<Promote>(step)) {
            if (fenced.count(node)) {
                return fmt::format("node {} would be promoted after it was fenced", node);
            }
            promoted.insert(node);
            if (promoted.size() > 1) {
                return "two nodes would be promoted";
            }
        } else if (std::holds_alternative<CreateSlots>(step)) {
            if (promoted.count(node)) {
                return "slots after the promotion do not hold the WAL that a rewind needs";
            }
        } else if (std::holds_alternative<LookAgain>(step) ||
                   std::holds_alternative<HandOver>(step)) {
            if (i + 1 != plan.steps.size()) {
                return fmt::format("\"{}\" is not the last step", text(step));
            }
        }
    }
    for (const int node : files_replaced) {
        if (!settings_written.count(node)) {
            return fmt::format("node {} is left with the settings of another node", node);
        }
    }
    return std::nullopt;
}

}  // namespace hooks
