// x · wᵀ for one row of x and dense w: as fast as w can be read.
//
// A warp takes LINES rows of w; its threads share the columns, 8 neighbours
// each, and read BATCH of those of each row before they compute.
//
// Before this text stand the constants COLUMNS (a multiple of 8), LINES and
// HALF, and the type T: __half where HALF, else __nv_bfloat16.

constexpr int WARPS = 8;
constexpr int EIGHTS = COLUMNS / 8;
constexpr int BATCH = 8 / LINES;

__device__ inline void widen(float (&to)[8], uint4 eight) {
  const uint32_t words[4] = {eight.x, eight.y, eight.z, eight.w};
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    if constexpr (HALF) {
      const float2 both = __half22float2(*reinterpret_cast<const __half2*>(&words[i]));
      to[2 * i] = both.x;
      to[2 * i + 1] = both.y;
    } else {
      to[2 * i] = __uint_as_float(words[i] << 16);
      to[2 * i + 1] = __uint_as_float(words[i] & 0xffff0000u);
    }
  }
}

__device__ inline void dense_row(const T* x, const T* w, T* out, int w_rows) {
  const int lane = threadIdx.x % 32;
  const int first = (blockIdx.x * WARPS + threadIdx.x / 32) * LINES;
  if (first >= w_rows) {
    return;
  }
  const uint4* lines[LINES];
#pragma unroll
  for (int l = 0; l < LINES; ++l) {
    const int64_t row = min(first + l, w_rows - 1);
    lines[l] = reinterpret_cast<const uint4*>(w + row * COLUMNS);
  }
  float sums[LINES] = {};
  for (int start = lane; start < EIGHTS; start += 32 * BATCH) {
    uint4 read[BATCH][LINES];
#pragma unroll
    for (int b = 0; b < BATCH; ++b) {
#pragma unroll
      for (int l = 0; l < LINES; ++l) {
        const int at = start + b * 32;
        read[b][l] = at < EIGHTS ? __ldcs(lines[l] + at) : uint4{0u, 0u, 0u, 0u};
      }
    }
#pragma unroll
    for (int b = 0; b < BATCH; ++b) {
      float numbers[8];
      widen(numbers, reinterpret_cast<const uint4*>(x)[min(start + b * 32, EIGHTS - 1)]);
#pragma unroll
      for (int l = 0; l < LINES; ++l) {
        float own[8];
        widen(own, read[b][l]);
#pragma unroll
        for (int e = 0; e < 8; ++e) {
          sums[l] = fmaf(own[e], numbers[e], sums[l]);
        }
      }
    }
  }
#pragma unroll
  for (int l = 0; l < LINES; ++l) {
    for (int step = 16; step > 0; step /= 2) {
      sums[l] += __shfl_xor_sync(0xffffffffu, sums[l], step);
    }
    if (lane == 0 && first + l < w_rows) {
      out[first + l] = static_cast<T>(sums[l]);
    }
  }
}
