#include "common/app/run_hook.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iterator>
#include <optional>
#include <system_error>

#include "common/io/signals.h"
#include "common/io/unique_fd.h"
#include "common/io/user.h"
#include "common/io/versions.h"

namespace hooks {
namespace {

constexpr const char* default_pgpool_confs[] = {"/etc/pgpool2/pgpool.conf",
                                                "/etc/pgpool-II/pgpool.conf"};

struct Options {
    std::string config;
    std::string log_level;
    bool dry_run = false;
    bool worker = false;
    std::string job;
    bool help = false;
    bool version = false;
    Arguments words;
};

std::optional<LogLevel> parse_log_level(const std::string& word) {
    if (word == "error") return LogLevel::error;
    if (word == "warn") return LogLevel::warn;
    if (word == "info") return LogLevel::info;
    if (word == "debug") return LogLevel::debug;
    return std::nullopt;
}

// Options end at the first word that does not begin with two dashes: "-1" is an argument.
Options parse_options(int argc, char** argv) {
    Options options;
    int i = 1;
    const auto value = [&](const std::string& name) -> std::string {
        if (i + 1 >= argc) {
            throw Error(ErrorKind::usage, name + " needs a value", "See --help.");
        }
        return argv[++i];
    };
    for (; i < argc && std::strncmp(argv[i], "--", 2) == 0; ++i) {
        const std::string word = argv[i];
        if (word == "--config") {
            options.config = value(word);
        } else if (word == "--log-level") {
            options.log_level = value(word);
            if (!parse_log_level(options.log_level)) {
                throw Error(ErrorKind::usage,
                            fmt::format("--log-level is \"{}\"", options.log_level),
                            "It is one of error, warn, info, debug.");
            }
        } else if (word == "--dry-run") {
            options.dry_run = true;
        } else if (word == "--worker") {
            options.worker = true;
        } else if (word == "--job") {
            options.worker = true;
            options.job = value(word);
        } else if (word == "--help") {
            options.help = true;
        } else if (word == "--version") {
            options.version = true;
        } else if (word == "--") {
            ++i;
            break;
        } else {
            throw Error(ErrorKind::usage, fmt::format("unknown option \"{}\"", word),
                        "Options come before the arguments; see --help.");
        }
    }
    options.words.assign(argv + i, argv + argc);
    return options;
}

std::string read_config_file(const std::string& path, const char* what, const char* hint) {
    const auto fail = [&](const char* why) {
        throw Error(ErrorKind::config, fmt::format("{} {}: {}", what, path, why), hint);
    };
    // Not blocking: a pipe that nobody writes to would hold us for ever.
    const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    struct stat status {};
    if (!fd || ::fstat(fd.get(), &status) != 0) {
        fail(std::strerror(errno));
    }
    if (!S_ISREG(status.st_mode)) {
        fail(S_ISDIR(status.st_mode) ? std::strerror(EISDIR) : "not a file");
    }
    std::string content;
    char piece[8192];
    for (;;) {
        const ssize_t count = ::read(fd.get(), piece, sizeof piece);
        if (count < 0) {
            fail(std::strerror(errno));
        }
        if (count == 0) {
            return content;
        }
        content.append(piece, static_cast<std::size_t>(count));
    }
}

std::string config_path(const Options& options) {
    if (!options.config.empty()) {
        return options.config;
    }
    const char* from_environment = std::getenv("PGPOOL_HOOKS_CONFIG");
    return from_environment != nullptr && *from_environment != '\0' ? from_environment
                                                                    : default_config_path;
}

Config load_config(const std::string& path) {
    const std::string text = read_config_file(path, "configuration",
                                              "Give --config FILE, set PGPOOL_HOOKS_CONFIG, or "
                                              "copy the sample hooks.conf there; an empty "
                                              "file means that every default is right.");
    return parse_config(ConfFile::parse(text, path));
}

PgpoolConf load_pgpool_conf(const Config& config, bool needed) {
    std::string path = config.pgpool_conf;
    if (path.empty()) {
        for (const char* candidate : default_pgpool_confs) {
            if (::access(candidate, F_OK) == 0) {
                path = candidate;
                break;
            }
        }
        // The hooks of online recovery run on the database hosts, where there may be none.
        if (path.empty() && !needed) {
            return {};
        }
        if (path.empty()) {
            path = default_pgpool_confs[0];
        }
    }
    try {
        const std::string text =
            read_config_file(path, "pgpool.conf", "Set pgpool_conf in hooks.conf to its path.");
        return parse_pgpool_conf(ConfFile::parse(text, path), path);
    } catch (const Error&) {
        // One that nobody asked for: a database host may have the package's sample.
        if (!needed && config.pgpool_conf.empty()) {
            return {};
        }
        throw;
    }
}

// Creates the directory where needed; empty when it cannot be written.
std::string usable_directory(const std::string& path) {
    if (::mkdir(path.c_str(), 0750) != 0 && errno != EEXIST) {
        return {};
    }
    return ::access(path.c_str(), W_OK | X_OK) == 0 ? path : std::string();
}

std::string find_state_dir(const Config& config, Log& log) {
    std::string found = usable_directory(config.state_dir);
    if (found.empty()) {
        const std::string home = home_directory();
        found = home.empty() ? found : usable_directory(home + "/.pgpool-hooks");
        log.debug("state_dir cannot be written",
                  {{"state_dir", config.state_dir}, {"used", found.empty() ? "none" : found}});
    }
    return found;
}

ExitCode code_for(const Error& error, const Env* env) {
    const bool effect = error.kind() != ErrorKind::usage && error.kind() != ErrorKind::config &&
                        error.kind() != ErrorKind::refused;
    if (env != nullptr && env->proving && effect) {
        return ExitCode::not_verified;
    }
    if (env != nullptr && env->past_no_return && effect) {
        return ExitCode::failed_midway;
    }
    return exit_code(error.kind());
}

// For those who know the cause, but not what it is good for.
std::string next_step(const Error& error) {
    if (!error.hint().empty()) {
        return error.hint();
    }
    switch (error.kind()) {
        case ErrorKind::internal:
            return "Please report it with this log.";
        case ErrorKind::unreachable:
        case ErrorKind::timeout:
            return "See that the node answers, then run this again; --dry-run shows the plan and "
                   "changes nothing.";
        default:
            return "Correct what the message names, then run this again; --dry-run shows the plan "
                   "and changes nothing.";
    }
}

Verdict verdict_of_error(const Error& error, const Env* env) {
    Verdict verdict;
    verdict.code = code_for(error, env);
    verdict.text = error.what();
    verdict.next = next_step(error);
    return verdict;
}

void append_history(const std::string& state_dir, const std::string& line, Log& log) {
    if (state_dir.empty()) {
        return;
    }
    const std::string path = state_dir + "/history";
    const UniqueFd fd(::open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640));
    // One write: two hooks may end at once.
    if (!fd || ::write(fd.get(), line.data(), line.size()) != static_cast<ssize_t>(line.size())) {
        log.warn("no history line was written", {{"file", path}, {"why", std::strerror(errno)}});
    }
}

void report(const Verdict& verdict, const Env* env, Log& log, const std::string& hook,
            std::chrono::steady_clock::time_point start) {
    const auto total = std::chrono::duration_cast<std::chrono::milliseconds>(
        std::chrono::steady_clock::now() - start);
    const int code = static_cast<int>(verdict.code);
    log.write(code == 0 ? LogLevel::info : LogLevel::error, "verdict",
              {{"exit", std::to_string(code)},
               {"rule", verdict.rule},
               {"verdict", verdict.text},
               {"next", verdict.next},
               {"took_ms", std::to_string(total.count())}});
    if (env == nullptr || env->dry_run) {
        return;
    }
    const Log::Field fields[] = {
        {"time", utc_timestamp()},
        {"hook", hook},
        {"run", log.run_id()},
        {"arguments", fmt::format("{}", fmt::join(env->arguments, " "))},
        {"rule", verdict.rule},
        {"exit", std::to_string(code)},
        {"verdict", verdict.text},
        {"next", verdict.next},
        {"took_ms", std::to_string(total.count())},
        {"steps_ms", env->timings.text()},
    };
    append_history(env->state_dir, logfmt(std::begin(fields), std::end(fields)) + "\n", log);
}

}  // namespace

