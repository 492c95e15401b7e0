// What a verdict of the rejoin rules means in steps.
#include "common/core/conninfo.h"
#include "common/core/recovery_conf.h"
#include "common/core/rejoin.h"

namespace hooks {

Decision plan_rejoin(const RejoinVerdict& v, const SourceFacts& s, const TargetFacts& t,
                     const RejoinPolicy& policy) {
    const int node = t.node;
    Plan plan{v.rule, v.reason, {}};
    const auto add = [&plan](Step step) { plan.steps.push_back(std::move(step)); };
    const auto slot = [&] { add(CreateSlots{s.node, {slot_name(node)}}); };
    const auto finish = [&] {
        if (policy.online_recovery) {
            return;
        }
        add(StartServer{node, false});
        add(ProveStreaming{node, s.node});
        add(AttachNode{node});
    };

    // Before anything is touched: where there is no room for it, nothing is done.
    const auto rescue = [&] {
        if (v.diverged) {
            add(RescueWal{node,
                          stretches_between(*t.history, v.diverged->first, v.diverged->second)});
        }
    };

    switch (v.action) {
        case RejoinAction::refuse:
            return Refuse{v.rule, v.reason, v.next};
        case RejoinAction::wait:
            return Refuse{
                v.rule, v.reason,
                "Nothing is done against a node that is not the primary; pgpool will call "
                "again after the next failover."};
        case RejoinAction::stop_and_look_again:
            add(StopServer{node});
            add(LookAgain{node});
            return plan;
        case RejoinAction::follow:
            slot();
            if (t.running && follows_by_reload(s.major) && t.reload_possible &&
                !policy.online_recovery) {
                add(Repoint{node, s.node});
                add(ProveStreaming{node, s.node});
                add(AttachNode{node});
                return plan;
            }
            if (t.running) {
                add(StopServer{node});
            }
            add(WriteRecoverySettings{node, s.node});
            finish();
            return plan;
        case RejoinAction::trim:
            slot();
            add(TrimWal{node, t.timeline(), *v.switchpoint});
            add(WriteRecoverySettings{node, s.node});
            finish();
            return plan;
        case RejoinAction::rewind:
            slot();
            rescue();
            if (s.major < 16) {
                // pg_rewind compares the timelines in the control files; the source's shows the
                // new one only after its first checkpoint.
                add(Checkpoint{s.node});
            }
            if (!t.control->shut_down_cleanly()) {
                add(SettleCrash{node});
            }
            add(Rewind{node, s.node, v.diverged.has_value()});
            add(WriteRecoverySettings{node, s.node});
            finish();
            return plan;
        case RejoinAction::base_backup:
            slot();
            rescue();
            add(BaseBackup{node, s.node, v.diverged.has_value(), policy.backup_in_place});
            add(WriteRecoverySettings{node, s.node});
            finish();
            return plan;
    }
    return Refuse{"R10", "no rule matched", ""};
}

}  // namespace hooks
