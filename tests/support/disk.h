// A disk of its own for one node: a small tmpfs, inside a sandbox only.
#pragma once

#include <string>

#include "tests/support/place.h"

namespace hooks::harness {

void mount_disk(const std::string& directory, int megabytes, const Account& owner);
void unmount_disk(const std::string& directory);
// To the last byte, until free_disk().
void fill_disk(const std::string& directory);
void free_disk(const std::string& directory);
// Fails while anybody has a file open for writing there.
void set_disk_read_only(const std::string& directory, bool read_only);

}  // namespace hooks::harness
