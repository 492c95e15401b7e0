// hooks_bench: how fast the hooks are, in ratios. What is compared is measured in turn, in one run
// on one machine, each sample on a cluster of its own: three PostgreSQL nodes with an sshd each, in
// network namespaces, and a real Pgpool-II where it plays a part.
#include <cstdio>
#include <cstdlib>
#include <iterator>
#include <string>

#include "common/core/error.h"
#include "tests/bench/bench.h"
#include "tests/bench/samples.h"
#include "tests/support/sandbox.h"

namespace hooks::bench {
namespace {

struct Measurement {
    const char* name;
    std::vector<Row> (*run)(const Settings&);
};
constexpr Measurement kMeasurements[] = {{"failover", failover_bench},
                                         {"follow", follow_bench},
                                         {"outage", outage_bench},
                                         {"memory", memory_bench}};

constexpr const char* kUsage =
    "Usage: hooks_bench [OPTION]...\n"
    "  --runs N             samples of each kind (default 10)\n"
    "  --only NAME          failover, follow, outage or memory\n"
    "  --samples DIRECTORY  of Pgpool-II's sample scripts, default: where its package puts them\n"
    "  --check              exit status 1 when a limit was missed\n";

int measure_all(const Settings& settings, const std::string& only, bool check) {
    try {
        std::vector<Row> rows;
        for (const Measurement& measurement : kMeasurements) {
            if (only.empty() || only == measurement.name) {
                const std::vector<Row> more = measurement.run(settings);
                rows.insert(rows.end(), more.begin(), more.end());
            }
        }
        std::printf("\nMedians of %d, three nodes on this machine:\n", settings.runs);
        return print_table(rows) || !check ? 0 : 1;
    } catch (const Error& error) {
        std::fprintf(stderr, "hooks_bench: %s\n", error.what());
    } catch (const std::exception& error) {
        std::fprintf(stderr, "hooks_bench: %s\n", error.what());
    }
    return 2;
}

bool is_measurement(const std::string& name) {
    for (const Measurement& measurement : kMeasurements) {
        if (name == measurement.name) {
            return true;
        }
    }
    return false;
}

}  // namespace
}  // namespace hooks::bench

int main(int argc, char** argv) {
    using namespace hooks;
    bench::Settings settings;
    std::string only;
    bool check = false;
    for (int i = 1; i < argc; ++i) {
        const std::string word = argv[i];
        const bool has_value = i + 1 < argc;
        if (word == "--check") {
            check = true;
        } else if (word == "--runs" && has_value && std::atoi(argv[i + 1]) > 0) {
            settings.runs = std::atoi(argv[++i]);
        } else if (word == "--only" && has_value && bench::is_measurement(argv[i + 1])) {
            only = argv[++i];
        } else if (word == "--samples" && has_value) {
            settings.samples_directory = argv[++i];
        } else {
            std::fputs(bench::kUsage, word == "--help" ? stdout : stderr);
            return word == "--help" ? 0 : 2;
        }
    }
    return harness::run_in_sandbox([&] {
        try {
            if (settings.samples_directory.empty()) {
                settings.samples_directory = bench::find_samples_directory();
            }
        } catch (const harness::HarnessError& error) {
            std::fprintf(stderr, "hooks_bench: %s\n", error.what());
            return 2;
        }
        return bench::measure_all(settings, only, check);
    });
}
