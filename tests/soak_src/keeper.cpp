#include "tests/soak_src/keeper.h"

#include <fmt/format.h>

#include "common/core/error.h"

namespace hooks::soak {
namespace {

using std::chrono::seconds;

// How long a standby that was started again may take before it is recovered.
constexpr auto kPatience = seconds(12);
// How long after a fault pgpool may still come to detach its node.
constexpr seconds late_detach{30};

}  // namespace

int leader(const std::vector<Glance>& glances) {
    int result = -1;
    TimelineId highest = 0;
    for (std::size_t node = 0; node < glances.size(); ++node) {
        const Glance& glance = glances[node];
        if (glance.serving && !glance.in_recovery && glance.timeline > highest) {
            highest = glance.timeline;
            result = static_cast<int>(node);
        }
    }
    return result;
}

void Keeper::looks_after(int node) {
    in_care_[node] = Clock::now();
}

void Keeper::rest() {
    // Pgpool may still be at the health check in which it loses a node that is back by now.
    const Clock::time_point now = Clock::now();
    for (const auto& [node, since] : in_care_) {
        late_[node] = now + late_detach;
    }
    in_care_.clear();
    recoveries_.clear();
    taken_over_ = {};
}

std::string Keeper::problem() const {
    // What the watch saw is cheap; only when that is good, all is asked again, and pgpool too.
    const std::vector<Glance> glances = watch_.glances();
    const int primary = leader(glances);
    if (primary < 0) {
        return "no node takes writes";
    }
    for (int node = 0; node < cluster_.size(); ++node) {
        const Glance& glance = glances.at(static_cast<std::size_t>(node));
        if (node == primary) {
            continue;
        }
        if (!glance.serving) {
            return fmt::format("node {} does not answer", node);
        }
        if (!glance.in_recovery) {
            return fmt::format("nodes {} and {} are both out of recovery", primary, node);
        }
        if (glance.sender != cluster_.host(primary)) {
            return fmt::format("node {} streams from {}", node,
                               glance.sender.empty() ? "nobody" : glance.sender);
        }
    }
    try {
        for (const harness::PoolNode& node : cluster_.pool_status()) {
            if (!node.attached()) {
                return fmt::format("node {} streams, and is {} in pgpool", node.id, node.status);
            }
            if ((node.role == "primary") != (node.id == primary)) {
                return fmt::format("node {} is a {} in pgpool", node.id, node.role);
            }
        }
        for (int node = 0; node < cluster_.size(); ++node) {
            const std::string problem = node == primary ? "" : cluster_.streaming_problem(node);
            if (!problem.empty()) {
                return fmt::format("node {}: {}", node, problem);
            }
        }
        cluster_.pgpool_sql("INSERT INTO public.harness_markers VALUES ('whole')");
    } catch (const Error& error) {
        return error.what();
    } catch (const harness::HarnessError& error) {
        return error.what();
    }
    return "";
}

void Keeper::help() {
    std::erase_if(late_, [](const auto& late) { return late.second < Clock::now(); });
    if (in_care_.empty() && late_.empty()) {
        return;
    }
    try {
        const std::vector<harness::PoolNode> pool = cluster_.pool_status();
        for (const auto& [node, until] : late_) {
            if (!in_care_.contains(node) &&
                pool.at(static_cast<std::size_t>(node)).status == "down") {
                attach_if_it_streams(node);
            }
        }
        for (const auto& [node, since] : in_care_) {
            help_node(node, since, pool.at(static_cast<std::size_t>(node)).status);
        }
    } catch (const Error&) {
        // pgpool does not answer now
    } catch (const harness::HarnessError&) {
    }
}

std::string Keeper::take_over() {
    // While it looks for a primary, pgpool forgets what it is told.
    if (Clock::now() - taken_over_ < seconds(10)) {
        return "";
    }
    taken_over_ = Clock::now();
    std::string story;
    try {
        const std::vector<Glance> glances = watch_.glances();
        const int primary = leader(glances);
        if (primary < 0) {
            return " nothing, no node takes writes";
        }
        for (const harness::PoolNode& node : cluster_.pool_status()) {
            if (node.id == primary && (node.status == "down" || node.role != "primary")) {
                cluster_.pcp("pcp_attach_node", {"-n", std::to_string(primary)});
                story += fmt::format(" attach the primary, node {}", primary);
            } else if (node.id != primary &&
                       (node.status == "down" ||
                        glances.at(static_cast<std::size_t>(node.id)).sender !=
                            cluster_.host(primary))) {
                if (node.status != "down") {
                    cluster_.pcp("pcp_detach_node", {"-n", std::to_string(node.id)});
                }
                in_care_[node.id] = Clock::time_point();
                story += fmt::format(" recover node {}", node.id);
            }
        }
    } catch (const Error& error) {
        story += std::string(" ") + error.what();
    } catch (const harness::HarnessError& error) {
        story += std::string(" ") + error.what();
    }
    return story;
}

bool Keeper::attach_if_it_streams(int node) {
    const std::vector<Glance> glances = watch_.glances();
    const Glance& glance = glances.at(static_cast<std::size_t>(node));
    const int primary = leader(glances);
    if (primary < 0 || !glance.serving || !glance.in_recovery ||
        glance.sender != cluster_.host(primary)) {
        return false;
    }
    ++attached_;
    cluster_.pcp("pcp_attach_node", {"-n", std::to_string(node)});
    return true;
}

void Keeper::help_node(int node, Clock::time_point since, const std::string& status) {
    const int primary = leader(watch_.glances());
    if (primary < 0 || primary == node || status != "down") {
        return;
    }
    if (attach_if_it_streams(node)) {
        return;
    }
    const std::string number = std::to_string(node);
    const auto running = recoveries_.find(node);
    const bool busy = running != recoveries_.end() &&
                      running->second.wait_for(seconds(0)) != std::future_status::ready;
    const bool has_data =
        !harness::read_file(cluster_.data_directory(node) + "/PG_VERSION").empty();
    if (busy || (has_data && Clock::now() - since < kPatience)) {
        return;
    }
    ++recovered_;
    recoveries_[node] = std::async(std::launch::async, [this, number] {
        try {
            cluster_.pcp("pcp_recovery_node", {"-n", number});
        } catch (const Error&) {
            // It is asked again, and the bound is what counts.
        }
    });
}

}  // namespace hooks::soak
