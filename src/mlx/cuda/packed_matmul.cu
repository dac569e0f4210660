// x · wᵀ for few rows of x and affine-quantised w, on tensor cores.
//
// A warp holds TALL tiles of 16 rows of w and multiplies them with WIDE tiles
// of 8 rows of x; the warps of a block share the columns and add up at the
// end. A product does not mind the order of its terms: each thread takes 32
// neighbours of a row, so that it reads w in 16 bytes at a time.
//
// Before this text stand the constants BITS, GROUP, TALL, WIDE, WARPS
// and HALF, and the type T: __half where HALF, else __nv_bfloat16.

// Columns that the four threads of a row take at once, and each of them.
constexpr int CHUNK = 128;
constexpr int OWN = 32;
constexpr int ROWS = 16 * TALL;

__device__ inline uint32_t pair(float low, float high) {
  if constexpr (HALF) {
    const __half2 both = __floats2half2_rn(low, high);
    return *reinterpret_cast<const uint32_t*>(&both);
  } else {
    const __nv_bfloat162 both = __floats2bfloat162_rn(low, high);
    return *reinterpret_cast<const uint32_t*>(&both);
  }
}

// Two numbers of 4 bits, in the low ends of the halves of `bits`, times scale
// plus bias. With the exponent of 128 (1024 for __half) in front, the bits are
// exactly that much more than the number.
__device__ inline uint32_t scaled(uint32_t bits, uint32_t scale, uint32_t bias) {
  uint32_t result = (bits & 0x000f000fu) | (HALF ? 0x64006400u : 0x43004300u);
  if constexpr (HALF) {
    const uint32_t offset = 0x64006400u;
    asm("sub.f16x2 %0, %0, %1;" : "+r"(result) : "r"(offset));
    asm("fma.rn.f16x2 %0, %0, %1, %2;" : "+r"(result) : "r"(scale), "r"(bias));
  } else {
    // -1 · offset + number: sub.bf16x2 wants newer devices than fma does.
    const uint32_t offset = 0xc300c300u;
    const uint32_t one = 0x3f803f80u;
    asm("fma.rn.bf16x2 %0, %0, %1, %2;" : "+r"(result) : "r"(one), "r"(offset));
    asm("fma.rn.bf16x2 %0, %0, %1, %2;" : "+r"(result) : "r"(scale), "r"(bias));
  }
  return result;
}

// What a thread takes of one row of w in a chunk.
struct Packed {
  uint4 words[BITS / 4];
  T scale;
  T bias;

  __device__ void read(const uint32_t* w, const T* scales, const T* biases, int columns, int row, int chunk) {
    const int part = threadIdx.x % 4;
    const int64_t word = static_cast<int64_t>(row) * (columns / (32 / BITS)) + (chunk * CHUNK + part * OWN) * BITS / 32;
#pragma unroll
    for (int i = 0; i < BITS / 4; ++i) {
      words[i] = reinterpret_cast<const uint4*>(w + word)[i];
    }
    const int64_t group = static_cast<int64_t>(row) * (columns / GROUP) + (chunk * CHUNK + part * OWN) / GROUP;
    scale = scales[group];
    bias = biases[group];
  }

  // Numbers 8 · `eight` to 8 · `eight` + 7, in the pairs 0 and 4, 1 and 5, 2
  // and 6, 3 and 7.
  __device__ void unpack(uint32_t (&to)[4], int eight) const {
    if constexpr (BITS == 4) {
      const uint32_t word = reinterpret_cast<const uint32_t*>(words)[eight];
      const uint16_t s = *reinterpret_cast<const uint16_t*>(&scale);
      const uint16_t b = *reinterpret_cast<const uint16_t*>(&bias);
      const uint32_t ss = s * 0x10001u;
      const uint32_t bb = b * 0x10001u;
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        to[i] = scaled(word >> (4 * i), ss, bb);
      }
    } else {
      const float s = static_cast<float>(scale);
      const float b = static_cast<float>(bias);
      const uint32_t low = reinterpret_cast<const uint32_t*>(words)[2 * eight];
      const uint32_t high = reinterpret_cast<const uint32_t*>(words)[2 * eight + 1];
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        const float one = static_cast<float>((low >> (8 * i)) & 0xffu);
        const float other = static_cast<float>((high >> (8 * i)) & 0xffu);
        to[i] = pair(fmaf(one, s, b), fmaf(other, s, b));
      }
    }
  }
};

