// One run of failover_command: look, decide, act, and look again until a primary is seen or the
// time is over.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "common/app/node_steps.h"
#include "common/app/servers.h"
#include "common/core/stop_note.h"
#include "failover_command/decide.h"

namespace hooks::failover {

class Ladder;

class Failover {
  public:
    Failover(const Arguments& words, Env& env);
    // Blocks until somebody is promoted or nothing can be done, at most failover_timeout. Throws
    // Error{timeout} then, and Error{refused} where a promotion would not be safe.
    Verdict run();

  private:
    // ---- failover.cpp: the loop
    Verdict run_or_restore();
    Verdict run_to_the_end();
    bool worth_waiting(const Decision& decision) const;
    bool slots_bounded();
    const ServerSeen* primary_of_lost_standby() const;
    void review_slots(Verdict& verdict);
    std::string decide_again_text() const;
    bool perform(const Step& step);                    // false: the facts changed, look again
    bool candidate_failed(int node, std::string why);  // always false
    Target target_of(int node);
    const Backend& backend(int id) const { return *env_.pgpool.find(id); }
    const ServerSeen* find(int node) const;
    int before_major(int node) const { return find(node)->server->major(); }

    // ---- vote.cpp: who could take over, and that nobody else decides at the same time
    std::vector<int> standbys() const;  // candidates, lowest id first
    bool lock_standbys(int chosen);
    bool prepare(const CreateSlots& step);
    bool old_primary_is_back();
    void drop_slots_of_no_promotion(int node, Deadline deadline);

    // ---- standstill.cpp: positions that stand still while they are compared, and all put back
    void doubt_refusal();
    bool stand_still();  // false: another run promotes a node, look again
    bool still_receive(Deadline deadline);
    void hold_receivers();
    void read_candidates_again();
    void put_everything_back() noexcept;
    void put_back(int node);
    bool follows_the_new_primary(int node);
    ServerLook* look_of(int node);

    // ---- promotion.cpp
    Deadline promotion_deadline() const;
    bool promote_node(int node);
    Promotion ask_to_promote(int node);
    void hold_archive(int node);
    Promotion watch_archive(int node, Promotion so_far);
    bool sits_in_restore_command(Target& target);
    Promotion restart_without_archive(Target& target);
    bool promoted(int node, const ServerFacts& before, TimelineId timeline);
    bool put_down(int node, const ServerFacts& before, const std::string& detail);
    Promotion promote_by_pg_ctl(int node, PgConnection& candidate, TimelineId before,
                                Deadline deadline);

    // ---- synchronous.cpp: whether anybody can confirm the new primary's commits
    void prepare_synchronous(int node);
    void report_synchronous(int node);
    void settle_synchronous(int node, PgConnection& server, Deadline deadline);

    // ---- fence.cpp: the old primary must not be one beside the new one
    void look();  // at all servers, and at the host of an old primary that does not answer
    void look_at_the_host(Ladder& ladder);
    void refuse_another_cluster(const Target& target) const;
    Target& reach(int node);
    void stop_old_primary(int node);
    void checkpoint_before_stop(int node);
    void judge_stopped(Target& target, Deadline deadline);
    void wait_for_wal(const WaitForWal& step);
    bool fence(const Fence& step);  // false: a server runs there again, look again
    std::string fence_text() const;
    void fence_in_the_background();

    // ---- interrupted.cpp: an earlier run was killed after it had stopped the old primary
    std::string note_name() const;
    std::string note_path() const;
    void read_note();
    void leave_note();
    void remove_note() const;
    void go_on_where_it_was_stopped();

    // ---- restore.cpp: nobody takes its place, so it takes it again
    void reserve_time_to_restore();
    void point_of_no_restore();
    bool can_restore() const;
    bool another_took_over();
    void start_old_primary();
    Verdict restored(const std::string& why);
    void attach_in_the_background();

    Env& env_;
    Request request_;
    Policy policy_;
    std::vector<ServerLook> looks_;
    std::vector<Failed> failed_;
    int stops_in_vain_ = 0;
    OldPrimary old_;                    // of the detached node
    std::optional<StopNote> note_;      // of an earlier run, until its host was looked at
    std::unique_ptr<Target> fenced_;    // the node that was stopped last
    bool tombstone_ = false;            // the detached node has one
    std::optional<Deadline> whole_;     // failover_timeout, when a part of it is kept back
    std::optional<Deadline> reserved_;  // what is left of it without that part
    std::string done_;
    std::string next_;    // what a person should do after it
    std::set<int> held_;  // nodes that have a setting held, by this run or by one that was killed
    std::set<int> with_slots_;  // standbys on which this run made slots
    std::string who_promotes_;  // the other run that holds the lock
    int promoted_ = -1;         // the new primary
    int asked_ = -1;            // may be or become it: whatever lets its commits go on stays
    std::string too_few_standbys_;
    bool relaxed_ = false;  // the setting that asks for them
    TimelineId promoted_timeline_ = 0;
};

// Whether its startup process may run a restore_command when it is promoted. Below 12 that cannot
// be asked for.
bool may_use_an_archive(const ServerFacts& candidate);
// How long that may hold up a promotion before it is looked for.
constexpr std::chrono::milliseconds patience_with_archive{1000};

// Between two looks when nothing can be done yet.
constexpr std::chrono::milliseconds look_pause{500};

// One lock for promotions, whoever runs them. Throws as lock_node() does.
void lock_promotion(PgConnection& standby, Deadline deadline);

}  // namespace hooks::failover
