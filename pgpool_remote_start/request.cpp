#include "pgpool_remote_start/request.h"

#include <fmt/format.h>

#include "common/core/error.h"
#include "common/core/plan.h"

namespace hooks::remote_start {
namespace {

const char* const usage_hint =
    "pgpool calls it as: pgpool_remote_start DEST_HOST DEST_DATADIR, without any quoting: a data "
    "directory with a blank in its name cannot be recovered by it.";

}  // namespace

Backend parse_request(const Arguments& words, const PgpoolConf& conf) {
    if (words.size() != 2) {
        throw Error(ErrorKind::usage, fmt::format("{} arguments instead of 2", words.size()),
                    usage_hint);
    }
    Backend target;
    target.id = unnamed_target;
    target.port = 0;
    try {
        target.host = parse_host(words[0], "argument 1 (destination host)");
        target.data_directory =
            parse_directory(words[1], "argument 2 (destination data directory)");
    } catch (const Error& error) {
        throw Error(error.kind(), error.message(), usage_hint);
    }
    const Backend* found = nullptr;
    for (const Backend& backend : conf.backends) {
        if (backend.data_directory != target.data_directory ||
            (backend.host != target.host &&
             !(target.host == "localhost" && backend.host.starts_with('/')))) {
            continue;
        }
        if (found != nullptr) {
            throw Error(
                ErrorKind::usage,
                fmt::format("{} on {} may be {} or {}", target.data_directory, target.host,
                            found->label(), backend.label()),
                fmt::format("Give the backends of one host different data directories in {}.",
                            conf.path));
        }
        found = &backend;
    }
    return found != nullptr ? *found : target;
}

}  // namespace hooks::remote_start
