// judge_rejoin() against pg_rewind --dry-run and against the bytes of the WAL, for every ordered
// pair of the family: the same answer, or a reason from the list below why ours is right.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <map>
#include <set>

#include "tests/oracle/answers.h"
#include "tests/oracle/truth.h"

namespace hooks::oracle {
namespace {

using Kind = RewindAnswer::Kind;

struct Pair {
    const Looked* target = nullptr;
    const Looked* source = nullptr;
    RejoinVerdict verdict;
    RewindAnswer rewind;
    std::optional<Lsn> differs;  // before the target's end of WAL
    std::string reason;          // of a disagreement; "?" when none is known

    std::string text() const {
        return fmt::format("{} -> {}: {} ({}); pg_rewind: {}; WAL: {}", target->name(),
                           source->name(), verdict.rule, verdict.reason, to_string(rewind),
                           differs ? fmt::format("differs at {}", *differs) : "a prefix");
    }
};

bool agree(const Pair& pair) {
    switch (pair.verdict.action) {
        case RejoinAction::follow:
            return pair.rewind.kind == Kind::same_timeline || pair.rewind.kind == Kind::not_needed;
        case RejoinAction::rewind:
            return pair.rewind.kind == Kind::needed && pair.verdict.switchpoint == pair.rewind.fork;
        default:
            break;
    }
    const auto says = [&](const char* theirs, const char* ours) {
        return pair.rewind.kind == Kind::refused &&
               pair.rewind.text.find(theirs) != std::string::npos &&
               pair.verdict.reason.find(ours) != std::string::npos;
    };
    // Both say that it cannot be rewound, whichever of several obstacles is named first.
    const bool no_rewind = pair.verdict.action == RejoinAction::base_backup;
    return (no_rewind && says("could not find previous WAL record", "")) ||
           (no_rewind && says("data checksums or \"wal_log_hints", "")) ||
           says("from different systems", "another cluster") ||
           says("could not find common ancestor", "no timeline in common");
}

// Why pg_rewind's answer is not the one to act on, from the facts and never from the verdict's
// rule alone. Empty: no reason is known.
std::string why_not_pg_rewinds(const Pair& pair) {
    const TargetFacts& t = pair.target->target;
    const SourceFacts& s = *pair.source->source;
    const bool same_number = t.timeline() == s.history.timeline();
    const bool base_backup = pair.verdict.action == RejoinAction::base_backup;
    if (pair.rewind.kind == Kind::refused &&
        pair.rewind.text.find("shut down cleanly") != std::string::npos) {
        return "target crashed: pg_rewind is not asked before it is settled";
    }
    if (pair.rewind.kind == Kind::refused &&
        pair.rewind.text.find("could not find previous WAL record") != std::string::npos &&
        pair.verdict.action == RejoinAction::rewind) {
        return "target recycled its WAL: seen when the rewind is tried, before it writes";
    }
    if (pair.rewind.kind == Kind::same_timeline && same_number && base_backup) {
        if (t.history->entries() != s.history.entries()) {
            return "twins: promoted to the same number elsewhere";
        }
        if (*t.was_primary) {
            return "twins: both were writable on this timeline";
        }
        if (*t.end_of_wal > s.flushed) {
            return "target ahead on the same timeline";
        }
    }
    if (pair.rewind.kind == Kind::needed && base_backup && pair.rewind.fork > s.flushed) {
        return "target left the source's timeline beyond the source's end";
    }
    const bool from_there =
        base_backup && pair.verdict.reason.find("WAL from") != std::string::npos;
    if (from_there && *s.oldest_wal > std::min(*t.redo, *t.end_of_wal)) {
        return "source recycled the WAL that the target needs next";
    }
    if (pair.rewind.kind == Kind::not_needed && !*t.was_primary &&
        *t.end_of_wal > pair.rewind.fork) {
        return "target received and did not replay WAL past the fork";
    }
    if (pair.rewind.kind == Kind::not_needed && *t.was_primary && base_backup &&
        *t.end_of_wal < pair.rewind.fork) {
        return "former primary lacks WAL that it had shipped";
    }
    return "";
}

class Oracle : public ::testing::Test {
  protected:
    static void SetUpTestSuite() {
        lab = std::make_unique<Lab>();
        const auto start = std::chrono::steady_clock::now();
        for (const Member& member : make_family(*lab)) {
            looked.push_back(look_at(member, *lab));
        }
        const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
        fmt::print("{} data directories in {:.1f} s\n", looked.size(), took.count());
        judge_pairs();
    }
    static void TearDownTestSuite() {
        pairs.clear();
        looked.clear();
        lab.reset();
    }

