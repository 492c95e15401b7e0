// Facts for the tests of the decisions, and the comparison of whole decisions with files.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "common/core/plan.h"
#include "common/core/rejoin.h"
#include "common/core/server_facts.h"

namespace hooks {

constexpr std::uint64_t this_cluster = 7001;
constexpr std::uint64_t other_cluster = 7002;

inline Lsn lsn(const char* text) {
    return parse_lsn(text).value();
}

// Node N is host dbN.
inline Backend backend(int id) {
    return {id, "db" + std::to_string(id), 5432, "/srv/pg/data", ""};
}

inline ServerSeen seen(int id, Liveness liveness, std::string detail = "what came back") {
    ServerSeen result;
    result.backend = backend(id);
    result.liveness = liveness;
    result.detail = std::move(detail);
    return result;
}

inline ServerSeen standby(int id, const char* received, TimelineId timeline = 1) {
    ServerFacts facts;
    facts.version = 150020;
    facts.system_identifier = this_cluster;
    facts.in_recovery = true;
    facts.timeline = timeline;
    facts.received = lsn(received);
    facts.replayed = facts.received;
    ServerSeen result = seen(id, Liveness::serving, "");
    result.server = facts;
    return result;
}

inline ServerSeen primary(int id, const char* flushed, TimelineId timeline = 1) {
    ServerSeen result = standby(id, flushed, timeline);
    result.server->in_recovery = false;
    result.server->flushed = lsn(flushed);
    result.server->received = Lsn{};
    result.server->replayed = Lsn{};
    return result;
}

inline std::string content_of(const std::string& path) {
    std::ifstream stream(path, std::ios::binary);
    EXPECT_TRUE(stream) << path;
    std::ostringstream content;
    content << stream.rdbuf();
    return content.str();
}

// A node report or the output of pg_waldump that was written by real servers.
inline std::string report_of(const std::string& name) {
    return content_of(HOOKS_GOLDEN_DIR "/reports/" + name + ".txt");
}

// Compares what --dry-run prints with golden/NAME.txt. With HOOKS_UPDATE_GOLDEN set, the file is
// written instead, to be looked at as a change.
inline void expect_golden(const std::string& name, const Decision& decision) {
    const std::string path = HOOKS_GOLDEN_DIR "/" + name + ".txt";
    if (std::getenv("HOOKS_UPDATE_GOLDEN") != nullptr) {
        std::ofstream(path, std::ios::binary) << to_string(decision);
    }
    EXPECT_EQ(to_string(decision), content_of(path)) << path;
}

template <class Wanted>
bool has(const std::vector<Step>& steps) {
    for (const Step& step : steps) {
        if (std::holds_alternative<Wanted>(step)) {
            return true;
        }
    }
    return false;
}

// The steps of a plan by their short names: "create_slots promote". Of another decision: "refuse",
// "nothing".
inline std::string outline(const Decision& decision) {
    const auto* plan = std::get_if<Plan>(&decision);
    if (plan == nullptr) {
        return std::holds_alternative<Refuse>(decision) ? "refuse" : "nothing";
    }
    std::string names;
    for (const Step& step : plan->steps) {
        names += (names.empty() ? "" : " ") + std::string(name(step));
    }
    return names;
}

// "F05: create_slots promote"
inline std::string rule_and_outline(const Decision& decision) {
    return rule_of(decision) + ": " + outline(decision);
}

// The index of one element of a product of small sets, taken apart digit by digit.
class Pick {
  public:
    explicit Pick(std::size_t index) : rest_(index) {}

    template <class T>
    const T& of(const std::vector<T>& choices) {
        const T& choice = choices[rest_ % choices.size()];
        rest_ /= choices.size();
        return choice;
    }
    bool yes_or_no() {
        const bool choice = rest_ % 2 == 1;
        rest_ /= 2;
        return choice;
    }
    // The product has been walked through: every digit was 0 again.
    bool overflowed() const { return rest_ != 0; }

  private:
    std::size_t rest_;
};

}  // namespace hooks
