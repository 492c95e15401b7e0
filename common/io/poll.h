// The one way in which this library waits for a descriptor: with a deadline, and woken up by a
// signal that asks the process to stop.
#pragma once

#include <chrono>

#include "common/core/deadline.h"

namespace hooks {

// Waits until `fd` shows one of `events` (POLLIN, POLLOUT) or an error, and returns what poll(2)
// reported; 0 when the deadline came first. Throws Interrupted when a stop was asked for.
// A negative `fd` waits for the deadline alone.
short wait_for_fd(int fd, short events, Deadline deadline);

// Sleeps for `span`, at most until the deadline. Throws Interrupted when a stop was asked for.
void pause_for(std::chrono::milliseconds span, Deadline deadline);

}  // namespace hooks
