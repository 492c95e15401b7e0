#include "tests/soak_src/load.h"

#include <fmt/format.h>

#include <random>

#include "common/core/error.h"

namespace hooks::soak {
namespace {

using std::chrono::seconds;

constexpr Milliseconds kConnectTimeout = seconds(2);
// A client that waits longer has given up: what became of its commit is not known then.
constexpr Milliseconds kCommitTimeout = seconds(4);
constexpr Milliseconds kPause(8);

// What a client of a synchronous cluster relies on; PgConnection itself does not wait for standbys.
constexpr const char* kWait = "SET synchronous_commit = on";
constexpr const char* kPosition =
    "('x' || substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8))::bit(32)::int, "
    "pg_current_wal_insert_lsn(), host(inet_server_addr())";

Lsn lsn_of(const std::optional<std::string>& text) {
    return parse_lsn(text.value_or("")).value_or(Lsn{});
}

TimelineId timeline_of(const std::optional<std::string>& text) {
    return static_cast<TimelineId>(std::stoul(text.value_or("0")));
}

}  // namespace

const char* const kSchema =
    "CREATE TABLE public.soak_rows (writer int NOT NULL, number bigint NOT NULL, first bigint NOT "
    "NULL, size int NOT NULL, payload text NOT NULL);"
    "CREATE INDEX ON public.soak_rows (writer, number);"
    "CREATE TABLE public.soak_counters (writer int PRIMARY KEY, last bigint NOT NULL);"
    "INSERT INTO public.soak_counters SELECT n, 0 FROM generate_series(0, 15) AS n";

Load::Load(const harness::Cluster& cluster, Ledger& ledger, std::uint64_t seed, int writers)
    : cluster_(cluster), ledger_(ledger), seed_(seed), writers_(writers) {
}

Load::~Load() {
    stop();
}

void Load::start() {
    for (int writer = 0; writer < writers_; ++writer) {
        threads_.emplace_back([this, writer](const std::stop_token& token) {
            write(writer, seed_ + static_cast<std::uint64_t>(writer), token);
        });
    }
    threads_.emplace_back([this](const std::stop_token& token) { read(token); });
}

void Load::stop() {
    for (std::jthread& thread : threads_) {
        thread.request_stop();
    }
    threads_.clear();
}

std::string Load::last_error() const {
    const std::lock_guard lock(mutex_);
    return last_error_;
}

void Load::note(const Error& error) {
    const std::string text = error.what();
    ++errors_;
    if (text.find("read-only") != std::string::npos) {
        ++read_only_;
    }
    const std::lock_guard lock(mutex_);
    last_error_ = text;
}

void Load::write(int writer, std::uint64_t seed, const std::stop_token& stop) {
    std::mt19937_64 random(seed);
    std::unique_ptr<PgConnection> connection;
    std::int64_t number = 0;
    while (!stop.stop_requested()) {
        bool commit_sent = false;
        const std::int64_t first = number + 1;
        try {
            if (!connection) {
                const Deadline deadline = Deadline::after(kConnectTimeout);
                connection = PgConnection::connect(cluster_.pool_conninfo(), "soak", deadline);
                connection->query(kWait, deadline);
            }
            const Deadline deadline = Deadline::after(kCommitTimeout);
            // A third are single statements; the others a few rows and the counter.
            const std::uint64_t kind = random() % 6;
            const std::int64_t size = kind < 2 ? 1 : static_cast<std::int64_t>(kind);
            const bool single = kind < 2;
            const std::string insert = fmt::format(
                "INSERT INTO public.soak_rows SELECT {0}, n, {1}, {2}, repeat(md5('{0}/' || n), "
                "{3}) FROM generate_series({1}, {1} + {2} - 1) AS n",
                writer, first, size, 1 + random() % 20);
            // Numbers are used once, whatever came of them: an unknown outcome stays unknown.
            number += size;
            std::size_t sent = ledger_.sending();
            PgRow place;
            if (single) {
                commit_sent = true;
                place = connection->query(insert + " RETURNING " + kPosition, deadline).at(0);
            } else {
                connection->query("BEGIN", deadline);
                place = connection->query(insert + " RETURNING " + kPosition, deadline).at(0);
                connection->query(
                    fmt::format("UPDATE public.soak_counters SET last = {} WHERE writer = {}",
                                number, writer),
                    deadline);
                sent = ledger_.sending();
                commit_sent = true;
                connection->query("COMMIT", deadline);
            }
            std::vector<Row> rows;
            for (std::int64_t n = first; n <= number; ++n) {
                rows.push_back({writer, n, timeline_of(place.at(0)), lsn_of(place.at(1)), {}});
            }
            ledger_.acknowledge(rows, place.at(2).value_or("?"), sent);
            ledger_.set_until(
                writer, first,
                lsn_of(connection->value("SELECT pg_current_wal_insert_lsn()", deadline)));
        } catch (const Error& error) {
            if (!commit_sent) {
                for (std::int64_t n = first; n <= number; ++n) {
                    ledger_.rolled_back(writer, n);
                }
            }
            connection.reset();
            note(error);
            std::this_thread::sleep_for(kPause);
        }
        std::this_thread::sleep_for(kPause);
    }
}

// Who was told that a row is committed sees it in whatever it asks next, as long as the primary is
// the same.
void Load::read(const std::stop_token& stop) {
    std::unique_ptr<PgConnection> connection;
    int writer = 0;
    while (!stop.stop_requested()) {
        writer = (writer + 1) % writers_;
        const std::optional<Row> last = ledger_.last_of(writer);
        try {
            const Deadline deadline = Deadline::after(kCommitTimeout);
            if (!connection) {
                connection = PgConnection::connect(cluster_.pool_conninfo(), "soak", deadline);
            }
            if (last) {
                const PgRow row =
                    connection
                        ->query(fmt::format("SELECT CASE WHEN pg_is_in_recovery() THEN 0 ELSE "
                                            "('x' || substr(pg_walfile_name("
                                            "pg_current_wal_insert_lsn()), 1, 8))::bit(32)::int "
                                            "END, count(*) FROM public.soak_rows WHERE writer = {} "
                                            "AND number = {}",
                                            writer, last->number),
                                deadline)
                        .at(0);
                if (timeline_of(row.at(0)) == last->timeline && row.at(1) != "1") {
                    ledger_.complain(fmt::format(
                        "row {}/{} was acknowledged on timeline {} and is seen {} times there",
                        writer, last->number, last->timeline, row.at(1).value_or("?")));
                }
            }
        } catch (const Error&) {
            connection.reset();
        }
        std::this_thread::sleep_for(Milliseconds(50));
    }
}

}  // namespace hooks::soak
