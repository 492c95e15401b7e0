// What a hook inherits from pgpool, and how it is asked to stop.
//
// Pgpool's main process runs failover_command with every signal blocked, SIGPIPE ignored and its
// listening sockets open (pgpool_main.c: POOL_SETMASK(&BlockSig) around failover(); no CLOEXEC).
// Left like that, no timeout would ever fire, children could only be ended by SIGKILL, and a
// server started from here would keep pgpool's port busy.
#pragma once

namespace hooks {

// The first act of every executable: empty signal mask; SIGPIPE, SIGHUP, SIGCHLD and the rest
// back to default; descriptors above 2 closed; 0, 1 and 2 opened on /dev/null where they are
// closed. SIGPIPE is then ignored by this process itself (libpq and pipes); children get the
// default back.
void reset_inherited_state();

// From here on SIGINT, SIGTERM, SIGQUIT and SIGHUP make cancel_fd() readable instead of ending
// the process. (Pgpool sends them to follow_primary_command when it is stopped.)
void install_cancellation();

// Readable once a stop was asked for, and from then on; -1 before install_cancellation(). Every
// poll set of this project contains it. Any thread may poll it.
int cancel_fd();

// Throws Interrupted when a stop was asked for.
void throw_if_cancelled();

// As long as one of these lives, a stop that was asked for is not heeded: what must be put back is
// put back first. For waits of a few seconds, each with its deadline.
class FinishFirst {
  public:
    FinishFirst();
    ~FinishFirst();
    FinishFirst(const FinishFirst&) = delete;
    FinishFirst& operator=(const FinishFirst&) = delete;
};

}  // namespace hooks
