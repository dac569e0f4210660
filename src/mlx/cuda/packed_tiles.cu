// x · wᵀ for more rows of x than `packed_matmul` serves well, and affine-
// quantised w, on tensor cores.
//
// A block takes TILE rows of w and WIDE tiles of 8 rows of x for some of the
// columns; several blocks share the columns where there would be too few, and
// `add_splits` adds up. The rows of x go through shared memory, which all warps
// of a block read; w goes straight into registers, a chunk early.
//
// Follows packed_matmul.cu, whose constants and reading of w it shares.

constexpr int TILE = WARPS * ROWS;
constexpr int STAGES = 3;
// Eight neighbours of x are what a thread reads at once.
constexpr int EIGHTS = CHUNK / 8;

// Where the eight `at` of a row lies, so that the threads that read at the same
// time find different banks.
__device__ inline int place_of(int row, int at) {
  return row * EIGHTS + ((at % 4 * 4 + at / 4) ^ (row % 2 * 4));
}

__device__ inline void fetch(uint4* to, const T* from, bool exists) {
  const uint32_t address = static_cast<uint32_t>(__cvta_generic_to_shared(to));
  const int bytes = exists ? 16 : 0;
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(address), "l"(from), "r"(bytes));
}

__device__ inline void fetch_done() {
  asm volatile("cp.async.commit_group;");
}

__device__ inline void fetch_rows(uint4* to, const T* x, int columns, int first, int rows, int chunk) {
  for (int i = threadIdx.x; i < WIDE * 8 * EIGHTS; i += WARPS * 32) {
    const int row = i / EIGHTS;
    const int at = i % EIGHTS;
    const bool exists = first + row < rows;
    const T* from = x + static_cast<int64_t>(exists ? first + row : 0) * columns + chunk * CHUNK + at * 8;
    fetch(to + place_of(row, at), from, exists);
  }
}

__device__ inline void
read_w(
    Packed (&to)[TALL][2],
    const uint32_t* w,
    const T* scales,
    const T* biases,
    int columns,
    int first,
    int w_rows,
    int chunk) {
  const int line = threadIdx.x % 32 / 4;
#pragma unroll
  for (int m = 0; m < TALL; ++m) {
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const int row = min(first + m * 16 + half * 8 + line, w_rows - 1);
      to[m][half].read(w, scales, biases, columns, row, chunk);
    }
  }
}

// Writes `parts`, [splits, rows of x, rows of w].
__device__ inline void packed_tiles(
    const T* x,
    const uint32_t* w,
    const T* scales,
    const T* biases,
    float* parts,
    int x_rows,
    int w_rows,
    int columns) {
  const int chunks = columns / CHUNK;
  __shared__ uint4 tiles[STAGES][WIDE * 8 * EIGHTS];
  const int warp = threadIdx.x / 32;
  const int line = threadIdx.x % 32 / 4;
  const int part = threadIdx.x % 4;
  const int first_x = blockIdx.x * WIDE * 8;
  const int first = blockIdx.y * TILE + warp * ROWS;
  const int splits = gridDim.z;
  const int begin = chunks * blockIdx.z / splits;
  const int end = chunks * (blockIdx.z + 1) / splits;

#pragma unroll
  for (int s = 0; s < STAGES - 1; ++s) {
    if (begin + s < end) {
      fetch_rows(tiles[s], x, columns, first_x, x_rows, begin + s);
    }
    fetch_done();
  }
  Packed ahead[TALL][2];
  if (begin < end) {
    read_w(ahead, w, scales, biases, columns, first, w_rows, begin);
  }
  float sums[TALL][WIDE][4] = {};
  int stage = 0;
  for (int chunk = begin; chunk < end; ++chunk) {
    Packed now[TALL][2];
#pragma unroll
    for (int m = 0; m < TALL; ++m) {
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        now[m][half] = ahead[m][half];
      }
    }
    if (chunk + 1 < end) {
      read_w(ahead, w, scales, biases, columns, first, w_rows, chunk + 1);
    }
    asm volatile("cp.async.wait_group %0;" ::"n"(STAGES - 2));
    __syncthreads();
    // Everybody has done with what lay here.
    const int next = chunk + STAGES - 1;
    if (next < end) {
      fetch_rows(tiles[(stage + STAGES - 1) % STAGES], x, columns, first_x, x_rows, next);
    }
    fetch_done();
    const uint4* tile = tiles[stage];
    stage = (stage + 1) % STAGES;
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
        const uint4 own = tile[place_of(n * 8 + line, part * (OWN / 8) + eight)];
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

#pragma unroll
  for (int m = 0; m < TALL; ++m) {
#pragma unroll
    for (int n = 0; n < WIDE; ++n) {
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        const int row = first_x + n * 8 + part * 2 + i % 2;
        const int column = first + m * 16 + line + i / 2 * 8;
        if (row < x_rows && column < w_rows) {
          const int64_t at = static_cast<int64_t>(row) * w_rows + column;
          parts[static_cast<int64_t>(blockIdx.z) * x_rows * w_rows + at] = sums[m][n][i];
        }
      }
    }
  }
}

// Adds up `splits` parts of `size` numbers, four a thread.
__device__ inline void add_splits(const float* parts, T* out, int splits, int64_t size) {
  const int64_t at = (static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x) * 4;
  if (at >= size) {
    return;
  }
  float4 sum = *reinterpret_cast<const float4*>(parts + at);
  for (int s = 1; s < splits; ++s) {
    const float4 other = *reinterpret_cast<const float4*>(parts + s * size + at);
    sum.x += other.x;
    sum.y += other.y;
    sum.z += other.z;
    sum.w += other.w;
  }
  uint2 both = {pair(sum.x, sum.y), pair(sum.z, sum.w)};
  *reinterpret_cast<uint2*>(out + at) = both;
}