__device__ inline void
multiply(float (&sums)[4], uint32_t a0, uint32_t a1, uint32_t a2, uint32_t a3, uint32_t b0, uint32_t b1) {
  if constexpr (HALF) {
    asm("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
        : "+f"(sums[0]), "+f"(sums[1]), "+f"(sums[2]), "+f"(sums[3])
        : "r"(a0), "r"(a1), "r"(a2), "r"(a3), "r"(b0), "r"(b1));
  } else {
    asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
        : "+f"(sums[0]), "+f"(sums[1]), "+f"(sums[2]), "+f"(sums[3])
        : "r"(a0), "r"(a1), "r"(a2), "r"(a3), "r"(b0), "r"(b1));
  }
}

__device__ inline void packed_matmul(
    const T* x,
    const uint32_t* w,
    const T* scales,
    const T* biases,
    T* out,
    int x_rows,
    int w_rows,
    int columns) {
  const int chunks = columns / CHUNK;
  const int warp = threadIdx.x / 32;
  const int lane = threadIdx.x % 32;
  const int line = lane / 4;
  const int part = lane % 4;
  const int first = blockIdx.x * ROWS;
  float sums[TALL][WIDE][4] = {};

  Packed next[TALL][2];
  int chunk = warp;
  if (chunk < chunks) {
#pragma unroll
    for (int m = 0; m < TALL; ++m) {
      next[m][0].read(w, scales, biases, columns, first + m * 16 + line, chunk);
      next[m][1].read(w, scales, biases, columns, first + m * 16 + 8 + line, chunk);
    }
  }
  while (chunk < chunks) {
    Packed now[TALL][2];
#pragma unroll
    for (int m = 0; m < TALL; ++m) {
      now[m][0] = next[m][0];
      now[m][1] = next[m][1];
    }
    const int64_t column = chunk * CHUNK + part * OWN;
    chunk += WARPS;
    if (chunk < chunks) {
#pragma unroll
      for (int m = 0; m < TALL; ++m) {
        next[m][0].read(w, scales, biases, columns, first + m * 16 + line, chunk);
        next[m][1].read(w, scales, biases, columns, first + m * 16 + 8 + line, chunk);
      }
    }
#pragma unroll
    for (int eight = 0; eight < OWN / 8; ++eight) {
      uint32_t upper[TALL][4], lower[TALL][4];
#pragma unroll
      for (int m = 0; m < TALL; ++m) {
        now[m][0].unpack(upper[m], eight);
        now[m][1].unpack(lower[m], eight);
      }
#pragma unroll
      for (int n = 0; n < WIDE; ++n) {
        const int row = n * 8 + line;
        uint4 own = {0u, 0u, 0u, 0u};
        if (row < x_rows) {
          own = *reinterpret_cast<const uint4*>(x + row * static_cast<int64_t>(columns) + column + eight * 8);
        }
        // The same pairs as `unpack` makes.
        const uint32_t b0 = __byte_perm(own.x, own.z, 0x5410);
        const uint32_t b1 = __byte_perm(own.x, own.z, 0x7632);
        const uint32_t b2 = __byte_perm(own.y, own.w, 0x5410);
        const uint32_t b3 = __byte_perm(own.y, own.w, 0x7632);
#pragma unroll
        for (int m = 0; m < TALL; ++m) {
          multiply(sums[m][n], upper[m][0], lower[m][0], upper[m][1], lower[m][1], b0, b1);
          multiply(sums[m][n], upper[m][2], lower[m][2], upper[m][3], lower[m][3], b2, b3);
        }
      }
    }
  }

  __shared__ float shared[WARPS][WIDE * 8][ROWS];
#pragma unroll
  for (int m = 0; m < TALL; ++m) {
#pragma unroll
    for (int n = 0; n < WIDE; ++n) {
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        shared[warp][n * 8 + part * 2 + i % 2][m * 16 + line + i / 2 * 8] = sums[m][n][i];
      }
    }
  }
  __syncthreads();
  for (int i = threadIdx.x; i < WIDE * 8 * ROWS; i += WARPS * 32) {
    const int row = i / ROWS;
    if (row >= x_rows) {
      return;
    }
    float sum = 0.0f;
#pragma unroll
    for (int other = 0; other < WARPS; ++other) {
      sum += shared[other][row][i % ROWS];
    }
    out[static_cast<int64_t>(row) * w_rows + first + i % ROWS] = static_cast<T>(sum);
  }
}
