// mlx-rs seeds its generator from this macOS clock; Linux has none by the name.
#include <chrono>
#include <cstdint>

extern "C" uint64_t mach_approximate_time(void) {
  auto now = std::chrono::steady_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::nanoseconds>(now).count();
}
