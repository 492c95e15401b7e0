// What our rules, pg_rewind and the bytes of the WAL say of a pair of data directories.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "common/core/node_report.h"
#include "common/core/rejoin.h"
#include "tests/oracle/family.h"

namespace hooks::oracle {

// The WAL of a stopped server along its history, segment by segment.
class WalFiles {
  public:
    WalFiles(const std::string& directory, const TimelineHistory& history);
    std::uint64_t first() const { return segments_.begin()->first; }
    // The bytes of the segment of this number; empty when it is not there.
    const std::string& bytes(std::uint64_t number) const;

  private:
    std::map<std::uint64_t, std::string> segments_;
};

// One data directory, looked at with the product's own scripts.
struct Looked {
    Member member;
    TargetFacts target;
    std::optional<SourceFacts> source;  // as it would say of itself as a running primary
    std::optional<WalFiles> wal;
    Lsn last_record;             // the begin of its last record
    std::string read_otherwise;  // what differs when it is read without PostgreSQL's tools

    const std::string& name() const { return member.server->name(); }
    bool crashed() const { return !target.control->shut_down_cleanly(); }
};
Looked look_at(const Member& member, const Lab& lab);

// Of pg_rewind --dry-run.
struct RewindAnswer {
    enum class Kind { same_timeline, not_needed, needed, refused };
    Kind kind = Kind::refused;
    Lsn fork;          // not_needed, needed
    std::string text;  // what it printed last
};
RewindAnswer ask_pg_rewind(const Server& target, const Server& source, const Lab& lab);
std::string to_string(const RewindAnswer& answer);

// The first byte before `end` at which the target's WAL is not the source's; nullopt: it is a
// prefix of it, as far back as both still have it.
std::optional<Lsn> first_difference(const Looked& target, const Looked& source, Lsn end);

}  // namespace hooks::oracle
