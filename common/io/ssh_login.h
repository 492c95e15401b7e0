// From a host name to an SSH session that is logged in. Private to the ssh_*.cpp files, the only
// ones that know libssh.
#pragma once

#include <libssh/libssh.h>

#include <memory>
#include <string>
#include <type_traits>

#include "common/core/deadline.h"
#include "common/io/ssh_session.h"
#include "common/io/unique_fd.h"

namespace hooks {

struct SessionCloser {
    void operator()(ssh_session session) const {
        ssh_disconnect(session);
        ssh_free(session);
    }
};
struct ChannelCloser {
    void operator()(ssh_channel channel) const { ssh_channel_free(channel); }
};
struct EventCloser {
    void operator()(ssh_event event) const { ssh_event_free(event); }
};
using SessionHandle = std::unique_ptr<std::remove_pointer_t<ssh_session>, SessionCloser>;
using ChannelHandle = std::unique_ptr<std::remove_pointer_t<ssh_channel>, ChannelCloser>;
using EventHandle = std::unique_ptr<std::remove_pointer_t<ssh_event>, EventCloser>;

class SshTunnel;

struct SshLogin {
    std::string where;  // "postgres@10.0.0.2 port 22"
    // Before what uses it, so that it is destroyed last. Shared, because it is incomplete here.
    std::shared_ptr<SshTunnel> tunnel;
    // libssh leaves a socket that it was given open: ours to close, after the session.
    UniqueFd fd;
    SessionHandle session;
};

// Throws as the constructor of SshSession does.
SshLogin log_in(const SshOptions& options, Deadline deadline);

// What the next call of libssh may take. Throws Interrupted when a stop was asked for.
void set_budget(const SshLogin& login, Deadline deadline);

// libssh may give up a moment before the deadline that it was given.
bool is_over(Deadline deadline);

// After a timeout libssh has no text for its error.
std::string error_text(ssh_session session);

}  // namespace hooks
