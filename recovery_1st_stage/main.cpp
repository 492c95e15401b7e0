// recovery_1st_stage: rebuild the data directory of a node as a standby of this primary. Run by
// the pgpool_recovery extension in a backend of the primary; pgpool_remote_start comes next.
#include "common/app/rejoin_job.h"
#include "common/app/run_hook.h"
#include "recovery_1st_stage/find_primary.h"

int main(int argc, char** argv) {
    using namespace hooks;
    HookSpec spec{hook_text("recovery_1st_stage")};
    spec.needs_pgpool_conf = false;
    spec.deadline = [](const Config& config) {
        return config.recovery_timeout ? Deadline::after(*config.recovery_timeout)
                                       : Deadline::never();
    };
    spec.body = [](const Arguments& words, Env& env) {
        const recovery::Request request = recovery::parse_request(words, env.pgpool);
        return run_rejoin({recovery::find_primary(request, env), request.target, true, false}, env);
    };
    return run_hook(spec, argc, argv);
}
