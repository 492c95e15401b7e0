#include "tests/soak_src/soak.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <random>
#include <thread>
#include <utility>

#include "common/core/error.h"
#include "tests/soak_src/audit.h"
#include "tests/soak_src/faults.h"
#include "tests/soak_src/load.h"

namespace hooks::soak {
namespace {

namespace fs = std::filesystem;
using harness::Cluster;
using harness::ClusterOptions;
using std::chrono::seconds;

void say(const std::string& text) {
    std::printf("%s\n", text.c_str());
    std::fflush(stdout);
}

std::string in_seconds(Clock::duration length) {
    return fmt::format("{:.1f} s", static_cast<double>(milliseconds(length)) / 1000);
}

ClusterOptions options_for(const Settings& settings, bool synchronous) {
    ClusterOptions options;
    options.nodes = settings.nodes;
    options.synchronous = synchronous;
    options.postgres_settings = {
        // A connection that a cut left hanging ends while the soak looks.
        {"wal_sender_timeout", "5s"},
        {"wal_receiver_timeout", "5s"},
        {"wal_retrieve_retry_interval", "1s"},
        {"max_slot_wal_keep_size", "512MB"},
        {"max_wal_size", "128MB"},
        {"max_connections", "100"},
        {"checkpoint_timeout", "30s"},
    };
    // Of two nodes out of recovery pgpool otherwise takes the one with the higher number.
    options.pgpool_settings = {{"num_init_children", "20"}, {"detach_false_primary", "on"}};
    return options;
}

// All that is needed to find out what happened, outside of the sandbox's own file systems.
std::string keep_logs(const Cluster& cluster, const Settings& settings, const std::string& report) {
    const char* temporary = std::getenv("TMPDIR");
    std::string path =
        std::string(temporary != nullptr ? temporary : "/tmp") + "/pgpool-hooks-soak-XXXXXX";
    if (::mkdtemp(path.data()) == nullptr) {
        return "(no directory for the logs)";
    }
    const auto save = [&](const std::string& name, const std::string& text) {
        std::ofstream(path + "/" + name) << text;
    };
    save("report", fmt::format("seed {}\n", settings.seed) + report);
    save("dump", cluster.dump());
    save("pgpool.log", cluster.pgpool_log());
    for (int node = 0; node < cluster.size(); ++node) {
        save(fmt::format("node{}.log", node), cluster.server_log(node));
        const Outcome control = cluster.run_shell(
            cluster.postgres_bin_dir() + "/pg_controldata " + cluster.data_directory(node) +
            "; ls -l " + cluster.data_directory(node) + " " + cluster.data_directory(node) +
            "/pg_wal; cat " + cluster.data_directory(node) + "/postgresql.auto.conf");
        save(fmt::format("node{}.files", node), control.out);
    }
    std::error_code error;
    fs::copy(cluster.state_dir(), path + "/state", fs::copy_options::recursive, error);
    return path;
}

class Soak {
  public:
    Soak(const Settings& settings, bool synchronous)
        : settings_(settings),
          synchronous_(synchronous),
          random_(settings.seed),
          cluster_(options_for(settings, synchronous)),
          audit_(cluster_, ledger_, synchronous),
          load_(cluster_, ledger_, settings.seed) {}

    Figures run(double minutes);

  private:
    struct Plan {
        const FaultKind* kind;
        Draw draw;
    };
    struct Active {
        Strike strike;
        Clock::time_point heal_at;
    };

    Plan draw_plan();
    void round();
    bool may_follow(const FaultKind& first, const FaultKind& second, const Strike& strike);
    void strike(Plan plan, std::vector<Active>& active);
    void heal_due(std::vector<Active>& active);
    void heal(std::vector<Active>& active);
    bool aim(const FaultKind& kind, Draw& draw, const std::set<int>& spared) const;
    bool wait_until_whole(Clock::time_point healed, bool two_faults);
    std::string stamp() const { return in_seconds(Clock::now() - begin_); }

