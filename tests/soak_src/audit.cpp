#include "tests/soak_src/audit.h"

#include <fmt/format.h>

#include <thread>

#include "common/core/error.h"

namespace hooks::soak {
namespace {

using std::chrono::seconds;

std::uint64_t key_of(int writer, std::int64_t number) {
    return (static_cast<std::uint64_t>(writer) << 48) | static_cast<std::uint64_t>(number);
}
std::uint64_t key_of(const Row& row) {
    return key_of(row.writer, row.number);
}

std::string name_of(const Row& row) {
    return fmt::format("{}/{} (timeline {}, written at {}, committed before {})", row.writer,
                       row.number, row.timeline, row.from, row.until.value_or(Lsn{}));
}

// Its commit record ends behind `from`. Where the end is not known it may have.
bool may_be_in(const Row& row, const ReportedLoss& loss) {
    return (loss.timeline == 0 || loss.timeline == row.timeline) && row.from < loss.to &&
           (!row.until || loss.from < *row.until);
}
bool surely_in(const Row& row, const ReportedLoss& loss) {
    return loss.timeline == row.timeline && row.from >= loss.from && row.until &&
           *row.until <= loss.to;
}

constexpr const char* kDuplicates =
    "SELECT count(*) FROM (SELECT 1 FROM public.soak_rows GROUP BY writer, number HAVING count(*) "
    "> 1) AS twice";
constexpr const char* kHalves =
    "SELECT count(*) FROM (SELECT 1 FROM public.soak_rows GROUP BY writer, first "
    "HAVING count(*) <> max(size)) AS half";
constexpr const char* kDamaged =
    "SELECT count(*) FROM public.soak_rows WHERE replace(payload, md5(writer || '/' || number), "
    "'') <> ''";
// The counter goes with the transactions of more than one row.
constexpr const char* kCounters =
    "SELECT count(*) FROM public.soak_counters AS c WHERE last <> coalesce((SELECT max(number) "
    "FROM public.soak_rows AS r WHERE r.writer = c.writer AND r.size > 1), 0)";
constexpr const char* kChecksum =
    "SELECT count(*) || ' rows, ' || coalesce(sum(hashtextextended(r::text, 0)), 0) FROM "
    "public.soak_rows AS r";

}  // namespace

Audit::Keys Audit::rows_of(int node) const {
    Keys result;
    for (const PgRow& row :
         cluster_.sql(node, "SELECT writer, number FROM public.soak_rows", seconds(60))) {
        result.insert(
            key_of(std::stoi(row.at(0).value_or("0")), std::stoll(row.at(1).value_or("0"))));
    }
    return result;
}

void Audit::check_tables(int primary) {
    const struct {
        const char* query;
        const char* what;
    } questions[] = {{kDuplicates, "rows are there more than once"},
                     {kHalves, "transactions are there by half"},
                     {kDamaged, "rows have a damaged payload"},
                     {kCounters, "counters do not go with their rows"}};
    for (const auto& question : questions) {
        // In one snapshot each; the writers go on.
        const std::string count =
            cluster_.sql(primary, question.query, seconds(60)).at(0).at(0).value_or("?");
        if (count != "0") {
            ledger_.complain(fmt::format("node {}: {} {}", primary, count, question.what));
        }
    }
}

std::string Audit::unexplained(const std::vector<Row>& missing, const Keys& present,
                               const std::vector<Row>& expected) const {
    if (synchronous_) {
        return fmt::format("{} acknowledged rows are lost although a standby had them: {} to {}",
                           missing.size(), name_of(missing.front()), name_of(missing.back()));
    }
    const std::vector<ReportedLoss> losses = reported_losses(cluster_.hook_log());
    for (const Row& row : missing) {
        bool reported = false;
        for (const ReportedLoss& loss : losses) {
            reported = reported || may_be_in(row, loss);
        }
        if (!reported) {
            return fmt::format("row {} is lost, one of {}, and no hook reported it", name_of(row),
                               missing.size());
        }
    }
    for (const ReportedLoss& loss : losses) {
        for (const Row& row : expected) {
            if (surely_in(row, loss) && present.count(key_of(row)) != 0) {
                return fmt::format("row {} is there, but was reported as lost: {}", name_of(row),
                                   loss.line);
            }
        }
    }
    return "";
}

void Audit::check_missing(const std::vector<Row>& expected, const Keys& present) {
    std::vector<Row> missing;
    Keys lost;
    for (const Row& row : expected) {
        if (present.count(key_of(row)) == 0) {
            lost.insert(key_of(row));
            if (lost_.count(key_of(row)) == 0) {
                missing.push_back(row);
            }
        } else if (lost_.count(key_of(row)) != 0) {
            ledger_.complain("row " + name_of(row) + " was lost and came back");
        }
    }
    lost_ = std::move(lost);
    if (missing.empty()) {
        return;
    }
    // The verdict of a run comes after all else that it does.
    const Deadline deadline = Deadline::after(seconds(synchronous_ ? 0 : 10));
    for (;;) {
        const std::string problem = unexplained(missing, present, expected);
        if (problem.empty()) {
            return;
        }
        if (deadline.expired()) {
            ledger_.complain(problem);
            return;
        }
        std::this_thread::sleep_for(Milliseconds(200));
    }
}

void Audit::check() {
    const std::optional<int> primary = cluster_.primary();
    if (!primary) {
        ledger_.complain("there is not exactly one primary to look for the rows on");
        return;
    }
    // In this order: whatever is expected was acknowledged before the nodes are asked.
    const std::vector<Row> expected = ledger_.rows();
    const Keys present = rows_of(*primary);
    check_missing(expected, present);
    for (const Row& row : ledger_.rows_rolled_back()) {
        if (present.count(key_of(row)) != 0) {
            ledger_.complain("row " + name_of(row) + " was rolled back and is there");
        }
    }
    check_tables(*primary);
    const std::string end = cluster_.sql_value(*primary, "SELECT pg_current_wal_flush_lsn()");
    for (int node = 0; node < cluster_.size(); ++node) {
        if (node == *primary) {
            continue;
        }
        cluster_.wait_until(
            [&] {
                return cluster_.sql_value(
                           node, "SELECT pg_last_wal_replay_lsn() >= '" + end + "'::pg_lsn") == "t";
            },
            seconds(20), fmt::format("node {} replays up to {}", node, end));
        const Keys there = rows_of(node);
        for (const Row& row : expected) {
            if (there.count(key_of(row)) != present.count(key_of(row))) {
                ledger_.complain(fmt::format("row {} is {}on node {}, unlike on the primary",
                                             name_of(row), there.count(key_of(row)) ? "" : "not ",
                                             node));
                break;
            }
        }
    }
}

void Audit::check_checksums() {
    const std::optional<int> primary = cluster_.primary();
    if (!primary) {
        return;  // check() says so
    }
    const std::string sum = cluster_.sql_value(*primary, kChecksum);
    for (int node = 0; node < cluster_.size(); ++node) {
        const std::string there = cluster_.sql_value(node, kChecksum);
        if (there != sum) {
            ledger_.complain(fmt::format("node {} has {}, the primary has {}", node, there, sum));
        }
    }
}

}  // namespace hooks::soak
