#include "common/app/worker.h"

#include <unistd.h>

#include <climits>
#include <cstdlib>

#include "common/io/process.h"

namespace hooks {

Worker spawn_worker(const Env& env, const std::vector<std::string>& options,
                    const std::string& log_name) {
    char self[PATH_MAX] = {};
    char config[PATH_MAX] = {};
    if (::readlink("/proc/self/exe", self, sizeof(self) - 1) < 0 ||
        ::realpath(env.config_path.c_str(), config) == nullptr) {
        throw Error(ErrorKind::internal, "cannot tell the path of this executable");
    }
    Command command;
    command.argv = {self, "--config", config};
    command.argv.insert(command.argv.end(), options.begin(), options.end());
    command.argv.insert(command.argv.end(), env.arguments.begin(), env.arguments.end());
    Worker worker;
    worker.log = env.state_dir.empty() ? "/dev/null" : env.state_dir + "/" + log_name;
    worker.pid = spawn_detached(command, worker.log);
    return worker;
}

}  // namespace hooks
