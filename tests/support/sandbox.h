// Namespaces of its own for a test program, so that whatever a test starts dies with it.
#pragma once

#include <functional>

namespace hooks::harness {

// Runs `body` in a child inside new pid, mount, network and ipc namespaces and returns what it
// returned. Process 1 in there reaps every orphan at once; when the test ends or this process is
// killed, by whatever signal, the kernel ends everything that is left in there. The home directory
// of the server account, /dev/shm and the run-time directories are private and empty.
// Needs root; says so on stderr and returns 1 when it cannot be had.
int run_in_sandbox(const std::function<int()>& body);

// True below run_in_sandbox().
bool in_sandbox();

// Ends every process in here except process 1 and this one. Does nothing outside of a sandbox.
void end_everything_else_in_sandbox();

}  // namespace hooks::harness
