#include "common/io/poll.h"

#include <poll.h>

#include <cerrno>
#include <cstring>

#include "common/core/error.h"
#include "common/io/signals.h"

namespace hooks {

short wait_for_fd(int fd, short events, Deadline deadline) {
    for (;;) {
        throw_if_cancelled();
        // poll(2) skips negative descriptors, so neither of the two needs a special case.
        pollfd set[] = {{fd, events, 0}, {cancel_fd(), POLLIN, 0}};
        const int count = ::poll(set, 2, deadline.poll_timeout());
        if (count < 0 && errno != EINTR) {
            throw Error(ErrorKind::internal, std::string("poll: ") + std::strerror(errno));
        }
        if (count > 0 && set[0].revents != 0) {
            return set[0].revents;
        }
        if (count == 0 && deadline.expired()) {
            return 0;
        }
    }
}

void pause_for(std::chrono::milliseconds span, Deadline deadline) {
    wait_for_fd(-1, 0, deadline.within(span));
}

}  // namespace hooks
