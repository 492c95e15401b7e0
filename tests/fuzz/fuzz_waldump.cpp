#include <cstddef>
#include <cstdint>

#include "tests/fuzz/exercise.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    hooks::exercise_waldump({reinterpret_cast<const char*>(data), size});
    return 0;
}
