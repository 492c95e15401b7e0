#include "tests/support/disk.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <vector>

#include "common/io/unique_fd.h"
#include "tests/support/sandbox.h"

namespace hooks::harness {
namespace {

std::string ballast(const std::string& directory) {
    return directory + "/ballast";
}

[[noreturn]] void fail(const std::string& what) {
    throw HarnessError(what + ": " + std::strerror(errno));
}

}  // namespace

void mount_disk(const std::string& directory, int megabytes, const Account& owner) {
    if (!in_sandbox()) {
        throw HarnessError("a node with a disk of its own needs a sandbox (run_in_sandbox)");
    }
    const std::string options = "mode=0755,size=" + std::to_string(megabytes) +
                                "m,uid=" + std::to_string(owner.uid) +
                                ",gid=" + std::to_string(owner.gid);
    if (::mount("tmpfs", directory.c_str(), "tmpfs", MS_NOSUID | MS_NODEV, options.c_str()) != 0) {
        fail("mount tmpfs on " + directory);
    }
}

void unmount_disk(const std::string& directory) {
    ::umount2(directory.c_str(), MNT_DETACH);
}

void fill_disk(const std::string& directory) {
    const UniqueFd fd(
        ::open(ballast(directory).c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
    if (!fd) {
        fail("open " + ballast(directory));
    }
    // Half a piece when there is no room for a whole one.
    std::vector<char> piece(std::size_t{1} << 20, 'x');
    for (std::size_t size = piece.size(); size > 0;) {
        if (::write(fd.get(), piece.data(), size) <= 0) {
            if (errno != ENOSPC) {
                fail("write " + ballast(directory));
            }
            size /= 2;
        }
    }
}

void free_disk(const std::string& directory) {
    if (::unlink(ballast(directory).c_str()) != 0 && errno != ENOENT) {
        fail("unlink " + ballast(directory));
    }
}

void set_disk_read_only(const std::string& directory, bool read_only) {
    unsigned long flags = MS_REMOUNT | MS_NOSUID | MS_NODEV;
    if (read_only) {
        flags |= MS_RDONLY;
    }
    if (::mount("tmpfs", directory.c_str(), "tmpfs", flags, nullptr) != 0) {
        fail("remount " + directory);
    }
}

}  // namespace hooks::harness
