#include "tests/versions/servers.h"

#include <cstdlib>
#include <filesystem>

namespace hooks::harness {

namespace fs = std::filesystem;

std::string bin_dir_of_version(int major) {
    const std::string installed = find_postgres_bin_dir();
    if (major_version_of(installed) == major) {
        return installed;
    }
    const char* directory = std::getenv("PGPOOL_HOOKS_POSTGRES");
    const std::string number = std::to_string(major);
    const std::string bin =
        std::string(directory != nullptr ? directory : "/var/cache/pgpool-hooks/postgresql") + "/" +
        number + "/bin";
    if (!fs::exists(bin + "/postgres")) {
        throw HarnessError("there is no PostgreSQL " + number + " in " + bin +
                           ": run tests/versions/get-postgres " + number);
    }
    return bin;
}

void expect_settings_of_a_standby(const Cluster& cluster, int node) {
    const std::string data = cluster.data_directory(node);
    const bool signal_files = cluster.postgres_major() >= 12;
    EXPECT_EQ(fs::exists(data + "/standby.signal"), signal_files);
    EXPECT_EQ(fs::exists(data + "/recovery.conf"), !signal_files);
    EXPECT_FALSE(fs::exists(data + "/recovery.done"));
    EXPECT_FALSE(fs::exists(data + "/recovery.signal"));
    if (!signal_files) {
        const std::string settings = read_file(data + "/recovery.conf");
        EXPECT_NE(settings.find("recovery_target_timeline = 'latest'"), std::string::npos)
            << settings;
    }
}

void crash_diverged(Cluster& cluster, const std::vector<std::string>& more) {
    cluster.stop_postgres(1);
    cluster.stop_postgres(2);
    cluster.sql(0, "CREATE TABLE public.diverged AS SELECT generate_series(1, 1000) AS row");
    for (const std::string& statement : more) {
        cluster.sql(0, statement);
    }
    cluster.kill_postgres_at_once(0);
    cluster.start_postgres(1);
    cluster.start_postgres(2);
}

}  // namespace hooks::harness
