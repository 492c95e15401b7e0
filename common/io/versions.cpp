#include "common/io/versions.h"

#include <fmt/format.h>
#include <libpq-fe.h>
#include <libssh/libssh.h>

namespace hooks {

std::string version_text(const std::string& program) {
    const int libpq = PQlibVersion();
    return fmt::format("{} (pgpool-hooks) {}\nlibpq {}.{}, libssh {}, fmt {}.{}.{}\n", program,
                       HOOKS_VERSION, libpq / 10000, libpq % 10000, ssh_version(0),
                       FMT_VERSION / 10000, FMT_VERSION / 100 % 100, FMT_VERSION % 100);
}

}  // namespace hooks
