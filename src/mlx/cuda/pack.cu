// Records of rows: codes, and what turns them into numbers. A warp a row.
//
// Before this text stand the type T and the constants WIDTH (numbers of a row, a
// multiple of 32), BITS, WORDS (of a record), CODE_WORDS, GROUP (numbers that
// share a scale and a bias; 0 where a row has one length) and CODEBOOK, with the
// radius WIDTH^0.5.

constexpr int WARPS = 4;
constexpr int EACH = WIDTH / 32;
constexpr int LEVELS = 1 << BITS;
// Numbers of a group that a lane holds, and groups of a row.
constexpr int OF_GROUP = GROUP > 0 ? GROUP / 32 : EACH;
constexpr int GROUPS = EACH / OF_GROUP;

__device__ inline float over_warp(float x, bool largest) {
  for (int step = 16; step > 0; step /= 2) {
    const float other = __shfl_xor_sync(0xffffffffu, x, step);
    x = largest ? fmaxf(x, other) : x + other;
  }
  return x;
}

__device__ inline __half finite(float x) {
  return __float2half(fminf(fmaxf(x, -65504.0f), 65504.0f));
}

__device__ inline void pack(const T* rows, uint32_t* records, int64_t count) {
  __shared__ unsigned char codes[WARPS][WIDTH];
  const int warp = threadIdx.x / 32;
  const int lane = threadIdx.x % 32;
  const int64_t row = static_cast<int64_t>(blockIdx.x) * WARPS + warp;
  if (row >= count) {
    return;
  }
  const T* from = rows + row * WIDTH;
  uint32_t* record = records + row * WORDS;
  float x[EACH];
#pragma unroll
  for (int i = 0; i < EACH; ++i) {
    x[i] = static_cast<float>(from[i * 32 + lane]);
  }
  if constexpr (GROUP > 0) {
#pragma unroll
    for (int g = 0; g < GROUPS; ++g) {
      float least = x[g * OF_GROUP];
      float greatest = least;
#pragma unroll
      for (int i = 1; i < OF_GROUP; ++i) {
        least = fminf(least, x[g * OF_GROUP + i]);
        greatest = fmaxf(greatest, x[g * OF_GROUP + i]);
      }
      least = -over_warp(-least, true);
      greatest = over_warp(greatest, true);
      const __half bias = finite(least);
      const __half scale = finite((greatest - least) / (LEVELS - 1));
      const float step = __half2float(scale);
      const float inverse = step > 0.0f ? 1.0f / step : 0.0f;
#pragma unroll
      for (int i = 0; i < OF_GROUP; ++i) {
        const float code = rintf((x[g * OF_GROUP + i] - __half2float(bias)) * inverse);
        const int column = (g * OF_GROUP + i) * 32 + lane;
        codes[warp][column] = static_cast<unsigned char>(fminf(fmaxf(code, 0.0f), LEVELS - 1));
      }
      if (lane == 0) {
        record[CODE_WORDS + g] = static_cast<uint32_t>(__half_as_ushort(scale)) |
            static_cast<uint32_t>(__half_as_ushort(bias)) << 16;
      }
    }
  } else {
    float sum = 0.0f;
#pragma unroll
    for (int i = 0; i < EACH; ++i) {
      sum += x[i] * x[i];
    }
    const float length = sqrtf(over_warp(sum, false));
    const float inverse = length > 0.0f ? 1.0f / length : 0.0f;
#pragma unroll
    for (int i = 0; i < EACH; ++i) {
      int code = 0;
#pragma unroll
      for (int c = 0; c + 1 < LEVELS; ++c) {
        code += x[i] * inverse > 0.5f * (CODEBOOK[c] + CODEBOOK[c + 1]);
      }
      codes[warp][i * 32 + lane] = static_cast<unsigned char>(code);
    }
    if (lane == 0) {
      record[CODE_WORDS] = __float_as_uint(length);
    }
  }
  __syncwarp();
  for (int word = lane; word < CODE_WORDS; word += 32) {
    uint32_t bits = 0;
    for (int bit = 0; bit < 32; ++bit) {
      const int at = word * 32 + bit;
      bits |= static_cast<uint32_t>(codes[warp][at / BITS] >> (at % BITS) & 1) << bit;
    }
    record[word] = bits;
  }
}
