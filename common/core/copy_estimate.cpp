// What a rewind copies, against what a base backup copies.
#include <algorithm>

#include "common/core/rejoin.h"

namespace hooks {
namespace {

constexpr std::uint64_t mebibyte = 1024 * 1024;
constexpr std::uint64_t small = 512 * mebibyte;
constexpr int first_to_skip_old_wal = 19;  // pg_rewind copies the whole of pg_wal up to 18

}  // namespace

std::optional<CopyEstimate> estimate_copies(const SourceFacts& s, const TargetFacts& t, Lsn fork) {
    if (!s.data_size || !s.wal_size) {
        return std::nullopt;
    }
    // A page's first change after a checkpoint puts the whole page into the WAL: what the target
    // changed is no more than its WAL.
    const Lsn from = std::min(*t.redo, fork);
    const std::uint64_t its_wal = t.end_of_wal->value - std::min(*t.end_of_wal, from).value;
    const std::uint64_t pages = std::min(its_wal, *s.data_size);
    const std::uint64_t since_fork = s.flushed.value - std::min(s.flushed, fork).value;
    const std::uint64_t wal =
        s.major < first_to_skip_old_wal ? *s.wal_size : std::min(*s.wal_size, since_fork);
    // Free space and visibility maps and the status of transactions come whole.
    const std::uint64_t whole = *s.data_size / 2000 + 16 * mebibyte;
    return CopyEstimate{wal + pages + whole, *s.data_size};
}

bool rewind_costs_too_much(const CopyEstimate& estimate) {
    return estimate.rewind > small && estimate.rewind * 10 >= estimate.base_backup * 7;
}

}  // namespace hooks
