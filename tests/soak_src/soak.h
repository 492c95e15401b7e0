// Random faults on a cluster under load, one after the other and two at a time.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tests/soak_src/ledger.h"

namespace hooks::soak {

struct Settings {
    double minutes = 3;
    std::uint64_t seed = 1;
    std::string synchronous;  // on, off, both; empty: by the seed
    int nodes = 4;
    bool keep = false;
    bool logs = false;
    std::vector<std::string> faults;  // empty: all
    Milliseconds bound = std::chrono::seconds(60);
    // That long the hooks have for themselves after two faults at once; then a person helps.
    Milliseconds patience = std::chrono::seconds(25);
};

struct Figures {
    int faults = 0;
    int doubles = 0;
    int by_hand = 0;  // rounds in which a person was needed
    std::size_t transactions = 0;
    std::size_t rows = 0;
    std::size_t lost = 0;
    Milliseconds outage{};
    Milliseconds whole{};
    Milliseconds two_writable{};
    int attached = 0;
    int recovered = 0;
    std::size_t errors = 0;
    std::size_t read_only = 0;
    std::vector<std::string> complaints;

    std::string text() const;
};

// One cluster, one kind of replication. Throws HarnessError when the cluster cannot be had.
Figures run_soak(const Settings& settings, bool synchronous, double minutes);

}  // namespace hooks::soak
