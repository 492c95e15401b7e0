// failover_command: a node was detached. If it was the primary, the best standby takes its place.
#include "common/app/run_hook.h"
#include "failover_command/failover.h"
#include "failover_command/jobs.h"

int main(int argc, char** argv) {
    using namespace hooks;
    HookSpec spec{hook_text("failover_command")};
    spec.deadline = [](const Config& config) { return Deadline::after(config.failover_timeout); };
    spec.body = [](const Arguments& words, Env& env) {
        return env.worker ? failover::run_job(words, env) : failover::Failover(words, env).run();
    };
    return run_hook(spec, argc, argv);
}
