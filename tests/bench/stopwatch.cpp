// bench_stopwatch LOG PROGRAM [ARGUMENT]...: runs a program, both of its outputs go to LOG, and
// prints "NANOSECONDS KILOBYTES EXITCODE": start to exit, and peak memory (of the program or of
// the largest child that it waited for).
//
// A program of its own: between fork and exec a child has the memory of its parent, and that
// counts as the child's peak.
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstring>

int main(int argc, char** argv) {
    if (argc < 3) {
        std::fputs("usage: bench_stopwatch LOG PROGRAM [ARGUMENT]...\n", stderr);
        return 2;
    }
    const int log = ::open(argv[1], O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    const int null = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (log < 0 || null < 0) {
        std::fprintf(stderr, "%s: %s\n", argv[1], std::strerror(errno));
        return 2;
    }
    const auto start = std::chrono::steady_clock::now();
    const pid_t child = ::fork();
    if (child == 0) {
        ::dup2(null, STDIN_FILENO);
        ::dup2(log, STDOUT_FILENO);
        ::dup2(log, STDERR_FILENO);
        ::execv(argv[2], argv + 2);
        std::fprintf(stderr, "%s: %s\n", argv[2], std::strerror(errno));
        ::_exit(127);
    }
    int status = 0;
    rusage usage{};
    while (child > 0 && ::wait4(child, &status, 0, &usage) < 0 && errno == EINTR) {
    }
    const std::chrono::nanoseconds took = std::chrono::steady_clock::now() - start;
    const int code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    std::printf("%lld %ld %d\n", static_cast<long long>(took.count()), usage.ru_maxrss,
                child > 0 ? code : 127);
    return 0;
}