    static void judge_pairs() {
        RejoinPolicy asked_for;  // by a person: else nothing is done to a later timeline
        asked_for.online_recovery = true;
        for (const Looked& source : looked) {
            for (const Looked& target : looked) {
                if (source.source && &source != &target) {
                    pairs.push_back({&target, &source, {}, {}, {}, ""});
                }
            }
        }
        for_each(pairs, [&](Pair& pair) {
            pair.verdict = judge_rejoin(*pair.source->source, pair.target->target, asked_for);
            pair.rewind =
                ask_pg_rewind(*pair.target->member.server, *pair.source->member.server, *lab);
            pair.differs =
                first_difference(*pair.target, *pair.source, *pair.target->target.end_of_wal);
            if (!agree(pair)) {
                const std::string why = why_not_pg_rewinds(pair);
                pair.reason = why.empty() ? "?" : why;
            }
        });
    }

    // Two at a time, which is what two processors are for.
    template <class Item, class Body>
    static void for_each(std::vector<Item>& items, Body body) {
        std::atomic<std::size_t> next{0};
        const auto work = [&] {
            for (std::size_t i = next++; i < items.size(); i = next++) {
                body(items[i]);
            }
        };
        auto other = std::async(std::launch::async, work);
        work();
        other.get();
    }

    static std::unique_ptr<Lab> lab;
    static std::vector<Looked> looked;
    static std::vector<Pair> pairs;
};
std::unique_ptr<Lab> Oracle::lab;
std::vector<Looked> Oracle::looked;
std::vector<Pair> Oracle::pairs;

TEST_F(Oracle, TheFamilyHasWhatItsNamesSay) {
    for (const Looked& each : looked) {
        fmt::print("{:16} {:24} TL {} end {:10} disk {:10} redo {:10} {}\n", each.name(),
                   to_string(each.target.control->state), each.target.timeline(),
                   to_string(*each.target.end_of_wal), to_string(*each.target.on_disk),
                   to_string(*each.target.redo), each.member.state);
        EXPECT_EQ(each.crashed(),
                  each.member.state.find("killed") != std::string::npos || each.name() == "p_lost")
            << each.name();
    }
}

TEST_F(Oracle, ReadsFilesWithoutPostgresToolsAsTheyDo) {
    for (const Looked& each : looked) {
        EXPECT_EQ(each.read_otherwise, "") << each.name();
    }
}

TEST_F(Oracle, SaysWhatPgRewindSaysOrIsRightForAReasonOnTheList) {
    std::map<std::string, int> table;
    for (const Pair& pair : pairs) {
        ++table[pair.reason.empty() ? "the same answer" : pair.reason];
        EXPECT_NE(pair.reason, "?") << pair.text();
    }
    fmt::print("\n{:5} pairs of {} data directories\n", pairs.size(), looked.size());
    for (const auto& [reason, count] : table) {
        fmt::print("{:5} {}\n", count, reason);
    }
    EXPECT_GE(pairs.size(), 400u);
}

TEST_F(Oracle, IsNeverContradictedByTheWal) {
    for (const Pair& pair : pairs) {
        if (pair.target->target.system_identifier != pair.source->source->system_identifier) {
            continue;
        }
        if (pair.verdict.action == RejoinAction::follow) {
            EXPECT_FALSE(pair.differs) << pair.text();
        }
        if (pair.verdict.action == RejoinAction::rewind ||
            pair.verdict.action == RejoinAction::trim) {
            EXPECT_GE(pair.differs.value_or(Lsn{~0ull}), *pair.verdict.switchpoint) << pair.text();
        }
    }
}

// One pair of each kind of answer: that of the rule, of pg_rewind, of a crash, and of the reason.
TEST_F(Oracle, WhatItSaysMakesATrueStandby) {
    struct Sample {
        const Pair* pair;
        Truth ours;
        Truth theirs;
        bool believed;
    };
    std::map<std::string, Sample> kinds;
    for (const Pair& pair : pairs) {
        if (pair.verdict.action == RejoinAction::refuse) {
            continue;
        }
        const bool same_number =
            pair.target->target.timeline() == pair.source->source->history.timeline();
        const std::string kind =
            fmt::format("{} {} {} {}", pair.verdict.rule, pair.target->crashed() ? "crashed" : "",
                        same_number ? "=" : "", pair.reason);
        kinds.emplace(kind, Sample{&pair, {}, {}, false});
    }
    std::vector<Sample> samples;
    for (const auto& [kind, sample] : kinds) {
        samples.push_back(sample);
    }
    for_each(samples, [](Sample& sample) {
        const Pair& pair = *sample.pair;
        sample.ours = rejoin(*lab, *pair.target, *pair.source);
        // Of a former primary that lost WAL nobody can know what it wrote over it: to follow may
        // go well.
        sample.believed =
            !pair.reason.empty() && (pair.rewind.kind == Kind::same_timeline ||
                                     (pair.rewind.kind == Kind::not_needed &&
                                      *pair.target->target.end_of_wal >= pair.rewind.fork));
        if (sample.believed) {
            sample.theirs = believe_pg_rewind(*lab, *pair.target, *pair.source);
        }
    });
    for (const Sample& sample : samples) {
        const Pair& pair = *sample.pair;
        fmt::print("{:14} -> {:14} {:4} {}{}\n", pair.target->name(), pair.source->name(),
                   sample.ours.rule, sample.ours.why.empty() ? "true" : sample.ours.why,
                   sample.believed ? "; following without it: " + sample.theirs.why : "");
        EXPECT_EQ(sample.ours.why, "") << pair.text();
        if (pair.reason.find("recycled its WAL") == std::string::npos) {
            EXPECT_EQ(sample.ours.rule, pair.verdict.rule) << pair.text();
        } else {
            EXPECT_EQ(sample.ours.rule, "R09") << pair.text();
        }
        EXPECT_TRUE(!sample.believed || !sample.theirs.why.empty())
            << "pg_rewind was right: " << pair.text();
    }
    EXPECT_GE(samples.size(), 15u);
}

// By name: what a family must not lose when it changes.
TEST_F(Oracle, TheEdgesMakeTrueStandbys) {
    struct Edge {
        const char* target;
        const char* source;
        const char* rule;
        const char* what;
        const Pair* pair = nullptr;
        Truth truth{};
    };
    std::vector<Edge> edges = {
        {"a", "c", "R06", "a clean handover"},
        {"p_killed", "a", "R06", "a killed primary that had shipped all"},
        {"a_s_cascade", "c", "R06", "a standby of a standby"},
        {"c_s_half", "h", "R06", "half a record, and the switchpoint is where it begins"},
        {"c_half", "h", "R06", "the same, of a killed primary"},
        {"c_s_half", "c", "R06", "half a record, and the rest is still to come"},
        {"c_killed", "h", "R08", "the whole of a record that the source has half of"},
        {"c_clean", "e", "R08", "a checkpoint that begins at the switchpoint"},
        {"a_more", "c", "R08", "started again after its handover"},
        {"s_past", "a", "R08", "a standby that replayed past the switchpoint"},
        {"e", "c_older", "R05", "ahead of a source from an older copy"},
        {"b_same", "a", "R05", "promoted to the same number at the same position"},
        {"p_lost", "a", "R05", "a primary that lost WAL"},
    };
    for (Edge& edge : edges) {
        for (const Pair& pair : pairs) {
            if (pair.target->name() == edge.target && pair.source->name() == edge.source) {
                edge.pair = &pair;
            }
        }
        ASSERT_NE(edge.pair, nullptr) << edge.what;
        EXPECT_EQ(edge.pair->verdict.rule, edge.rule) << edge.pair->text();
    }
    for_each(edges,
             [](Edge& edge) { edge.truth = rejoin(*lab, *edge.pair->target, *edge.pair->source); });
    for (const Edge& edge : edges) {
        fmt::print("{:14} -> {:14} {:4} {}: {}\n", edge.target, edge.source, edge.truth.rule,
                   edge.what, edge.truth.why.empty() ? "true" : edge.truth.why);
        EXPECT_EQ(edge.truth.why, "") << edge.what << ": " << edge.pair->text();
        EXPECT_EQ(edge.truth.rule, edge.rule) << edge.what;
        if (std::string(edge.target) == "c_clean") {
            EXPECT_EQ(edge.pair->target->target.control->checkpoint,
                      *edge.pair->verdict.switchpoint)
                << "the edge is not the one that it is called";
        }
    }
}

}  // namespace
}  // namespace hooks::oracle
