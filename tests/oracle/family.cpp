#include "tests/oracle/family.h"

namespace hooks::oracle {
namespace {

class Builder {
  public:
    explicit Builder(Lab& lab) : lab_(lab) {}

    void first_timeline();
    void second_timeline();
    void third_timeline();
    void half_a_record();
    void twins();
    void strangers();
    std::vector<Member> members;

  private:
    void add(Server& server, std::string state, bool source = false) {
        members.push_back({&server, std::move(state), source});
    }
    // A standby that follows nobody any more and is made a primary: written, shut down cleanly.
    Server& promoted(const Server& from, const std::string& name, int rows = 20) {
        Server& server = lab_.standby(from, name);
        server.start();
        server.promote();
        server.write(rows);
        server.checkpoint();
        server.stop();
        return server;
    }
    // A standby that stands where a primary was shut down, by having been started and stopped.
    Server& idle_standby(const Server& from, const std::string& name) {
        Server& server = lab_.standby(from, name);
        server.start();
        server.stop();
        return server;
    }

    Lab& lab_;
    Server* base_ = nullptr;
    Server* a_ = nullptr;
    Server* behind_ = nullptr;
    Server* equal_ = nullptr;
    Server* c_ = nullptr;
};

// One primary, p, and its standbys; one of them, a, is cut off and promoted, and p goes on as a
// second primary.
void Builder::first_timeline() {
    base_ = &lab_.initdb("base");
    add(*base_, "primary restored from an older copy", true);
    Server& p = lab_.copy(*base_, "p");
    p.start();
    std::vector<Server*> standbys;
    for (const char* name : {"s_behind", "s_equal", "s_killed", "s_past", "s_paused", "a"}) {
        standbys.push_back(&lab_.standby(*base_, name, &p));
        standbys.back()->start();
    }
    Server& behind = *standbys[0];
    Server& equal = *standbys[1];
    Server& killed = *standbys[2];
    Server& past = *standbys[3];
    Server& paused = *standbys[4];
    Server& a = *standbys[5];

    p.write(30);
    for (Server* standby : standbys) {
        standby->replay_all_of(p);
    }
    behind.stop();
    add(behind, "standby that received a part");
    paused.value("SELECT pg_wal_replay_pause()::text");
    p.write(15);
    const Lsn lost_from = p.flushed();
    p.write(15);
    for (Server* standby : {&equal, &killed, &past, &a}) {
        standby->replay_all_of(p);
    }
    paused.receive_all_of(p);
    equal.stop();
    add(equal, "standby that received all");
    killed.kill();
    add(killed, "standby that received all, killed");

    // Idle, and the machine lives on: its disk is as a kill would leave it.
    add(lab_.copy(p, "p_killed"), "primary, killed when all was shipped");
    Server& lost = lab_.copy(*members.back().server, "p_lost");
    lost.cut_wal(1, lost_from);
    add(lost, "primary that lost WAL which it had shipped");
    a.stop();
    a.configure(true, nullptr);
    a.start();
    a.promote();

    // A standby whose replay is paused would not connect again: p must not end before this.
    p.write(20);
    past.replay_all_of(p);
    paused.receive_all_of(p);
    past.kill();
    add(lab_.copy(past, "s_past_killed"), "standby of the second primary, killed");
    past.start();
    past.replay_all_of(p);
    past.stop();
    add(past, "standby of the second primary");
    paused.stop();
    add(paused, "standby that received and did not replay");
    p.kill();
    add(lab_.copy(p, "p_past_killed"), "second primary, killed");
    p.start();
    p.write(5);
    p.stop();
    add(p, "second primary", true);
    Server& far = lab_.copy(p, "p_far", false);
    far.start();
    far.churn();
    far.stop();
    add(far, "second primary over many segments, its old WAL recycled", true);
    Server& bare = lab_.copy(p, "p_no_checksums");
    lab_.run({lab_.bin_dir() + "/pg_checksums", "-D", bare.directory(), "--disable"});
    add(bare, "second primary without checksums or hints", true);
    a_ = &a;
    behind_ = &behind;
    equal_ = &equal;
}

// a on timeline 2, its standbys, and a clean handover to c, which begins timeline 3.
void Builder::second_timeline() {
    Server& a = *a_;
    a.write(10);
    a.kill();
    add(lab_.copy(a, "a_killed"), "promoted, killed before its first checkpoint");
    a.start();
    a.write(10);
    a.stop();
    Server& recycled = lab_.copy(a, "a_recycled", false);
    recycled.start();
    recycled.churn();
    recycled.stop();
    add(recycled, "promoted, old WAL recycled", true);
    Server& early = lab_.standby(a, "a_s_early", &a);
    Server& killed = lab_.standby(a, "a_s_killed", &a);
    Server& c = lab_.standby(a, "c", &a);
    Server& cascade = lab_.standby(a, "a_s_cascade", &c);
    a.start();
    for (Server* standby : {&early, &killed, &c, &cascade}) {
        standby->start();
    }
    a.write(10);
    for (Server* standby : {&early, &killed, &c, &cascade}) {
        standby->replay_all_of(a);
    }
    early.stop();
    add(early, "standby on timeline 2 that received a part");
    a.write(10);
    for (Server* standby : {&killed, &c, &cascade}) {
        standby->replay_all_of(a);
    }
    killed.kill();
    add(killed, "standby on timeline 2, killed");
    cascade.stop();
    add(cascade, "standby of a standby on timeline 2");
    a.stop();
    add(a, "promoted to timeline 2, shut down cleanly with all shipped", true);
    c.promote();
    c.write(10);
    c.checkpoint();
    c.stop();
    add(lab_.copy(c, "c_older"), "timeline 3 after the clean handover, an older copy", true);
    Server& more = lab_.copy(a, "a_more");
    more.start();
    more.write(10);
    more.stop();
    add(more, "timeline 2, started again after its handover", true);
    add(promoted(early, "d"), "promoted to timeline 3 elsewhere", true);
    add(idle_standby(a, "a_s_idle"), "standby at the end of timeline 2");
    c_ = &c;
}

// The primary checkpoints and is gone; what its standby got ends where that record begins.
void Builder::third_timeline() {
    Server& c = *c_;
    Server& g = lab_.standby(c, "c_s", &c);
    c.start();
    g.start();
    // In a page that nobody touches again, by a transaction whose number an older copy gives to
    // another one.
    c.erase("base 7");
    c.write(5);
    c.checkpoint();
    g.replay_all_of(c);
    g.stop();
    c.stop();
    add(g, "standby that misses the shutdown checkpoint");
    add(lab_.copy(c, "c_clean"), "timeline 3, shut down when its standby was away", true);
    add(promoted(g, "e"), "promoted to timeline 4 where that checkpoint begins", true);
}

// A record over many pages, of which a standby got a part only.
void Builder::half_a_record() {
    Server& c = *c_;
    Server& half = lab_.standby(c, "c_s_half", &c);
    c.start();
    half.start();
    c.write(5);
    half.replay_all_of(c);
    half.value("SELECT pg_wal_replay_pause()::text");
    const Lsn before = c.flushed();
    c.value("SELECT pg_logical_emit_message(true, 'big', repeat('x', 300000))::text");
    half.receive_all_of(c);
    half.stop();
    const Lsn cut{(before.value / 8192 + 12) * 8192};
    half.cut_wal(3, cut);
    add(half, "standby with half a record");
    c.kill();
    add(lab_.copy(c, "c_killed"), "primary with the whole of a record, killed");
    Server& primary = lab_.copy(c, "c_half");
    primary.cut_wal(3, cut);
    add(primary, "primary with half a record, killed");
    add(promoted(half, "h"), "promoted with half a record", true);
    c.start();
    c.stop();
    add(c, "primary with the whole of a record", true);
}

// Promotions that nobody knew of elsewhere: to numbers that are taken.
void Builder::twins() {
    Server& other = promoted(*behind_, "b_other");
    add(other, "promoted to timeline 2 at another position", true);
    Server& other_standby = idle_standby(other, "b_other_s");
    add(other_standby, "standby of timeline 2 from another position");
    add(promoted(other_standby, "b_other_3"), "timeline 3 by way of the other timeline 2", true);
    Server& same = promoted(*equal_, "b_same");
    add(same, "promoted to timeline 2 at the same position", true);
}

void Builder::strangers() {
    Server& stranger = lab_.initdb("stranger");
    add(stranger, "another cluster", true);
    add(idle_standby(stranger, "stranger_s"), "standby of another cluster");
}

}  // namespace

std::vector<Member> make_family(Lab& lab) {
    Builder builder(lab);
    builder.first_timeline();
    builder.second_timeline();
    builder.third_timeline();
    builder.half_a_record();
    builder.twins();
    builder.strangers();
    return std::move(builder.members);
}

}  // namespace hooks::oracle
