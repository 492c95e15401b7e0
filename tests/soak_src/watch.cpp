#include "tests/soak_src/watch.h"

#include <fcntl.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>

#include "common/core/error.h"

namespace hooks::soak {
namespace {

constexpr const char* kLook =
    "SELECT pg_is_in_recovery(), CASE WHEN NOT pg_is_in_recovery() THEN ('x' || "
    "substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8))::bit(32)::int ELSE r.received_tli "
    "END, CASE WHEN r.status = 'streaming' THEN r.sender_host END "
    "FROM (SELECT 1) AS one LEFT JOIN pg_stat_wal_receiver AS r ON true";

// This thread alone; the sockets that it opens are that host's.
void move_into(const std::string& network_namespace) {
    const int fd = ::open(network_namespace.c_str(), O_RDONLY | O_CLOEXEC);
    const bool moved = fd >= 0 && ::setns(fd, CLONE_NEWNET) == 0;
    if (fd >= 0) {
        ::close(fd);
    }
    if (!moved) {
        throw harness::HarnessError("cannot enter " + network_namespace);
    }
}

}  // namespace

Watch::Watch(const harness::Cluster& cluster)
    : cluster_(cluster), glances_(static_cast<std::size_t>(cluster.size())) {
    for (int node = 0; node < cluster.size(); ++node) {
        threads_.emplace_back([this, node](const std::stop_token& token) { watch(node, token); });
    }
}

Watch::~Watch() {
    stop();
}

void Watch::stop() {
    for (std::jthread& thread : threads_) {
        thread.request_stop();
    }
    threads_.clear();
}

void Watch::watch(int node, const std::stop_token& stop) {
    move_into(cluster_.network().namespace_path(node));
    std::unique_ptr<PgConnection> connection;
    while (!stop.stop_requested()) {
        Glance glance;
        try {
            const Deadline deadline = Deadline::after(Milliseconds(1500));
            if (!connection) {
                connection = PgConnection::connect(cluster_.conninfo(node), "watch", deadline);
            }
            const PgRow row = connection->query(kLook, deadline).at(0);
            glance.serving = true;
            glance.in_recovery = row.at(0) == "t";
            glance.timeline = static_cast<TimelineId>(std::stoul(row.at(1).value_or("0")));
            glance.sender = row.at(2).value_or("");
        } catch (const Error&) {
            connection.reset();
        }
        set(node, glance);
        std::this_thread::sleep_for(Milliseconds(glance.serving ? 100 : 200));
    }
}

void Watch::set(int node, const Glance& glance) {
    const std::lock_guard lock(mutex_);
    const auto writable = std::count_if(glances_.begin(), glances_.end(), [](const Glance& g) {
        return g.serving && !g.in_recovery;
    });
    const Clock::time_point now = Clock::now();
    if (writable > 1) {
        two_ += now - last_;
    }
    last_ = now;
    glances_.at(static_cast<std::size_t>(node)) = glance;
}

std::vector<Glance> Watch::glances() const {
    const std::lock_guard lock(mutex_);
    return glances_;
}

Milliseconds Watch::two_writable() const {
    const std::lock_guard lock(mutex_);
    return std::chrono::duration_cast<Milliseconds>(two_);
}

}  // namespace hooks::soak
