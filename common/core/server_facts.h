// What one look at the servers showed.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/core/facts.h"
#include "common/core/lsn.h"
#include "common/core/pgpool_conf.h"
#include "common/core/timeline.h"

namespace hooks {

// How a server behaved when it was asked for a connection.
enum class Liveness {
    serving,    // it let us in; `server` says the rest
    rejecting,  // it runs, but is starting up, shutting down or not consistent yet
    refused,    // the host answered: nothing listens on that port
    denied,     // it runs, and does not let us in (password, role, pg_hba.conf)
    silent,     // no answer in time
};
const char* to_string(Liveness liveness);

// What a server said of itself, in SQL.
struct ServerFacts {
    int version = 0;  // server_version_num, 150020
    std::uint64_t system_identifier = 0;
    bool in_recovery = false;
    // Of a primary: the one it writes. Of a standby: the highest that it has WAL of.
    TimelineId timeline = 0;
    Lsn flushed;   // of a primary
    Lsn received;  // of a standby; 0/0 when nothing was streamed since its start
    Lsn replayed;  // of a standby
    bool replay_paused = false;
    std::chrono::milliseconds apply_delay{0};

    // Of a standby: what it receives, and from whom (sender: 11 and later).
    bool receiving = false;
    std::string sender_host;
    int sender_port = 0;
    Known<TimelineHistory> history;
    // Of a standby whose replay is paused (14 and later): the settings in which it falls short of
    // its primary, "max_connections (50, the primary has 100)". Promoted, it would shut down.
    std::string short_of;

    // Settings as they are now; both from 12 on. Empty where they are not set or not ours to see.
    std::string primary_conninfo;
    std::string restore_command;
    std::string synchronous_standby_names;
    std::string synchronous_held;  // held_settings.h: what it was before it was relaxed
    std::string cluster_name;

    int major() const { return version / 10000; }
    // pg_last_wal_receive_lsn() alone goes back to the start of the segment when the walreceiver
    // restarts, and is NULL after a restart of the server.
    Lsn end_of_wal() const { return in_recovery ? std::max(received, replayed) : flushed; }
    // What its walreceiver calls itself on the primary.
    std::string application_name() const;
    // synchronous_standby_names is empty only because a failover made it so.
    bool synchronous_is_relaxed() const;
    std::string synchronous_as_meant() const;
    // Where its walreceiver is, or is told to connect to.
    bool follows(const std::string& host, int port) const;
};

struct ServerSeen {
    Backend backend;
    Liveness liveness = Liveness::silent;
    std::string detail;                 // what came back, for messages
    std::string hint;                   // what to do about it, where that is known
    std::optional<ServerFacts> server;  // when serving

    bool is_primary() const { return server && !server->in_recovery; }
    bool is_standby() const { return server && server->in_recovery; }
    // "node 1 (10.0.0.2:5432): refused: connection refused", one phrase for messages.
    std::string describe() const;
};

const ServerSeen* find_server(const std::vector<ServerSeen>& servers, int node_id);

}  // namespace hooks
