#include "tests/cluster/watcher.h"

#include "common/core/error.h"

namespace hooks::harness {
namespace {

using Clock = std::chrono::steady_clock;

constexpr Milliseconds kPatience = std::chrono::milliseconds(500);
constexpr Milliseconds kPause = std::chrono::milliseconds(100);

struct Answer {
    std::string started;  // when the postmaster was: another one is another answer
    std::string timeline;
};

// Of a primary; nothing of all others.
std::optional<Answer> ask(const Cluster& cluster, int node) {
    try {
        const Deadline deadline = Deadline::after(kPatience);
        const PgAnswer answer = PgConnection::open(cluster.conninfo(node), "watcher", deadline);
        if (!answer.connection) {
            return std::nullopt;
        }
        const std::vector<PgRow> rows = answer.connection->query(
            "SELECT pg_postmaster_start_time(), CASE WHEN pg_is_in_recovery() THEN NULL ELSE "
            "substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8) END",
            deadline);
        const PgRow& row = rows.at(0);
        return row.at(1) ? std::optional<Answer>({row.at(0).value_or(""), *row.at(1)})
                         : std::nullopt;
    } catch (const Error&) {
        return std::nullopt;
    }
}

}  // namespace

Watcher::Watcher(const Cluster& cluster) : cluster_(cluster) {
}

Watcher::~Watcher() {
    stop();
}

void Watcher::start() {
    thread_ = std::jthread([this](const std::stop_token& token) { run(token); });
}

void Watcher::stop() {
    if (thread_.joinable()) {
        thread_.request_stop();
        thread_.join();
    }
}

std::string Watcher::look_for_two() const {
    std::optional<Answer> first;
    int first_node = -1;
    for (int node = 0; node < cluster_.size(); ++node) {
        const std::optional<Answer> answer = ask(cluster_, node);
        if (!answer) {
            continue;
        }
        if (!first) {
            first = answer;
            first_node = node;
            continue;
        }
        // Asked again: the first may have gone before the second came.
        const std::optional<Answer> again = ask(cluster_, first_node);
        if (again && again->started == first->started) {
            return cluster_.host(first_node) + " on timeline " + first->timeline + " and " +
                   cluster_.host(node) + " on timeline " + answer->timeline;
        }
        first = answer;
        first_node = node;
    }
    return "";
}

void Watcher::run(const std::stop_token& stop) {
    bool seen = false;
    Clock::time_point since;
    while (!stop.stop_requested()) {
        const std::string two = look_for_two();
        if (two.empty()) {
            seen = false;
        } else {
            const Clock::time_point now = Clock::now();
            since = seen ? since : now;
            seen = true;
            const std::lock_guard lock(mutex_);
            overlap_ = overlap_.empty() ? two : overlap_;
            longest_ = std::max(longest_, std::chrono::duration_cast<Milliseconds>(now - since));
        }
        std::this_thread::sleep_for(kPause);
    }
}

Milliseconds Watcher::longest_overlap() const {
    const std::lock_guard lock(mutex_);
    return longest_;
}

std::string Watcher::overlap() const {
    const std::lock_guard lock(mutex_);
    return overlap_;
}

}  // namespace hooks::harness
