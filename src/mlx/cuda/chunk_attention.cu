// Attention of a chunk of rows of one sequence over everything before them, on
// tensor cores. `spread` of decode_attention.cu, whose text and constants stand
// before this one, has written the chunk's keys and values.
//
// The query heads that share a key head go together: query `m` of a key head is
// head m % SHARE of row m / SHARE. A block takes MANY of them and one part of
// the keys; `merge` puts parts together.
//
// T is __half where HALF, else __nv_bfloat16.

constexpr int MANY = WARPS * 16;
constexpr int KEYS = 32;
constexpr int EIGHTS = DIM / 8;
constexpr int STEPS = DIM / 16;

__device__ inline uint32_t pair(float low, float high) {
  if constexpr (HALF) {
    const __half2 both = __floats2half2_rn(low, high);
    return *reinterpret_cast<const uint32_t*>(&both);
  } else {
    const __nv_bfloat162 both = __floats2bfloat162_rn(low, high);
    return *reinterpret_cast<const uint32_t*>(&both);
  }
}

__device__ inline void multiply(float (&sums)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1) {
  if constexpr (HALF) {
    asm("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
        : "+f"(sums[0]), "+f"(sums[1]), "+f"(sums[2]), "+f"(sums[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
  } else {
    asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
        : "+f"(sums[0]), "+f"(sums[1]), "+f"(sums[2]), "+f"(sums[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
  }
}

// Where eight neighbours of a key lie, so that the same eight of following keys
// are in different banks.
__device__ inline int place_of(int key, int at) {
  return key * EIGHTS + (at ^ (key % 8));
}

__device__ inline void fetch(uint4* to, const T* from, bool exists) {
  const uint32_t address = static_cast<uint32_t>(__cvta_generic_to_shared(to));
  const int bytes = exists ? 16 : 0;
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(address), "l"(from), "r"(bytes));
}

// Keys (or values) of KEYS positions; zeros from `end` on.
__device__ inline void fetch_keys(uint4* to, const T* from, int first, int end) {
  for (int i = threadIdx.x; i < KEYS * EIGHTS; i += WARPS * 32) {
    const int key = i / EIGHTS;
    const int at = i % EIGHTS;
    const bool exists = first + key < end;
    fetch(to + place_of(key, at), from + static_cast<int64_t>(exists ? first + key : first) * DIM + at * 8, exists);
  }
}

__device__ inline void load_four(uint32_t (&to)[4], const uint4* from) {
  const uint32_t address = static_cast<uint32_t>(__cvta_generic_to_shared(from));
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])
               : "r"(address));
}

__device__ inline void load_four_turned(uint32_t (&to)[4], const uint4* from) {
  const uint32_t address = static_cast<uint32_t>(__cvta_generic_to_shared(from));
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])
               : "r"(address));
}

