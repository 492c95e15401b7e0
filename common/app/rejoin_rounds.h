// Inside of run_rejoin(): one node is looked at (rejoin_look.cpp), and what is decided is done
// (rejoin_job.cpp), round after round.
#pragma once

#include <algorithm>
#include <optional>
#include <string>

#include "common/app/bring_up.h"
#include "common/app/node_steps.h"
#include "common/app/primary_session.h"
#include "common/app/rejoin_job.h"
#include "common/app/slot_review.h"

namespace hooks {

class Rejoin {
  public:
    Rejoin(const RejoinJob& job, Env& env)
        : job_(job),
          env_(env),
          primary_(job.source, job.target.id, job.wait_for_host, env),
          target_{job.target, env.config.node(job.target.id), nullptr, {}, {}},
          copy_deadline_(env.config.recovery_timeout
                             ? env.deadline.within(*env.config.recovery_timeout)
                             : env.deadline) {
        target_.still_wanted = [this] { primary_.check(quick()); };
        policy_.base_backup = env.config.base_backup != BaseBackupPolicy::never;
        policy_.stop_running_primary = env.config.rejoin_old_primary;
        policy_.online_recovery = job.online_recovery;
    }

    Verdict run();

  private:
    // Everything but copying is bounded by follow_timeout.
    Deadline quick() const { return env_.deadline.within(env_.config.follow_timeout); }

    // What is left at least when a server is asked whether it lets anybody in.
    Milliseconds time_to_ask() const {
        return 2 * std::min(env_.config.connect_timeout, env_.config.follow_timeout / 4);
    }
    void check_port_is_free(Deadline deadline);
    TargetFacts look(Deadline deadline);
    TargetFacts look_when_reachable();
    Decision decide();
    void forecast_backup();
    bool keeps_configuration() const;
    bool perform(const Step& step);
    void look_at(PgConnection& repointed);
    RecoverySettings settings() const;
    bool look_again_after(int rewinds);
    std::string summary(const Decision& decision) const;
    Verdict run_to_the_end();
    SlotReview review();

    const RejoinJob& job_;
    Env& env_;
    PrimarySession primary_;  // holds the lock
    Target target_;
    Deadline copy_deadline_;
    RejoinPolicy policy_;
    std::optional<SourceFacts> source_;
    Conninfo present_;  // the target's primary_conninfo before anything was changed
    // What stays of its recovery.conf, below 12; nullopt while nothing was found.
    std::optional<KeptRecovery> kept_;
    bool same_cluster_ = false;
    std::optional<BackupPlan> backup_;
    std::optional<RejoinVerdict> verdict_;
    std::optional<RescuedWal> rescued_;  // in any round
    std::optional<Proof> proof_;
    bool repointed_ = false;  // in this round, by reload
    bool rewinding_ = false;  // a step that a base backup can take the place of
    int rewinds_ = 0;         // that somebody ended
    int lost_connections_ = 0;
    bool given_up_ = false;  // its host was waited for, in vain
};

}  // namespace hooks
