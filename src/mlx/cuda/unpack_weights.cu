// Affine-quantised weights as numbers, eight neighbours a thread and time.
//
// Before this text stand the constants BITS (4 or 8), GROUP (a multiple of 8),
// BATCH (times) and HALF, and the type T: __half where HALF, else __nv_bfloat16.

constexpr int WORDS = BITS / 4;

struct alignas(16) Eight {
  T at[8];
};

__device__ inline void
unpack_weights(const uint32_t* w, const T* scales, const T* biases, T* out, int64_t eights) {
  const int64_t first = static_cast<int64_t>(blockIdx.x) * blockDim.x * BATCH + threadIdx.x;
  uint32_t words[BATCH][WORDS];
  T scale[BATCH], bias[BATCH];
#pragma unroll
  for (int b = 0; b < BATCH; ++b) {
    const int64_t at = first + b * blockDim.x;
    if (at < eights) {
#pragma unroll
      for (int i = 0; i < WORDS; ++i) {
        words[b][i] = w[at * WORDS + i];
      }
      scale[b] = scales[at * 8 / GROUP];
      bias[b] = biases[at * 8 / GROUP];
    }
  }
#pragma unroll
  for (int b = 0; b < BATCH; ++b) {
    const int64_t at = first + b * blockDim.x;
    if (at < eights) {
      const float s = static_cast<float>(scale[b]);
      const float o = static_cast<float>(bias[b]);
      Eight numbers;
#pragma unroll
      for (int i = 0; i < 8; ++i) {
        const uint32_t code = words[b][i * BITS / 32] >> (i * BITS % 32) & ((1u << BITS) - 1);
        numbers.at[i] = static_cast<T>(fmaf(static_cast<float>(code), s, o));
      }
      reinterpret_cast<Eight*>(out)[at] = numbers;
    }
  }
}
