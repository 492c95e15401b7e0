#include "tests/bench/samples.h"

#include <filesystem>
#include <map>
#include <sstream>

#include "tests/support/place.h"

namespace hooks::bench {
namespace {

namespace fs = std::filesystem;

// Debian; RHEL.
constexpr const char* kDirectories[] = {"/usr/share/doc/pgpool2/examples/scripts",
                                        "/etc/pgpool-II/sample_scripts"};
// The one path of their author's machine that is not in a variable.
constexpr const char* kTheirPassfile = "/var/lib/pgsql/.pgpass";

void replace_all(std::string& text, const std::string& from, const std::string& to) {
    for (std::size_t at = text.find(from); at != std::string::npos;
         at = text.find(from, at + to.size())) {
        text.replace(at, from.size(), to);
    }
}

}  // namespace

std::string find_samples_directory() {
    for (const char* directory : kDirectories) {
        if (fs::exists(fs::path(directory) / "failover.sh.sample")) {
            return directory;
        }
    }
    throw harness::HarnessError(
        "the sample scripts of Pgpool-II are not installed; give --samples DIRECTORY");
}

std::string install_sample(const harness::Cluster& cluster, const std::string& directory,
                           const std::string& name) {
    const harness::Place hub(cluster.account());
    const std::string archive = cluster.base_directory() + "/archive";
    hub.make_directory(archive);
    const std::map<std::string, std::string> variables = {
        {"PGHOME", fs::path(cluster.postgres_bin_dir()).parent_path()},
        {"ARCHIVEDIR", archive},
        {"REPLUSER", "repl"},
        {"PCP_USER", "pgpool"},
        {"PGPOOL_PATH", fs::path(harness::find_program("pcp_attach_node")).parent_path()},
        {"PCP_PORT", std::to_string(cluster.options().pcp_port)},
        {"POSTGRESQL_STARTUP_USER", cluster.account().name},
        {"SSH_KEY_FILE", "id_rsa_pgpool"},
    };
    const std::string original = harness::read_file(directory + "/" + name + ".sample");
    if (original.empty()) {
        throw harness::HarnessError("cannot read " + name + ".sample in " + directory);
    }
    std::string text;
    std::istringstream lines(original);
    for (std::string line; std::getline(lines, line);) {
        const auto variable = variables.find(line.substr(0, line.find('=')));
        text += variable == variables.end() ? line : variable->first + "=" + variable->second;
        text += '\n';
    }
    replace_all(text, kTheirPassfile, cluster.account().home + "/.pgpass");
    const std::string path = cluster.hook_path(name);
    hub.write_file(path, text, 0755);
    return path;
}

}  // namespace hooks::bench