    const Settings& settings_;
    bool synchronous_;
    std::mt19937_64 random_;
    Cluster cluster_;
    Ledger ledger_;
    Audit audit_;
    Load load_;
    std::unique_ptr<Watch> watch_;
    std::unique_ptr<Keeper> keeper_;
    std::unique_ptr<World> world_;
    Figures figures_;
    Clock::time_point begin_ = Clock::now();
    std::string story_;
};

// Always the same number of draws.
Soak::Plan Soak::draw_plan() {
    std::vector<const FaultKind*> kinds;
    for (const FaultKind& kind : fault_kinds()) {
        const bool wanted =
            settings_.faults.empty() || std::find(settings_.faults.begin(), settings_.faults.end(),
                                                  kind.name) != settings_.faults.end();
        kinds.insert(kinds.end(), static_cast<std::size_t>(wanted ? kind.weight : 0), &kind);
    }
    Plan plan;
    plan.kind = kinds.at(random_() % kinds.size());
    plan.draw.any = random_();
    const auto span =
        static_cast<std::uint64_t>((plan.kind->longest - plan.kind->shortest).count() + 1);
    plan.draw.length =
        plan.kind->shortest + Milliseconds(static_cast<std::int64_t>(random_() % span));
    return plan;
}

// False: there is nobody to hit.
bool Soak::aim(const FaultKind& kind, Draw& draw, const std::set<int>& spared) const {
    std::vector<Glance> glances = watch_->glances();
    for (const int node : spared) {
        glances.at(static_cast<std::size_t>(node)).serving = false;
    }
    draw.primary = leader(glances);
    std::vector<int> standbys;
    for (int node = 0; node < cluster_.size(); ++node) {
        const Glance& glance = glances.at(static_cast<std::size_t>(node));
        if (glance.serving && glance.in_recovery) {
            standbys.push_back(node);
        }
    }
    draw.standby = standbys.empty() ? -1 : standbys[draw.any / 7 % standbys.size()];
    return (draw.primary >= 0 || kind.target == Target::standby) &&
           (draw.standby >= 0 || kind.target == Target::primary);
}

void Soak::strike(Plan plan, std::vector<Active>& active) {
    std::set<int> spared;
    for (const Active& other : active) {
        spared.insert(other.strike.nodes.begin(), other.strike.nodes.end());
    }
    // The second of two may have to wait for the next primary: then it meets the follow.
    const Deadline deadline = Deadline::after(seconds(12));
    while (!aim(*plan.kind, plan.draw, spared)) {
        if (deadline.expired()) {
            story_ += fmt::format(" | {}: nobody to hit", plan.kind->name);
            return;
        }
        heal_due(active);
        std::this_thread::sleep_for(Milliseconds(20));
    }
    ++figures_.faults;
    const std::string when = stamp();
    try {
        Strike done = plan.kind->strike(*world_, plan.draw);
        story_ += fmt::format(
            "{}{} {} {}{}", story_.empty() ? "" : " | ", when, plan.kind->name, done.text,
            done.heal && plan.kind->longest.count() > 0 ? " for " + in_seconds(plan.draw.length)
                                                        : "");
        active.push_back({std::move(done), Clock::now() + plan.draw.length});
    } catch (const harness::HarnessError& error) {
        // Between the look and the blow a hook may have stopped it.
        story_ += fmt::format(" | {} {}: {}", when, plan.kind->name,
                              std::string(error.what()).substr(0, 120));
    }
}

// One standby acknowledges for all (ANY 1). If the primary and that standby are lost, so is what
// only they had, and no hook can change that. So with synchronous replication a second fault comes
// only when every standby that the first one left alone streams from the present primary and has
// flushed all of it; and the primary is spared while a standby that the hooks cannot ask goes on
// to acknowledge.
bool Soak::may_follow(const FaultKind& first, const FaultKind& second, const Strike& strike) {
    if (!synchronous_) {
        return true;
    }
    if (first.blinds && second.target != Target::standby) {
        return false;
    }
    const Deadline deadline = Deadline::after(seconds(8));
    while (!deadline.expired()) {
        try {
            const int primary = leader(watch_->glances());
            if (primary >= 0 && strike.nodes.count(primary) == 0) {
                int left = cluster_.size() - 1;
                std::string names = "''";
                for (const int node : strike.nodes) {
                    --left;
                    names += fmt::format(", 'node{}'", node);
                }
                const std::string end =
                    cluster_.sql_value(primary, "SELECT pg_current_wal_flush_lsn()");
                const std::string caught_up = cluster_.sql_value(
                    primary, fmt::format("SELECT count(*) FROM pg_stat_replication WHERE state = "
                                         "'streaming' AND flush_lsn >= '{}' AND application_name "
                                         "NOT IN ({})",
                                         end, names));
                if (std::stoi(caught_up) >= left) {
                    return true;
                }
            }
        } catch (const Error&) {
        }
        std::this_thread::sleep_for(Milliseconds(20));
    }
    return false;
}

void Soak::heal_due(std::vector<Active>& active) {
    for (Active& fault : active) {
        if (Clock::now() >= fault.heal_at && fault.strike.heal) {
            std::exchange(fault.strike.heal, nullptr)();
        }
    }
}

void Soak::heal(std::vector<Active>& active) {
    const auto over = [](const Active& fault) { return Clock::now() >= fault.heal_at; };
    while (!std::all_of(active.begin(), active.end(), over)) {
        heal_due(active);
        std::this_thread::sleep_for(Milliseconds(10));
    }
    heal_due(active);
}

bool Soak::wait_until_whole(Clock::time_point healed, bool two_faults) {
    bool by_hand = false;
    Clock::time_point care = Clock::now();
    for (;;) {
        const std::string problem = keeper_->problem();
        if (problem.empty()) {
            keeper_->rest();
            return true;
        }
        if (Clock::now() - healed >
            settings_.bound + (by_hand ? settings_.patience : Milliseconds(0))) {
            ledger_.complain(fmt::format("not whole {} after the last fault: {}",
                                         in_seconds(settings_.bound), problem));
            return false;
        }
        if (two_faults && Clock::now() - healed > settings_.patience) {
            const std::string done = keeper_->take_over();
            if (!by_hand) {
                by_hand = true;
                ++figures_.by_hand;
                story_ += " | BY HAND (" + problem + "):" + done;
            }
        }
        if (Clock::now() - care > seconds(1)) {
            keeper_->help();
            care = Clock::now();
        }
        std::this_thread::sleep_for(Milliseconds(100));
    }
}

void Soak::round() {
    const Plan first = draw_plan();
    const Plan second = draw_plan();
    const bool both = random_() % 4 == 0;
    const Milliseconds gap(static_cast<std::int64_t>(random_() % 5000));
    const Milliseconds pause(static_cast<std::int64_t>(random_() % 2000));

    story_.clear();
    const Clock::time_point begin = Clock::now();
    std::vector<Active> active;
    bool hit_twice = false;
    strike(first, active);
    if (both && !active.empty()) {
        std::this_thread::sleep_for(gap);
        if (may_follow(*first.kind, *second.kind, active.front().strike)) {
            hit_twice = true;
            ++figures_.doubles;
            strike(second, active);
        }
    }
    heal(active);
    const Clock::time_point healed = Clock::now();
    // The keeper is asked at least once: a fault that nobody has noticed yet is no fault yet.
    std::this_thread::sleep_for(Milliseconds(300));
    const bool whole = wait_until_whole(healed, hit_twice);
    const Clock::duration took = Clock::now() - healed;
    const Milliseconds outage = ledger_.longest_outage(begin);
    figures_.outage = std::max(figures_.outage, outage);
    figures_.whole = std::max(figures_.whole, std::chrono::duration_cast<Milliseconds>(took));
    say(fmt::format("{}  outage {}, {} {}", story_, in_seconds(outage),
                    whole ? "whole after" : "NOT WHOLE after", in_seconds(took)));
    if (whole) {
        audit_.check();
    }
    std::this_thread::sleep_for(pause);
}

Figures Soak::run(double minutes) {
    cluster_.start();
    cluster_.sql(0, kSchema);
    watch_ = std::make_unique<Watch>(cluster_);
    keeper_ = std::make_unique<Keeper>(cluster_, *watch_);
    world_ = std::make_unique<World>(World{cluster_, *keeper_});
    say(fmt::format("{} nodes, {} replication, seed {}, {} min", cluster_.size(),
                    synchronous_ ? "synchronous" : "asynchronous", settings_.seed, minutes));
    begin_ = Clock::now();
    load_.start();
    try {
        wait_until_whole(Clock::now(), false);
        const auto length = std::chrono::duration<double, std::ratio<60>>(minutes);
        while (Clock::now() - begin_ < length && ledger_.complaints().empty()) {
            round();
        }
        load_.stop();
        if (ledger_.complaints().empty()) {
            audit_.check();
            audit_.check_checksums();
        }
    } catch (const std::exception& error) {
        ledger_.complain(error.what());
    }
    figures_.complaints = ledger_.complaints();
    figures_.transactions = ledger_.transactions();
    figures_.rows = ledger_.rows().size();
    figures_.lost = audit_.rows_lost();
    figures_.two_writable = watch_->two_writable();
    figures_.attached = keeper_->attached();
    figures_.recovered = keeper_->recovered();
    figures_.errors = load_.errors();
    figures_.read_only = load_.read_only();
    if (!figures_.complaints.empty()) {
        say(cluster_.dump());
    }
    if (!figures_.complaints.empty() || settings_.logs) {
        say("the logs are in " + keep_logs(cluster_, settings_, figures_.text() + story_ + "\n"));
        if (settings_.keep && !figures_.complaints.empty()) {
            say(fmt::format("the cluster stays until this process ({}) is interrupted",
                            ::getpid()));
            for (;;) {
                std::this_thread::sleep_for(seconds(60));
            }
        }
    }
    load_.stop();
    watch_->stop();
    return figures_;
}

}  // namespace

std::string Figures::text() const {
    std::string text = fmt::format(
        "faults injected            {} (a second one within the first: {})\n"
        "rows acknowledged          {} in {} transactions\n"
        "rows lost                  {}\n"
        "longest outage             {}\n"
        "longest time to be whole   {}\n"
        "two nodes out of recovery  {} in all, as seen on the nodes themselves\n"
        "by the keeper              {} standbys attached, {} recovered\n"
        "a person was needed        {} times, after two faults at once\n"
        "clients                    {} connections lost, {} writes met a standby\n",
        faults, doubles, rows, transactions, lost, in_seconds(outage), in_seconds(whole),
        in_seconds(two_writable), attached, recovered, by_hand, errors, read_only);
    for (const std::string& complaint : complaints) {
        text += "VIOLATION: " + complaint + "\n";
    }
    return text;
}

Figures run_soak(const Settings& settings, bool synchronous, double minutes) {
    return Soak(settings, synchronous).run(minutes);
}

}  // namespace hooks::soak
