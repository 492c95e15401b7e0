// The program behind `examples/quickstart`.
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <stdexcept>
#include <string>

#include "quickstart_demo/story.h"
#include "quickstart_demo/supervise.h"
#include "tests/support/place.h"

namespace hooks::quickstart {
namespace {

namespace fs = std::filesystem;
using harness::HarnessError;

constexpr const char* kPrefix = "pgpool-hooks-quickstart-";

struct Options {
    bool keep = false;
    bool help = false;
    std::string stop;
    std::string called_as;
};

struct UsageError : std::runtime_error {
    using std::runtime_error::runtime_error;
};

Options parse(int argc, char** argv) {
    Options options;
    options.called_as = fs::absolute(argv[0]);
    for (int i = 1; i < argc; ++i) {
        const std::string word = argv[i];
        const auto value = [&] {
            if (++i >= argc) {
                throw UsageError(word + " needs a value");
            }
            return std::string(argv[i]);
        };
        if (word == "--keep") {
            options.keep = true;
        } else if (word == "--stop") {
            // Before this process goes to another directory.
            options.stop = fs::weakly_canonical(value());
        } else if (word == "--called-as") {
            options.called_as = value();
        } else if (word == "--help") {
            options.help = true;
        } else {
            throw UsageError("unknown argument \"" + word + "\"");
        }
    }
    return options;
}

// PostgreSQL runs as another account than root, which has to get in.
bool everybody_may_enter(const fs::path& directory) {
    for (fs::path path = directory;; path = path.parent_path()) {
        struct stat status {};
        if (::stat(path.c_str(), &status) != 0 || (status.st_mode & S_IXOTH) == 0) {
            return false;
        }
        if (path == path.root_path()) {
            return true;
        }
    }
}

std::string make_base() {
    const char* temporary = std::getenv("TMPDIR");
    fs::path parent = temporary != nullptr && *temporary == '/' ? temporary : "/tmp";
    parent = fs::weakly_canonical(parent);
    if (::geteuid() == 0 && !everybody_may_enter(parent)) {
        parent = "/tmp";
    }
    std::string path = parent / (std::string(kPrefix) + "XXXXXX");
    if (::mkdtemp(path.data()) == nullptr) {
        throw HarnessError("cannot create a directory like " + path + ": " + std::strerror(errno));
    }
    return path;
}

int run(const Options& options) {
    const std::string base = make_base();
    return supervise(base, options.keep, [&] {
        try {
            return Story({base, options.keep, options.called_as + " --stop"}).tell();
        } catch (const std::exception& error) {
            std::fprintf(stderr, "quickstart: %s\n", error.what());
            return Ending::not_begun;
        }
    });
}

int stop(const std::string& base) {
    if (!fs::path(base).filename().string().starts_with(kPrefix) ||
        !fs::is_directory(base + "/pgpool")) {
        throw HarnessError(base + " is not the directory of a quickstart that was kept");
    }
    struct stat status {};
    if (::geteuid() != 0 && ::stat(base.c_str(), &status) == 0 && status.st_uid != ::geteuid()) {
        throw HarnessError(base + " belongs to another user; run this as root");
    }
    stop_kept(base);
    std::printf("Stopped and removed: %s\n", base.c_str());
    return 0;
}

}  // namespace
}  // namespace hooks::quickstart

int main(int argc, char** argv) {
    using namespace hooks::quickstart;
    const char* usage =
        "Usage: quickstart_demo [--keep] [--stop DIR] [--help]\n"
        "Run it by way of examples/quickstart, which installs and builds what it needs.\n";
    try {
        const Options options = parse(argc, argv);
        if (options.help) {
            std::fputs(usage, stdout);
            return 0;
        }
        // The servers' account may not be allowed where this was called.
        if (::chdir("/") != 0) {
            throw hooks::harness::HarnessError("cannot go to /");
        }
        return options.stop.empty() ? run(options) : stop(options.stop);
    } catch (const UsageError& error) {
        std::fprintf(stderr, "quickstart: %s\n%s", error.what(), usage);
        return 2;
    } catch (const std::exception& error) {
        std::fprintf(stderr, "quickstart: %s\n", error.what());
        return 1;
    }
}
