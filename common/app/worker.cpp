#include "common/app/worker.h"

#include <unistd.h>

#include <climits>
#include <cstdlib>

#include "common/io/process.h"

namespace hooks {

namespace {

// An absolute path each, as the worker runs in another directory.
std::string self() {
    char path[PATH_MAX] = {};
    if (::readlink("/proc/self/exe", path, sizeof(path) - 1) < 0) {
        throw Error(ErrorKind::internal, "cannot tell the path of this executable");
    }
    return path;
}

std::string config_path(const Env& env) {
    char path[PATH_MAX] = {};
    if (::realpath(env.config_path.c_str(), path) == nullptr) {
        throw Error(ErrorKind::internal, "cannot tell the path of " + env.config_path);
    }
    return path;
}

Worker spawn(const Env& env, std::string executable, const std::vector<std::string>& options,
             const Arguments& words, const std::string& log_name) {
    Command command;
    command.argv = {std::move(executable), "--config", config_path(env)};
    command.argv.insert(command.argv.end(), options.begin(), options.end());
    command.argv.insert(command.argv.end(), words.begin(), words.end());
    Worker worker;
    worker.log = env.state_dir.empty() ? "/dev/null" : env.state_dir + "/" + log_name;
    worker.pid = spawn_detached(command, worker.log);
    return worker;
}

}  // namespace

Worker spawn_worker(const Env& env, const std::vector<std::string>& options,
                    const std::string& log_name) {
    return spawn(env, self(), options, env.arguments, log_name);
}

Worker spawn_rejoin_worker(const Env& env, const Backend& node, const Backend& primary) {
    const std::string path = self();
    const std::string id = std::to_string(node.id);
    const std::string port = std::to_string(node.port);
    return spawn(
        env, path.substr(0, path.rfind('/') + 1) + "follow_primary_command", {"--worker"},
        {id, node.host, port, node.data_directory, std::to_string(primary.id), primary.host, "0",
         id, std::to_string(primary.port), primary.data_directory, node.host, port},
        "worker-node" + id + ".log");
}

bool wants_rejoin(const Env& env) {
    return env.config.rejoin_old_primary && env.pgpool.follows;
}

}  // namespace hooks