void Timings::add(const std::string& what, std::chrono::nanoseconds took) {
    steps_.emplace_back(what, std::chrono::duration_cast<std::chrono::milliseconds>(took).count());
}

std::string Timings::text() const {
    std::string out;
    for (const auto& [what, milliseconds] : steps_) {
        out += fmt::format("{}{}:{}", out.empty() ? "" : ",", what, milliseconds);
    }
    return out;
}

PgpoolConf pgpool_conf_now(const Env& env) {
    const std::string text =
        read_config_file(env.pgpool.path, "pgpool.conf", "It was there when this run began.");
    return parse_pgpool_conf(ConfFile::parse(text, env.pgpool.path), env.pgpool.path);
}

int run_hook(const HookSpec& spec, int argc, char** argv) {
    const auto start = std::chrono::steady_clock::now();
    reset_inherited_state();
    Log log(spec.text.name);
    std::optional<Env> env;
    Verdict verdict;
    try {
        Options options = parse_options(argc, argv);
        if (options.help) {
            std::fputs(help_text(spec.text).c_str(), stdout);
            return 0;
        }
        if (options.version) {
            std::fputs(version_text(spec.text.name).c_str(), stdout);
            return 0;
        }
        install_cancellation();
        const std::string path = config_path(options);
        Config config = load_config(path);
        log.set_level(
            parse_log_level(options.log_level.empty() ? config.log_level : options.log_level)
                .value_or(LogLevel::info));
        if (config.syslog) {
            log.enable_syslog();
        }
        PgpoolConf pgpool = load_pgpool_conf(config, spec.needs_pgpool_conf);
        const Deadline deadline = spec.deadline(config);
        env.emplace(Env{spec.text.name,
                        log,
                        std::move(config),
                        std::move(pgpool),
                        deadline,
                        options.dry_run,
                        options.worker,
                        path,
                        {},
                        options.words,
                        {},
                        {},
                        false,
                        false,
                        options.job});
        env->state_dir = options.dry_run ? std::string() : find_state_dir(env->config, log);
        log.info("called", {{"arguments", fmt::format("[{}]", fmt::join(options.words, "] ["))}});
        verdict = spec.body(options.words, *env);
    } catch (const Error& error) {
        verdict = verdict_of_error(error, env ? &*env : nullptr);
    } catch (const Interrupted& interrupted) {
        verdict.code = ExitCode::interrupted;
        verdict.text = fmt::format("stopped by signal {}, {}", interrupted.signal,
                                   env ? effects_of(*env) : "nothing was changed");
        verdict.next = "Run it again: the next run looks at what is there and goes on from it.";
    } catch (const std::exception& error) {
        verdict.code = ExitCode::internal;
        verdict.text = fmt::format("internal error: {}", error.what());
        verdict.next = "Please report it with this log.";
    }
    report(verdict, env ? &*env : nullptr, log, spec.text.name, start);
    return static_cast<int>(verdict.code);
}

}  // namespace hooks
