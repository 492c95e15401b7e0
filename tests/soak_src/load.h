// The load: writers that commit through pgpool, and a reader that looks after them.
#pragma once

#include <atomic>
#include <thread>
#include <vector>

#include "common/core/error.h"
#include "tests/soak_src/ledger.h"
#include "tests/support/cluster.h"

namespace hooks::soak {

// The table and what goes into it. A row says which transaction it belongs to and how many rows
// that has, and its payload follows from its number: half a transaction and a damaged page show.
extern const char* const kSchema;

class Load {
  public:
    Load(const harness::Cluster& cluster, Ledger& ledger, std::uint64_t seed, int writers = 3);
    ~Load();
    Load(const Load&) = delete;
    Load& operator=(const Load&) = delete;

    void start();
    void stop();

    std::size_t errors() const { return errors_; }        // of writers, each a lost connection
    std::size_t read_only() const { return read_only_; }  // writes that met a standby
    std::string last_error() const;

  private:
    void write(int writer, std::uint64_t seed, const std::stop_token& stop);
    void read(const std::stop_token& stop);
    void note(const Error& error);

    const harness::Cluster& cluster_;
    Ledger& ledger_;
    std::uint64_t seed_;
    int writers_;
    std::atomic<std::size_t> errors_ = 0;
    std::atomic<std::size_t> read_only_ = 0;
    mutable std::mutex mutex_;
    std::string last_error_;
    std::vector<std::jthread> threads_;
};

}  // namespace hooks::soak
