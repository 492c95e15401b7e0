#include "recovery_1st_stage/request.h"

#include <fmt/format.h>

#include "common/core/conninfo.h"
#include "common/core/error.h"
#include "common/core/plan.h"

namespace hooks::recovery {
namespace {

const char* const usage_hint =
    "pgpool calls it as: recovery_1st_stage PRIMARY_DATADIR DEST_HOST DEST_DATADIR PRIMARY_PORT "
    "[DEST_NODE_ID [DEST_PORT [PRIMARY_HOST]]]; recovery_1st_stage_command in pgpool.conf is only "
    "the file name, 'recovery_1st_stage'.";

// pgpool writes "localhost" for a backend whose host is the directory of a unix socket.
bool is_host_of(const Backend& backend, const std::string& word) {
    return backend.host == word ||
           (word == "localhost" && (backend.host.empty() || backend.host.starts_with('/')));
}

// Ports may differ where several nodes share a host, so the directory decides.
const Backend* find_by_directory(const PgpoolConf& conf, const Backend& target) {
    const std::string path = conf.path.empty() ? "pgpool.conf" : conf.path;
    const Backend* found = nullptr;
    for (const Backend& backend : conf.backends) {
        if (!is_host_of(backend, target.host) || backend.data_directory != target.data_directory) {
            continue;
        }
        if (found != nullptr) {
            throw Error(
                ErrorKind::usage,
                fmt::format("pgpool gave no node id, and {} on {} may be {} or {}",
                            target.data_directory, target.host, found->label(), backend.label()),
                fmt::format("Give the backends of one host different data directories in {}.",
                            path));
        }
        found = &backend;
    }
    if (found == nullptr) {
        throw Error(ErrorKind::usage,
                    fmt::format("pgpool gave no node id, and {} on {} is no backend in {}",
                                target.data_directory, target.host, path),
                    "Set pgpool_conf in hooks.conf on this host.");
    }
    return found;
}

// Two nodes that are taken for one would end with the files of the wrong one replaced.
void check_target(const PgpoolConf& conf, const Backend& known, const Backend& target) {
    const auto mismatch = [&](const char* argument, const char* setting, const auto& given,
                              const auto& wanted) {
        throw Error(ErrorKind::usage,
                    fmt::format("{} is \"{}\" but {}{} in {} is \"{}\": the arguments are shifted, "
                                "or this is the configuration of another pgpool",
                                argument, given, setting, known.id, conf.path, wanted));
    };
    if (!is_host_of(known, target.host)) {
        mismatch("argument 2 (destination host)", "backend_hostname", target.host, known.host);
    }
    if (known.data_directory != target.data_directory) {
        mismatch("argument 3 (destination data directory)", "backend_data_directory",
                 target.data_directory, known.data_directory);
    }
    if (known.port != target.port) {
        mismatch("argument 6 (destination port)", "backend_port", target.port, known.port);
    }
}

Backend parse_target(const Arguments& words, const PgpoolConf& conf, int primary_port) {
    Backend target;
    target.host = parse_host(words[1], "argument 2 (destination host)");
    target.data_directory = parse_directory(words[2], "argument 3 (destination data directory)");
    const Backend* known = nullptr;
    if (words.size() >= 5) {
        target.id = parse_node_id(words[4], "argument 5 (destination node id)");
        known = conf.find(target.id);
        if (target.id < 0 || (!conf.backends.empty() && known == nullptr)) {
            throw Error(ErrorKind::usage,
                        fmt::format("argument 5 (destination node id) is {}, which is not in {}",
                                    target.id, conf.path.empty() ? "pgpool.conf" : conf.path));
        }
    } else {
        known = find_by_directory(conf, target);
        target.id = known->id;
    }
    target.port = words.size() >= 6  ? parse_port(words[5], "argument 6 (destination port)")
                  : known != nullptr ? known->port
                                     : primary_port;
    if (known != nullptr) {
        check_target(conf, *known, target);
        target.application_name = known->application_name;
    }
    return target;
}

// Named, the host decides: the data directory is the server's name for it, and a symbolic link has
// two. Without a name, every host may have the same directory and port.
std::vector<Backend> parse_primary(const Arguments& words, const PgpoolConf& conf,
                                   const Request& r) {
    Backend unlisted;
    unlisted.id = unnamed_primary;
    unlisted.data_directory = r.primary_directory;
    unlisted.port = r.primary_port;
    if (r.primary_named) {
        unlisted.host = parse_host(words[6], "argument 7 (primary host)");
    }
    std::vector<Backend> primaries;
    for (const Backend& backend : conf.backends) {
        const bool fits = r.primary_named ? is_host_of(backend, unlisted.host)
                                          : backend.data_directory == r.primary_directory;
        if (fits && backend.port == r.primary_port && backend.id != r.target.id) {
            primaries.push_back(unlisted);
            primaries.back().id = backend.id;
            primaries.back().host = backend.host;
        }
    }
    if (primaries.empty() && !r.primary_named) {
        throw Error(ErrorKind::usage,
                    "pgpool gave no primary host, and pgpool.conf does not tell it either",
                    "Set pgpool_conf in hooks.conf on this host.");
    }
    if (primaries.empty()) {
        primaries.push_back(unlisted);
    }
    return primaries;
}

}  // namespace

void check_primary(const Request& r, const Backend& primary) {
    if (primary.host == r.target.host &&
        (primary.data_directory == r.target.data_directory || primary.port == r.target.port)) {
        throw Error(ErrorKind::usage,
                    fmt::format("the target ({}, {}) is the primary itself",
                                host_and_port(r.target.host, std::to_string(r.target.port)),
                                r.target.data_directory),
                    "pgpool turns the directory of a unix socket into \"localhost\": give the "
                    "backends host names or addresses in pgpool.conf.");
    }
}

Request parse_request(const Arguments& words, const PgpoolConf& conf) {
    if (words.size() < 4 || words.size() > 7) {
        throw Error(ErrorKind::usage, fmt::format("{} arguments instead of 4 to 7", words.size()),
                    usage_hint);
    }
    try {
        Request r;
        r.primary_directory = parse_directory(words[0], "argument 1 (primary data directory)");
        r.primary_port = parse_port(words[3], "argument 4 (primary port)");
        r.target = parse_target(words, conf, r.primary_port);
        r.primary_named = words.size() >= 7;
        r.primaries = parse_primary(words, conf, r);
        const Backend& primary = r.primaries.front();
        if (r.primaries.size() == 1) {
            check_primary(r, primary);
        }
        if (primary.id == unnamed_primary && !conf.backends.empty()) {
            throw Error(
                ErrorKind::usage,
                fmt::format("the primary, {}, is no backend in {}: the arguments are "
                            "shifted, or this is the configuration of another pgpool",
                            host_and_port(primary.host, std::to_string(primary.port)), conf.path));
        }
        return r;
    } catch (const Error& error) {
        throw Error(error.kind(), error.message(),
                    error.hint().empty() ? usage_hint : error.hint());
    }
}

}  // namespace hooks::recovery
