// failover_command: a node was detached. If it was the primary, the best standby takes its place.
#include "common/app/run_hook.h"
#include "failover_command/failover.h"
#include "failover_command/jobs.h"

int main(int argc, char** argv) {
    using namespace hooks;
    HookSpec spec;
    spec.name = "failover_command";
    spec.summary = "a node was detached; if it was the primary, promote the best standby";
    spec.arguments = "%d %h %p \"%D\" %m %H %M %P %r \"%R\" %N %S";
    const std::string line = pool_command_line("failover_command");
    spec.called_as = line.c_str();
    spec.deadline = [](const Config& config) { return Deadline::after(config.failover_timeout); };
    spec.body = [](const Arguments& words, Env& env) {
        return env.worker ? failover::run_job(words, env) : failover::Failover(words, env).run();
    };
    return run_hook(spec, argc, argv);
}
