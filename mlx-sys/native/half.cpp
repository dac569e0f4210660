// 16-bit float accessors where mlx-c declares none (its half.h is Arm only).
// The bits travel as integers, which is how mlx-rs reads them.
#include <cstdint>
#include "mlx/c/error.h"
#include "mlx/c/private/mlx.h"

namespace {
template <class Half>
int item(uint16_t* result, mlx_array array) {
  try {
    Half value = mlx_array_get_(array).item<Half>();
    static_assert(sizeof(Half) == sizeof(uint16_t));
    std::memcpy(result, &value, sizeof(value));
  } catch (std::exception& e) {
    mlx_error(e.what());
    return 1;
  }
  return 0;
}
template <class Half>
const uint16_t* data(mlx_array array) {
  try {
    return reinterpret_cast<const uint16_t*>(mlx_array_get_(array).data<Half>());
  } catch (std::exception& e) {
    mlx_error(e.what());
    return nullptr;
  }
}
} // namespace

extern "C" int mlx_array_item_float16(uint16_t* result, mlx_array array) {
  return item<mlx::core::float16_t>(result, array);
}
extern "C" int mlx_array_item_bfloat16(uint16_t* result, mlx_array array) {
  return item<mlx::core::bfloat16_t>(result, array);
}
extern "C" const uint16_t* mlx_array_data_float16(mlx_array array) {
  return data<mlx::core::float16_t>(array);
}
extern "C" const uint16_t* mlx_array_data_bfloat16(mlx_array array) {
  return data<mlx::core::bfloat16_t>(array);
}
