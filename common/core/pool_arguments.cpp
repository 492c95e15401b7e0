#include "common/core/pool_arguments.h"

#include <fmt/format.h>

#include "common/core/error.h"

namespace hooks {
namespace {

constexpr std::size_t word_count = 12;

// A host or directory that is absent arrives empty or as two quote characters.
std::string optional_host(const std::string& word, const char* placeholder) {
    const std::string plain = plain_word(word);
    return plain.empty() ? plain : parse_host(plain, placeholder);
}

}  // namespace

std::string pool_line_hint(const std::string& command) {
    return fmt::format("The line in pgpool.conf should read: {}{}", pool_command_line(command),
                       command == "follow_primary_command"
                           ? " (Pgpool-II 4.1 calls that setting follow_master_command)"
                           : "");
}

std::string pool_command_line(const std::string& command) {
    return fmt::format("{0} = '/usr/lib/pgpool-hooks/{0} {1}'", command, pool_command_arguments);
}

PoolArguments parse_pool_arguments(const Arguments& words, const std::string& command) {
    if (words.size() != word_count) {
        throw Error(ErrorKind::usage,
                    fmt::format("{} arguments instead of {}{}", words.size(), word_count,
                                words.size() < word_count
                                    ? ": a value that is not set vanishes unless it is quoted"
                                    : ": a value with a blank in it is split unless it is quoted"),
                    pool_line_hint(command));
    }
    try {
        PoolArguments a;
        a.node = parse_node_id(words[0], "%d");
        a.host = optional_host(words[1], "%h");
        a.port = parse_port(words[2], "%p");
        const std::string directory = plain_word(words[3]);
        a.directory = directory.empty() ? directory : parse_directory(directory, "%D");
        a.main_node = parse_node_id(words[4], "%m");
        optional_host(words[5], "%H");
        a.old_primary = parse_node_id(words[7], "%P");
        optional_host(words[10], "%N");
        if (a.node < 0) {
            throw Error(ErrorKind::usage, fmt::format("%d is {}: not a node id", a.node));
        }
        return a;
    } catch (const Error& error) {
        throw Error(error.kind(), error.message(), pool_line_hint(command));
    }
}

void check_against(const PgpoolConf& conf, const PoolArguments& a, const std::string& command) {
    const Backend* backend = conf.find(a.node);
    if (backend == nullptr) {
        throw Error(ErrorKind::usage, fmt::format("node {} is not in {}", a.node, conf.path),
                    "Check pgpool_conf in hooks.conf, and the order of the arguments. " +
                        pool_line_hint(command));
    }
    const auto mismatch = [&](const char* placeholder, const char* setting, const auto& given,
                              const auto& known) {
        throw Error(ErrorKind::usage,
                    fmt::format("{} is \"{}\" but {}{} in {} is \"{}\": the arguments are shifted, "
                                "or this is the configuration of another pgpool",
                                placeholder, given, setting, a.node, conf.path, known),
                    pool_line_hint(command));
    };
    if (!a.host.empty() && a.host != backend->host) {
        mismatch("%h", "backend_hostname", a.host, backend->host);
    }
    if (a.port != backend->port) {
        mismatch("%p", "backend_port", a.port, backend->port);
    }
    if (!a.directory.empty() && !backend->data_directory.empty() &&
        a.directory != backend->data_directory) {
        mismatch("%D", "backend_data_directory", a.directory, backend->data_directory);
    }
    for (const auto& [placeholder, id] :
         {std::pair("%m", a.main_node), std::pair("%P", a.old_primary)}) {
        if (id >= 0 && conf.find(id) == nullptr) {
            throw Error(
                ErrorKind::usage,
                fmt::format("{} names node {}, which is not in {}", placeholder, id, conf.path),
                pool_line_hint(command));
        }
    }
}

}  // namespace hooks
