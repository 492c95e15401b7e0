#include "failover_command/candidates.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <tuple>

#include "common/core/sync_standbys.h"

namespace hooks::failover {
namespace {

using Standbys = std::vector<const ServerSeen*>;

// Whether all WAL of `one` is also WAL of `head`, or of its past. A history that could not be read
// says nothing against it: then the timelines alone are compared, by the ranking.
bool is_prefix_of(const ServerSeen& one, const ServerSeen& head) {
    if (&one == &head) {
        return true;
    }
    const ServerFacts& facts = *one.server;
    if (!facts.history || !head.server->history) {
        return true;
    }
    const auto fork = common_ancestor(*facts.history, *head.server->history);
    if (!fork || fork->timeline != facts.history->timeline()) {
        return false;
    }
    return !fork->end || facts.end_of_wal() <= *fork->end;
}

struct Line {
    const ServerSeen* head = nullptr;
    Standbys members;
    int followers = 0;  // of the lost primary, by where they stream from or are told to
};

// The line that a standby is the end of.
Line line_of(const ServerSeen& head, const Standbys& all, const ServerSeen* lost) {
    Line line{&head, {}, 0};
    for (const ServerSeen* each : all) {
        if (is_prefix_of(*each, head)) {
            line.members.push_back(each);
            line.followers +=
                lost != nullptr && each->server->follows(lost->backend.host, lost->backend.port)
                    ? 1
                    : 0;
        }
    }
    return line;
}

// Who followed the lost primary has its rows; a majority on another line has none of them.
bool better(const Line& left, const Line& right) {
    return std::tuple(left.followers, left.members.size()) >
           std::tuple(right.followers, right.members.size());
}

bool has_history(const ServerSeen* standby) {
    return static_cast<bool>(standby->server->history);
}

std::string where(const ServerSeen& standby) {
    return fmt::format("{} (timeline {}, WAL up to {})", standby.backend.label(),
                       standby.server->timeline, standby.server->end_of_wal());
}

// Fills in everything but the order.
void keep_one_line(const Standbys& all, const ServerSeen* lost, Candidates& result) {
    // One whose history is not known goes with every line, and must not join two of them.
    const bool none_known = std::none_of(all.begin(), all.end(), has_history);
    std::vector<Line> lines;
    for (const ServerSeen* head : all) {
        if (none_known || has_history(head)) {
            lines.push_back(line_of(*head, all, lost));
        }
    }
    const Line* best = nullptr;
    for (const Line& line : lines) {
        best = best == nullptr || better(line, *best) ? &line : best;
    }
    const Line* rival = nullptr;
    for (const Line& line : lines) {
        rival = line.members != best->members && !better(*best, line) ? &line : rival;
    }
    if (rival != nullptr) {
        result.two_lines = fmt::format(
            "{} and {} are on histories of which neither continues the "
            "other",
            where(*best->head), where(*rival->head));
        return;
    }
    for (const ServerSeen* each : all) {
        const bool member =
            std::find(best->members.begin(), best->members.end(), each) != best->members.end();
        (member ? result.ranked : result.left_out).push_back(each);
    }
}

std::string name_of(const ServerSeen& standby) {
    // Below 12 its primary_conninfo cannot be asked for.
    return standby.server->major() < 12 && !standby.backend.application_name.empty()
               ? standby.backend.application_name
               : standby.server->application_name();
}

// Its own list: the standbys of a cluster are set up alike, and the primary's is gone with it.
bool is_synchronous(const ServerSeen& standby) {
    const auto listed = parse_sync_standbys(standby.server->synchronous_as_meant());
    return listed && listed->on() && listed->lists(name_of(standby));
}

// A commit is acknowledged when as many of the listed standbys have it as must confirm. If that
// many are not among the candidates, they may be the only ones that had it.
std::string missing_rows(const Request& request, const std::vector<ServerSeen>& servers,
                         const Standbys& candidates) {
    for (const ServerSeen* candidate : candidates) {
        const auto listed = parse_sync_standbys(candidate->server->synchronous_as_meant());
        if (!listed || !listed->on()) {
            continue;
        }
        const bool none = std::none_of(candidates.begin(), candidates.end(),
                                       [](const ServerSeen* c) { return is_synchronous(*c); });
        std::vector<std::string> absent;
        for (const ServerSeen& seen : servers) {
            const bool candidate_too =
                std::any_of(candidates.begin(), candidates.end(),
                            [&](const ServerSeen* c) { return c->backend.id == seen.backend.id; });
            if (seen.backend.id != request.detached && !candidate_too &&
                listed->lists(seen.server ? name_of(seen) : seen.backend.application_name)) {
                absent.push_back(seen.backend.label());
            }
        }
        if (none || static_cast<int>(absent.size()) >= listed->count) {
            return fmt::format(
                "synchronous_standby_names is '{}', and {}: commits that were acknowledged may be "
                "missing on the candidates",
                candidate->server->synchronous_as_meant(),
                absent.empty() ? "none of its standbys is a candidate"
                               : fmt::format("{} cannot be asked", fmt::join(absent, ", ")));
        }
    }
    return "";
}

}  // namespace

const Failed* find_failed(const std::vector<Failed>& failed, int node) {
    const auto it = std::find_if(failed.begin(), failed.end(),
                                 [node](const Failed& f) { return f.node == node; });
    return it == failed.end() ? nullptr : &*it;
}

std::uint64_t common_system_identifier(const std::vector<ServerSeen>& servers) {
    std::map<std::uint64_t, int> votes;
    for (const ServerSeen& seen : servers) {
        if (seen.server) {
            ++votes[seen.server->system_identifier];
        }
    }
    std::uint64_t best = 0;
    int most = 0;
    for (const auto& [identifier, count] : votes) {
        if (count == most) {
            best = 0;
        } else if (count > most) {
            most = count;
            best = identifier;
        }
    }
    return best;
}

Candidates find_candidates(const Request& request, const std::vector<ServerSeen>& servers,
                           const Policy& policy, const std::vector<Failed>& failed) {
    const std::uint64_t cluster = common_system_identifier(servers);
    Standbys all;
    for (const ServerSeen& seen : servers) {
        if (seen.backend.id != request.detached && seen.is_standby() && cluster != 0 &&
            seen.server->system_identifier == cluster) {
            all.push_back(&seen);
        }
    }
    Candidates result;
    if (all.empty()) {
        return result;
    }
    // Those that failed count here, too: their WAL is evidence of which line is the cluster's.
    keep_one_line(all, find_server(servers, request.detached), result);
    if (!result.ranked.empty()) {
        result.rows_may_be_missing = missing_rows(request, servers, result.ranked);
    }
    std::erase_if(result.ranked, [&](const ServerSeen* seen) {
        return find_failed(failed, seen->backend.id) != nullptr;
    });
    const auto key = [&](const ServerSeen* seen) {
        const ServerFacts& facts = *seen->server;
        const bool preferred = seen->backend.id == request.main_node;
        const bool taken_by_pgpool = policy.candidate == CandidateChoice::pgpool && preferred;
        const bool delayed = facts.apply_delay.count() > 0;
        return std::tuple(!taken_by_pgpool, !facts.short_of.empty(), delayed,
                          -static_cast<std::int64_t>(facts.timeline), ~facts.end_of_wal().value,
                          !is_synchronous(*seen), facts.replay_paused, !preferred,
                          seen->backend.id);
    };
    std::sort(result.ranked.begin(), result.ranked.end(),
              [&](const ServerSeen* a, const ServerSeen* b) { return key(a) < key(b); });
    return result;
}

std::string Candidates::remarks() const {
    std::string out;
    for (const ServerSeen* seen : left_out) {
        out += fmt::format("; {} is left out, its history is no part of that of the others",
                           where(*seen));
    }
    for (std::size_t i = 1; i < ranked.size(); ++i) {
        const ServerFacts& other = *ranked[i]->server;
        if (!other.short_of.empty() && other.end_of_wal() > ranked.front()->server->end_of_wal()) {
            out += fmt::format("; {} has more WAL, but would shut down when promoted: {}",
                               where(*ranked[i]), other.short_of);
        }
    }
    if (!rows_may_be_missing.empty()) {
        out += "; " + rows_may_be_missing;
    }
    return out;
}

std::string nobody_can_confirm(const ServerSeen& promoted, const std::vector<ServerSeen>& servers,
                               const Standbys& left_out) {
    const std::string setting = promoted.server->synchronous_as_meant();
    const auto listed = parse_sync_standbys(setting);
    std::vector<std::string> names;
    for (const ServerSeen& seen : servers) {
        const bool must_be_rewound = std::any_of(
            left_out.begin(), left_out.end(),
            [&](const ServerSeen* other) { return other->backend.id == seen.backend.id; });
        if (seen.backend.id != promoted.backend.id && seen.is_standby() && !must_be_rewound &&
            seen.server->system_identifier == promoted.server->system_identifier) {
            names.push_back(name_of(seen));
        }
    }
    if (!listed || !cannot_be_satisfied(*listed, names)) {
        return "";
    }
    return fmt::format(
        "synchronous_standby_names is '{}' there and too few of its standbys are left", setting);
}

std::vector<const ServerSeen*> rank_candidates(const Request& request,
                                               const std::vector<ServerSeen>& servers,
                                               const Policy& policy,
                                               const std::vector<Failed>& failed) {
    return find_candidates(request, servers, policy, failed).ranked;
}

}  // namespace hooks::failover
