#include "failover_command/ladder.h"

#include <fmt/format.h>

#include <future>
#include <vector>

#include "common/core/connections.h"
#include "common/io/local_node.h"
#include "common/io/pg_connection.h"
#include "common/io/signals.h"

namespace hooks::failover {
namespace {

using std::chrono::milliseconds;

// A server that is there answers within a few milliseconds.
constexpr milliseconds before_ssh{200};
// A login that takes longer than this may never end; the other way is begun beside it.
constexpr milliseconds before_the_way_around{500};
constexpr milliseconds to_ask_a_standby{500};

// Whether its walreceiver streams, and from none of the other nodes. From a primary that is known
// to be stopped nobody streams: then any that serves may lead there.
bool leads_to(const Backend& standby, const Backend& primary, bool stopped, const Env& env,
              Deadline deadline) {
    try {
        const PgAnswer answer =
            PgConnection::open(inspection_conninfo(standby, env.config), env.hook, deadline);
        if (answer.kind != PgAnswer::Kind::serving) {
            return false;
        }
        if (stopped) {
            return true;
        }
        PgConnection& server = *answer.connection;
        const bool tells_sender = server.major_version() >= 11;
        const auto rows = server.query(
            fmt::format("SELECT {} FROM pg_stat_wal_receiver WHERE status = 'streaming'",
                        tells_sender ? "sender_host, sender_port" : "NULL, NULL"),
            deadline);
        if (rows.empty()) {
            return false;
        }
        for (const Backend& other : env.pgpool.backends) {
            if (other.id != primary.id && rows[0].at(0) == other.host &&
                rows[0].at(1) == std::to_string(other.port)) {
                return false;
            }
        }
        return true;
    } catch (const Error&) {
        return false;
    }
}

}  // namespace

Ladder::Ladder(const Backend& old_primary, const Env& env, bool stopped)
    : old_(old_primary),
      env_(env),
      deadline_(env.deadline.within(env.config.fence_timeout)),
      stopped_(stopped),
      direct_([this] { direct(); }),
      through_([this] { through(); }) {
}

Ladder::~Ladder() {
    needless();
}

void Ladder::needless() {
    const std::lock_guard lock(mutex_);
    needless_ = true;
    changed_.notify_all();
}

// False when it is not to start at all.
bool Ladder::wait_for_start(milliseconds delay, bool unless_direct_failed) {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, std::min(delay, deadline_.remaining()), [&] {
        return needless_ || target_ || (unless_direct_failed && !direct_failed_.empty());
    });
    return !needless_ && !target_;
}

std::unique_ptr<Target> Ladder::look(std::unique_ptr<Node> node) {
    auto target =
        std::make_unique<Target>(Target{old_, env_.config.node(old_.id), std::move(node), {}, {}});
    look_at_files(*target, 0, deadline_);
    return target;
}

void Ladder::arrived(std::unique_ptr<Target> target, std::string how) {
    const std::lock_guard lock(mutex_);
    if (!target_ && !needless_) {
        target_ = std::move(target);
        how_ = std::move(how);
    }
    changed_.notify_all();
}

void Ladder::direct() {
    std::string failed = "ssh: not tried";
    if (wait_for_start(stopped_ ? milliseconds(0) : before_ssh, false)) {
        try {
            auto node = make_node(old_, env_.config, deadline_);
            const bool local = dynamic_cast<LocalNode*>(node.get()) != nullptr;
            return arrived(look(std::move(node)), local ? "on this host" : "by ssh");
        } catch (const Error& error) {
            failed = "ssh: " + error.message();
        } catch (const Interrupted&) {
            failed = "ssh: stopped";  // the main thread notices by itself
        } catch (const std::exception& error) {
            failed = std::string("ssh: ") + error.what();  // no memory, no thread
        }
    }
    const std::lock_guard lock(mutex_);
    direct_failed_ = failed;
    changed_.notify_all();
}

std::string Ladder::try_through(const Backend& via, milliseconds at_most) {
    try {
        arrived(look(make_node_through(via, old_, env_.config, at_most)),
                fmt::format("by ssh through node {}", via.id));
        return {};
    } catch (const Error& error) {
        return fmt::format("through node {}: {}", via.id, error.message());
    } catch (const Interrupted&) {
        return "stopped";
    }
}

void Ladder::through() {
    std::string failed;
    try {
        failed = ask_around();
    } catch (const std::exception& error) {
        failed = error.what();  // no memory, no thread
    }
    if (failed.empty()) {
        return;
    }
    const std::lock_guard lock(mutex_);
    through_failed_ = failed;
    changed_.notify_all();
}

// Why no standby led there; empty when one did.
std::string Ladder::ask_around() {
    std::string failed;
    if (wait_for_start(before_the_way_around, true)) {
        std::vector<std::pair<Backend, std::future<bool>>> asked;
        for (const Backend& backend : env_.pgpool.backends) {
            if (backend.id != old_.id) {
                asked.emplace_back(backend, std::async(std::launch::async, [this, backend] {
                                       try {
                                           return leads_to(backend, old_, stopped_, env_,
                                                           deadline_.within(to_ask_a_standby));
                                       } catch (const Interrupted&) {
                                           return false;
                                       }
                                   }));
            }
        }
        for (auto& [standby, streams] : asked) {
            if (!streams.get() || deadline_.expired()) {
                continue;
            }
            const std::string why = try_through(standby, deadline_.remaining());
            if (why.empty()) {
                return {};
            }
            failed += (failed.empty() ? "" : "; ") + why;
        }
        if (failed.empty()) {
            failed = "no standby streams from it";
        }
    }
    return failed.empty() ? "no other way was tried" : failed;
}

std::unique_ptr<Target> Ladder::reached() {
    std::unique_lock lock(mutex_);
    const auto over = [this] {
        return target_ || (!direct_failed_.empty() && !through_failed_.empty());
    };
    while (!over() && !deadline_.expired()) {
        throw_if_cancelled();
        changed_.wait_for(lock, std::min(milliseconds(50), deadline_.remaining()), over);
    }
    needless_ = !target_;  // what comes later is not used any more
    return std::move(target_);
}

std::string Ladder::how() const {
    const std::lock_guard lock(mutex_);
    if (!how_.empty()) {
        return how_;
    }
    const auto or_late = [](const std::string& text, const char* what) {
        return text.empty() ? fmt::format("{}: not within fence_timeout", what) : text;
    };
    return or_late(direct_failed_, "ssh") + "; " + or_late(through_failed_, "through a standby");
}

}  // namespace hooks::failover
