// The part that is the same in every executable: inherited state, options, configuration, log,
// deadline, verdict, history, exit code.
#pragma once

#include "common/app/env.h"
#include "common/core/help_text.h"

namespace hooks {

struct HookSpec {
    const HookText& text;
    bool needs_pgpool_conf = true;
    std::function<Deadline(const Config&)> deadline = {};
    std::function<Verdict(const Arguments&, Env&)> body = {};
};

// Never throws. Ends with one verdict line in the log and one line in the history.
int run_hook(const HookSpec& spec, int argc, char** argv);

// Logs the decision, then performs the steps of a plan in order; with --dry-run it prints the
// decision to stdout and performs nothing. `perform` returns false when the plan must not go on
// because the facts changed (LookAgain). An Error that leaves it carries the step as context.
enum class Carried { out, interrupted_for_new_look, nothing, refused, dry_run };
Carried carry_out(const Decision& decision, Env& env,
                  const std::function<bool(const Step&)>& perform);

// pgpool.conf as it is now: a worker may have begun hours ago. Throws Error{config}.
PgpoolConf pgpool_conf_now(const Env& env);

// "nothing was changed", or "after: stop the server of node 0 (fast)".
std::string effects_of(const Env& env);

// The verdict for a decision that changed nothing, or whose plan was carried out.
Verdict verdict_of(const Decision& decision, Carried carried, std::string done_text,
                   const Env& env);

}  // namespace hooks
