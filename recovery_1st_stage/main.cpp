// recovery_1st_stage: rebuild the data directory of a node as a standby of this primary. Run by
// the pgpool_recovery extension in a backend of the primary; pgpool_remote_start comes next.
#include "common/app/rejoin_job.h"
#include "common/app/run_hook.h"
#include "recovery_1st_stage/request.h"

int main(int argc, char** argv) {
    using namespace hooks;
    HookSpec spec;
    spec.name = "recovery_1st_stage";
    spec.summary =
        "make a node's data directory a standby of this primary, by pg_rewind or base backup";
    spec.arguments =
        "PRIMARY_DATADIR DEST_HOST DEST_DATADIR PRIMARY_PORT [DEST_NODE_ID [DEST_PORT "
        "[PRIMARY_HOST]]]";
    spec.called_as = "recovery_1st_stage_command = 'recovery_1st_stage'   (a wrapper in PGDATA)";
    spec.needs_pgpool_conf = false;
    spec.deadline = [](const Config& config) {
        return config.recovery_timeout ? Deadline::after(*config.recovery_timeout)
                                       : Deadline::never();
    };
    spec.body = [](const Arguments& words, Env& env) {
        const recovery::Request request = recovery::parse_request(words, env.pgpool);
        return run_rejoin({request.source, request.target, true, false}, env);
    };
    return run_hook(spec, argc, argv);
}
