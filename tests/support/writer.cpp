#include "tests/support/writer.h"

#include <unordered_set>

#include "common/core/error.h"

namespace hooks::harness {
namespace {

// Long enough for a commit on a busy machine, short against any failover.
constexpr Milliseconds kConnectTimeout = std::chrono::seconds(2);
constexpr Milliseconds kCommitTimeout = std::chrono::seconds(1);

// A number is used once, whoever writes and whatever came of it.
std::int64_t next_number() {
    static std::atomic<std::int64_t> last = 0;
    return ++last;
}

}  // namespace

Writer::Writer(const Cluster& cluster, Milliseconds interval)
    : cluster_(cluster), interval_(interval) {
}

Writer::~Writer() {
    stop();
}

void Writer::start() {
    if (running_) {
        return;
    }
    running_ = true;
    thread_ = std::jthread([this](const std::stop_token& token) { run(token); });
    wait_for_commits(1);
}

void Writer::stop() {
    if (!running_) {
        return;
    }
    thread_.request_stop();
    thread_.join();
    ended_ = Clock::now();
    running_ = false;
}

void Writer::run(const std::stop_token& stop) {
    std::unique_ptr<PgConnection> connection;
    while (!stop.stop_requested()) {
        try {
            if (!connection) {
                const Deadline deadline = Deadline::after(kConnectTimeout);
                connection = PgConnection::connect(cluster_.pool_conninfo(), "writer", deadline);
                // PgConnection commits without waiting for standbys; what a client of a
                // synchronous cluster relies on is this.
                connection->query("SET synchronous_commit = on", deadline);
            }
            const auto turn = cluster_.pause_writers();
            const std::int64_t number = next_number();
            const std::vector<PgRow> rows = connection->query(
                "INSERT INTO public.writer_rows (number) VALUES (" + std::to_string(number) +
                    ") RETURNING host(inet_server_addr()), "
                    "substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8)",
                Deadline::after(kCommitTimeout));
            const PgRow& row = rows.at(0);
            const std::lock_guard lock(mutex_);
            commits_.push_back({number, Clock::now(), row.at(0).value_or(""),
                                std::stoi(row.at(1).value_or("0"), nullptr, 16)});
        } catch (const Error& error) {
            connection.reset();
            const std::lock_guard lock(mutex_);
            last_error_ = error.what();
        }
        std::this_thread::sleep_for(interval_);
    }
}

std::size_t Writer::acknowledged() const {
    const std::lock_guard lock(mutex_);
    return commits_.size();
}

std::vector<Writer::Commit> Writer::commits() const {
    const std::lock_guard lock(mutex_);
    return commits_;
}

void Writer::wait_for_commits(std::size_t count, Milliseconds timeout) const {
    const std::size_t goal = acknowledged() + count;
    const auto reached = [&] {
        if (acknowledged() >= goal) {
            return true;
        }
        throw HarnessError("the writer got: " + last_error());
    };
    cluster_.wait_until(reached, timeout,
                        "the writer has " + std::to_string(goal) + " rows acknowledged");
}

Writer::Outage Writer::longest_outage(Clock::time_point since) const {
    std::vector<Commit> commits = this->commits();
    commits.push_back({0, running_ ? Clock::now() : ended_, {}, 0});
    Outage result;
    for (std::size_t i = 1; i < commits.size(); ++i) {
        const auto length =
            std::chrono::duration_cast<Milliseconds>(commits[i].time - commits[i - 1].time);
        if (commits[i].time > since && length > result.length) {
            result = {length, commits[i - 1].time, commits[i].time};
        }
    }
    return result;
}

std::string Writer::last_error() const {
    const std::lock_guard lock(mutex_);
    return last_error_;
}

std::vector<std::int64_t> Writer::missing_rows() const {
    const std::optional<int> primary = cluster_.primary();
    if (!primary) {
        throw HarnessError("there is not exactly one primary to look for the rows on");
    }
    std::unordered_set<std::int64_t> present;
    for (const PgRow& row : cluster_.sql(*primary, "SELECT number FROM public.writer_rows")) {
        present.insert(std::stoll(row.at(0).value_or("0")));
    }
    std::vector<std::int64_t> missing;
    for (const Commit& commit : commits()) {
        if (!present.contains(commit.number)) {
            missing.push_back(commit.number);
        }
    }
    return missing;
}

}  // namespace hooks::harness
