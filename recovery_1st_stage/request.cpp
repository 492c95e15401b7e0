#include "recovery_1st_stage/request.h"

#include <fmt/format.h>

#include "common/core/error.h"
#include "common/core/plan.h"

namespace hooks::recovery {
namespace {

const char* const usage_hint =
    "pgpool calls it as: recovery_1st_stage PRIMARY_DATADIR DEST_HOST DEST_DATADIR PRIMARY_PORT "
    "[DEST_NODE_ID [DEST_PORT [PRIMARY_HOST]]]; recovery_1st_stage_command in pgpool.conf is only "
    "the file name, 'recovery_1st_stage'.";

// Ports may differ where several nodes share a host, so the directory decides.
const Backend* find_by_directory(const PgpoolConf& conf, const std::string& host,
                                 const std::string& directory) {
    for (const Backend& backend : conf.backends) {
        if (backend.host == host && backend.data_directory == directory) {
            return &backend;
        }
    }
    return nullptr;
}

}  // namespace

Request parse_request(const Arguments& words, const PgpoolConf& conf) {
    if (words.size() < 4 || words.size() > 7) {
        throw Error(ErrorKind::usage, fmt::format("{} arguments instead of 4 to 7", words.size()),
                    usage_hint);
    }
    try {
        Request r;
        r.primary_directory = parse_directory(words[0], "argument 1 (primary data directory)");
        r.target.host = parse_host(words[1], "argument 2 (destination host)");
        r.target.data_directory =
            parse_directory(words[2], "argument 3 (destination data directory)");
        r.primary_port = parse_port(words[3], "argument 4 (primary port)");

        const Backend* known = nullptr;
        if (words.size() >= 5) {
            r.target.id = parse_node_id(words[4], "argument 5 (destination node id)");
            known = conf.find(r.target.id);
            if (r.target.id < 0 || (!conf.backends.empty() && known == nullptr)) {
                throw Error(
                    ErrorKind::usage,
                    fmt::format("argument 5 (destination node id) is {}, which is not in {}",
                                r.target.id, conf.path));
            }
            if (known != nullptr && known->data_directory != r.target.data_directory) {
                throw Error(
                    ErrorKind::usage,
                    fmt::format("argument 3 is \"{}\" but backend_data_directory{} in {} is "
                                "\"{}\": the arguments are shifted, or this is the "
                                "configuration of another pgpool",
                                r.target.data_directory, r.target.id, conf.path,
                                known->data_directory));
            }
        } else {
            known = find_by_directory(conf, r.target.host, r.target.data_directory);
            if (known == nullptr) {
                throw Error(ErrorKind::usage,
                            fmt::format("pgpool gave no node id, and {} on {} is no backend in {}",
                                        r.target.data_directory, r.target.host,
                                        conf.path.empty() ? "pgpool.conf" : conf.path),
                            "Set pgpool_conf in hooks.conf on this host.");
            }
            r.target.id = known->id;
        }
        r.target.port = words.size() >= 6  ? parse_port(words[5], "argument 6 (destination port)")
                        : known != nullptr ? known->port
                                           : r.primary_port;
        if (known != nullptr) {
            r.target.application_name = known->application_name;
        }

        r.source.id = unnamed_primary;
        r.source.port = r.primary_port;
        r.source.data_directory = r.primary_directory;
        if (words.size() >= 7) {
            r.source.host = parse_host(words[6], "argument 7 (primary host)");
        }
        for (const Backend& backend : conf.backends) {
            const bool fits = backend.data_directory == r.primary_directory &&
                              backend.port == r.primary_port && backend.id != r.target.id &&
                              (r.source.host.empty() || backend.host == r.source.host);
            if (fits) {
                r.source.id = backend.id;
                r.source.host = backend.host;
                break;
            }
        }
        if (r.source.host.empty()) {
            throw Error(ErrorKind::usage,
                        "pgpool gave no primary host, and pgpool.conf does not tell it either",
                        "Set pgpool_conf in hooks.conf on this host.");
        }
        if (r.source.host == r.target.host && (r.source.data_directory == r.target.data_directory ||
                                               r.source.port == r.target.port)) {
            throw Error(ErrorKind::usage,
                        fmt::format("the target ({}:{}, {}) is the primary itself", r.target.host,
                                    r.target.port, r.target.data_directory),
                        "pgpool turns the directory of a unix socket into \"localhost\": give the "
                        "backends host names or addresses in pgpool.conf.");
        }
        return r;
    } catch (const Error& error) {
        throw Error(error.kind(), error.message(),
                    error.hint().empty() ? usage_hint : error.hint());
    }
}

}  // namespace hooks::recovery