// `row` is the chunk's first one, `count` how many there are, `window` how many
// positions each of them sees, its own included.
__device__ inline void chunk_attention(
    const T* queries,
    const T* keys,
    const T* values,
    Row row,
    int count,
    int window,
    T* out,
    float* parts,
    float* sums) {
  __shared__ uint4 key_tiles[2][KEYS * EIGHTS];
  __shared__ uint4 value_tiles[2][KEYS * EIGHTS];
  const int warp = threadIdx.x / 32;
  const int lane = threadIdx.x % 32;
  const int line = lane / 4;
  const int quarter = lane % 4;
  const int kv_head = blockIdx.y;
  const int splits = gridDim.x;
  const int first_m = blockIdx.z * MANY;
  const int all = count * SHARE;
  // What any query of the block may see, and this block's part of it.
  const int low = max(row.position + first_m / SHARE - window + 1, 0);
  const int high = row.position + min(first_m + MANY - 1, all - 1) / SHARE + 1;
  const int each = ((high - low + splits - 1) / splits + KEYS - 1) / KEYS * KEYS;
  const int begin = low + blockIdx.x * each;
  const int end = min(begin + each, high);
  // Where position 0 would be: what is read lies behind `start`.
  const int64_t origin = (static_cast<int64_t>(kv_head) * row.capacity - row.start) * DIM;
  const T* head_keys = keys + origin;
  const T* head_values = values + origin;

  if (begin < end) {
    fetch_keys(key_tiles[0], head_keys, begin, end);
    fetch_keys(value_tiles[0], head_values, begin, end);
  }
  asm volatile("cp.async.commit_group;");

  // This thread's two queries, and where they stand.
  int mine[2];
  int places[2];
  uint32_t query[STEPS][4];
#pragma unroll
  for (int i = 0; i < 2; ++i) {
    mine[i] = first_m + warp * 16 + i * 8 + line;
    const int m = min(mine[i], all - 1);
    places[i] = row.position + m / SHARE;
    const int64_t head = kv_head * SHARE + m % SHARE;
    const uint32_t* from = reinterpret_cast<const uint32_t*>(queries + (head * count + m / SHARE) * DIM);
#pragma unroll
    for (int s = 0; s < STEPS; ++s) {
      query[s][i] = from[s * 8 + quarter];
      query[s][2 + i] = from[s * 8 + 4 + quarter];
    }
  }
  float largest[2] = {NEVER, NEVER};
  float weight[2] = {0.0f, 0.0f};
  float mixed[STEPS * 2][4] = {};
  const int safe = row.position + first_m / SHARE;
  const int oldest = row.position + (high - 1 - row.position) - window;

  // Warps without queries only fetch.
  const bool works = first_m + warp * 16 < all;
  int stage = 0;
  for (int first = begin; first < end; first += KEYS) {
    const int next = first + KEYS;
    if (next < end) {
      fetch_keys(key_tiles[1 - stage], head_keys, next, end);
      fetch_keys(value_tiles[1 - stage], head_values, next, end);
    }
    asm volatile("cp.async.commit_group;");
    asm volatile("cp.async.wait_group 1;");
    __syncthreads();
    if (works) {
      float scores[KEYS / 8][4] = {};
      const uint4* tile = key_tiles[stage];
#pragma unroll
      for (int s = 0; s < STEPS; ++s) {
#pragma unroll
        for (int n = 0; n < KEYS / 16; ++n) {
          uint32_t four[4];
          load_four(four, tile + place_of(n * 16 + lane / 16 * 8 + lane % 8, s * 2 + lane / 8 % 2));
          multiply(scores[2 * n], query[s], four[0], four[1]);
          multiply(scores[2 * n + 1], query[s], four[2], four[3]);
        }
      }
      // All that every query sees needs no look at each.
      const bool whole = first + KEYS <= min(safe + 1, end) && first > oldest;
#pragma unroll
      for (int n = 0; n < KEYS / 8; ++n) {
#pragma unroll
        for (int i = 0; i < 4; ++i) {
          const int key = first + n * 8 + quarter * 2 + i % 2;
          const int place = places[i / 2];
          const bool seen = whole || (key <= place && key > place - window && key < end);
          scores[n][i] = seen ? scores[n][i] * (SCALE * LOG2E) : NEVER;
        }
      }
#pragma unroll
      for (int i = 0; i < 2; ++i) {
        float most = largest[i];
#pragma unroll
        for (int n = 0; n < KEYS / 8; ++n) {
          most = fmaxf(most, fmaxf(scores[n][2 * i], scores[n][2 * i + 1]));
        }
        most = fmaxf(most, __shfl_xor_sync(0xffffffffu, most, 1));
        most = fmaxf(most, __shfl_xor_sync(0xffffffffu, most, 2));
        // Of what sees nothing yet, nothing has any weight.
        const float base = most == NEVER ? 0.0f : most;
        const float shrink = exp2f(largest[i] - base);
        largest[i] = most;
        weight[i] *= shrink;
#pragma unroll
        for (int n = 0; n < KEYS / 8; ++n) {
#pragma unroll
          for (int j = 0; j < 2; ++j) {
            scores[n][2 * i + j] = exp2f(scores[n][2 * i + j] - base);
            weight[i] += scores[n][2 * i + j];
          }
        }
#pragma unroll
        for (int d = 0; d < STEPS * 2; ++d) {
          mixed[d][2 * i] *= shrink;
          mixed[d][2 * i + 1] *= shrink;
        }
      }
      tile = value_tiles[stage];
#pragma unroll
      for (int k = 0; k < KEYS / 16; ++k) {
        const uint32_t weights[4] = {
            pair(scores[2 * k][0], scores[2 * k][1]),
            pair(scores[2 * k][2], scores[2 * k][3]),
            pair(scores[2 * k + 1][0], scores[2 * k + 1][1]),
            pair(scores[2 * k + 1][2], scores[2 * k + 1][3])};
#pragma unroll
        for (int s = 0; s < STEPS; ++s) {
          uint32_t four[4];
          load_four_turned(four, tile + place_of(k * 16 + lane / 8 % 2 * 8 + lane % 8, s * 2 + lane / 16));
          multiply(mixed[2 * s], weights, four[0], four[1]);
          multiply(mixed[2 * s + 1], weights, four[2], four[3]);
        }
      }
    }
    __syncthreads();
    stage = 1 - stage;
  }

#pragma unroll
  for (int i = 0; i < 2; ++i) {
    weight[i] += __shfl_xor_sync(0xffffffffu, weight[i], 1);
    weight[i] += __shfl_xor_sync(0xffffffffu, weight[i], 2);
    const int m = mine[i];
    if (m >= all) {
      continue;
    }
    const int64_t head = static_cast<int64_t>(m / SHARE) * HEADS + kv_head * SHARE + m % SHARE;
    if (splits == 1) {
      const float by = 1.0f / weight[i];
      uint32_t* to = reinterpret_cast<uint32_t*>(out + head * DIM);
#pragma unroll
      for (int d = 0; d < STEPS * 2; ++d) {
        to[d * 4 + quarter] = pair(mixed[d][2 * i] * by, mixed[d][2 * i + 1] * by);
      }
      continue;
    }
    const int64_t part = head * splits + blockIdx.x;
    float2* to = reinterpret_cast<float2*>(parts + part * DIM);
#pragma unroll
    for (int d = 0; d < STEPS * 2; ++d) {
      to[d * 4 + quarter] = {mixed[d][2 * i], mixed[d][2 * i + 1]};
    }
    if (quarter == 0) {
      sums[part * 2] = largest[i];
      sums[part * 2 + 1] = weight[i];
    }
  }
}
