// The end of a cluster that has no sandbox to die with.
#pragma once

#include <string>

namespace hooks::harness {

// Ends every server below `base` and whatever its hooks have started, each by its process id, and
// frees the shared memory of servers that were killed. All it goes by are the files below `base`,
// so any process of the same account (or root) can do it. Somebody who only looks at the files,
// in a shell or an editor, is left alone. Throws HarnessError when something cannot be ended.
void end_cluster(const std::string& base);

// A postmaster that was killed leaves a System V segment, which its next start in the same data
// directory would remove. For a data directory that is about to go instead.
void free_shared_memory(const std::string& data_directory);

}  // namespace hooks::harness
