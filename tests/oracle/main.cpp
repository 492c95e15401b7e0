#include <grp.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>

#include "tests/support/place.h"
#include "tests/support/sandbox.h"

namespace {

// The servers do not run as root, and what looks at their files is who owns them.
bool become_server_account() {
    const hooks::harness::Account account = hooks::harness::Account::for_servers();
    return ::geteuid() == account.uid ||
           (::initgroups(account.name.c_str(), account.gid) == 0 && ::setgid(account.gid) == 0 &&
            ::setuid(account.uid) == 0 && ::chdir(account.home.c_str()) == 0);
}

}  // namespace

int main(int argc, char** argv) {
    ::testing::InitGoogleTest(&argc, argv);
    return hooks::harness::run_in_sandbox([] {
        if (!become_server_account()) {
            std::perror("becoming the server account");
            return 1;
        }
        return RUN_ALL_TESTS();
    });
}
