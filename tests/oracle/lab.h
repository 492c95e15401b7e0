// Small PostgreSQL servers side by side on unix sockets, and the data directories they leave.
#pragma once

#include <chrono>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "common/core/lsn.h"
#include "common/core/pgpool_conf.h"
#include "common/io/pg_connection.h"

namespace hooks::oracle {

class Lab;

// A data directory, and the server on it while it runs.
class Server {
  public:
    Server(Lab& lab, std::string name, int port);

    const std::string& name() const { return name_; }
    std::string directory() const;
    Backend backend(int id) const;

    // Returns when it lets us in.
    void start(std::chrono::seconds patience = std::chrono::seconds(90));
    void stop();  // fast
    void kill();  // SIGKILL of the postmaster; returns when its children are gone too
    bool running() const;
    PgConnection& sql();  // of a running server
    std::string value(const std::string& statement);

    void write(int rows);                // and what it wrote is flushed
    void erase(const std::string& row);  // such as "base 7"
    void checkpoint();
    void promote();  // returns when it can be written to
    Lsn flushed();   // of a primary
    // Blocks until this standby has, or has replayed, all that the other flushed.
    void receive_all_of(Server& upstream);
    void replay_all_of(Server& upstream);
    // Writes and checkpoints until old segments are recycled.
    void churn();

    // Settings, of a stopped one: those of every server here, its own port, and these.
    void configure(bool keep_wal, const Server* upstream);
    // Zeroes all WAL from here on, as if it had never arrived; of a stopped one.
    void cut_wal(TimelineId timeline, Lsn from);
    std::string digest();  // of all rows

  private:
    void wait_for(const std::string& condition);
    Lab& lab_;
    std::string name_;
    int port_;
    std::unique_ptr<PgConnection> connection_;
};

class Lab {
  public:
    Lab();   // in the home directory of the server account, which a sandbox keeps in memory
    ~Lab();  // ends what still runs, removes all
    Lab(const Lab&) = delete;
    Lab& operator=(const Lab&) = delete;

    static constexpr std::uint64_t segment_size = 1024 * 1024;

    Server& initdb(const std::string& name);
    // As its disk is: of a server that was stopped or killed, or is idle.
    Server& copy(const Server& from, const std::string& name, bool keep_wal = true);
    // The same, as a standby; without `upstream` it follows nobody. Not started.
    Server& standby(const Server& from, const std::string& name, const Server* upstream = nullptr);
    void remove(const Server& server);

    std::string path(const std::string& name) const { return root_ + "/" + name; }
    const std::string& bin_dir() const { return bin_dir_; }
    // Throws when it fails.
    std::string run(std::vector<std::string> argv) const;

  private:
    Server& add(const std::string& name);
    std::string root_;
    std::string bin_dir_;
    std::mutex mutex_;  // of what follows: two threads make copies
    int next_port_ = 5001;
    std::deque<Server> servers_;  // references stay valid
};

}  // namespace hooks::oracle
