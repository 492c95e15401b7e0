// soak: random faults on a real cluster under load, for as long as you like.
#include <fmt/format.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <sstream>

#include "tests/soak_src/faults.h"
#include "tests/soak_src/soak.h"
#include "tests/support/sandbox.h"

namespace hooks::soak {
namespace {

constexpr const char* kUsage =
    "Usage: soak [OPTION]...\n"
    "  --minutes N          how long (default 3)\n"
    "  --seed S             of the sequence of faults (default 1)\n"
    "  --synchronous WHICH  on, off, or both, half of the time each; default: on for an odd seed\n"
    "  --nodes N            default 4\n"
    "  --bound SECONDS      the cluster is whole again within that after a fault (default 60)\n"
    "  --faults A,B,...     only these\n"
    "  --logs               keep the logs of a clean run, too\n"
    "  --keep               after a violation the cluster stays, until the soak is interrupted\n"
    "Faults:";

std::string usage() {
    std::string text = kUsage;
    for (const FaultKind& kind : fault_kinds()) {
        text += std::string(" ") + kind.name;
    }
    return text + "\n";
}

bool is_fault(const std::string& name) {
    for (const FaultKind& kind : fault_kinds()) {
        if (name == kind.name) {
            return true;
        }
    }
    return false;
}

bool parse(int argc, char** argv, Settings& settings) {
    for (int i = 1; i < argc; ++i) {
        const std::string word = argv[i];
        if (word == "--keep" || word == "--logs") {
            (word == "--keep" ? settings.keep : settings.logs) = true;
            continue;
        }
        if (++i == argc) {
            return false;
        }
        const std::string value = argv[i];
        if (word == "--minutes") {
            settings.minutes = std::atof(value.c_str());
        } else if (word == "--seed") {
            settings.seed = std::strtoull(value.c_str(), nullptr, 10);
        } else if (word == "--synchronous") {
            settings.synchronous = value;
        } else if (word == "--nodes") {
            settings.nodes = std::atoi(value.c_str());
        } else if (word == "--bound") {
            settings.bound = std::chrono::seconds(std::atoi(value.c_str()));
        } else if (word == "--faults") {
            std::istringstream names(value);
            for (std::string name; std::getline(names, name, ',');) {
                settings.faults.push_back(name);
                if (!is_fault(name)) {
                    std::fprintf(stderr, "soak: no fault is called %s\n", name.c_str());
                    return false;
                }
            }
        } else {
            return false;
        }
    }
    const std::string& which = settings.synchronous;
    return settings.minutes > 0 && settings.nodes >= 3 && settings.nodes <= 16 &&
           (which.empty() || which == "on" || which == "off" || which == "both");
}

int soak(const Settings& settings) {
    std::string which = settings.synchronous;
    if (which.empty()) {
        which = settings.seed % 2 == 1 ? "on" : "off";
    }
    bool clean = true;
    for (const bool synchronous : {true, false}) {
        if (which != "both" && (which == "on") != synchronous) {
            continue;
        }
        try {
            const Figures figures =
                run_soak(settings, synchronous, settings.minutes / (which == "both" ? 2 : 1));
            std::printf("\n%s replication, seed %llu\n%s\n",
                        synchronous ? "Synchronous" : "Asynchronous",
                        static_cast<unsigned long long>(settings.seed), figures.text().c_str());
            clean = clean && figures.complaints.empty();
        } catch (const std::exception& error) {
            std::fprintf(stderr, "soak: %s\n", error.what());
            clean = false;
        }
    }
    return clean ? 0 : 1;
}

}  // namespace
}  // namespace hooks::soak

int main(int argc, char** argv) {
    using namespace hooks;
    soak::Settings settings;
    if (argc == 2 && std::strcmp(argv[1], "--help") == 0) {
        std::fputs(soak::usage().c_str(), stdout);
        return 0;
    }
    if (!soak::parse(argc, argv, settings)) {
        std::fputs(soak::usage().c_str(), stderr);
        return 2;
    }
    return harness::run_in_sandbox([&] { return soak::soak(settings); });
}
