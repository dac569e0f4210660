// Attention of single rows: norms and rotates the row's queries and key, writes
// key and value into its sequence's own buffers in place, and mixes what the row
// may see. Up to FRESH rows may follow one another in a sequence: the keys and
// values of those before a row are taken from the input, since other blocks are
// writing them.
//
// A block serves GROUP query heads that share a key head, for one row and one
// part of its keys. Eight threads share a key, so that a warp reads four keys
// at once; parts are put together by `merge` when there are several.
//
// `spread` does the first part alone for many rows of one sequence.
//
// Before this text stand the constants HEADS, KV_HEADS, DIM, GROUP, NORM,
// INTERLEAVED, EPS and SCALE, and the type T.

constexpr int LANES = 8;
constexpr int WARPS = 4;
constexpr int KEYS_AT_ONCE = WARPS * 32 / LANES;
constexpr int CHUNKS = DIM / (8 * LANES);
constexpr int SHARE = HEADS / KV_HEADS;
constexpr int FIELDS = 5;
constexpr int FRESH = 16;
constexpr float LOG2E = 1.4426950408889634f;
// Below every score: what has seen no key has this and the weight 0.
constexpr float NEVER = -3.0e38f;

// Eight neighbours, read at once.
struct alignas(16) Eight {
  T at[8];
};

struct Row {
  int position; // of the row
  int capacity; // tokens that its buffers hold
  int first;    // the first position it may see
  int before;   // rows of its sequence just before it in the input
  int start;    // the position that its buffers begin with
};

__device__ inline Row row_of(const int* rows, int row) {
  const int* r = rows + row * FIELDS;
  return {r[0], r[1], r[2], r[3], r[4]};
}

__device__ inline float warp_sum(float x) {
  for (int step = 16; step > 0; step /= 2) {
    x += __shfl_xor_sync(0xffffffffu, x, step);
  }
  return x;
}

// One head of the row into shared memory, normed and rotated; by one warp.
__device__ inline void prepare(
    float* to,
    const T* from,
    const T* norm,
    const float* turns,
    int position,
    bool rotate) {
  const int lane = threadIdx.x % 32;
  float sum = 0.0f;
  for (int e = lane; e < DIM; e += 32) {
    const float x = static_cast<float>(from[e]);
    to[e] = x;
    sum += x * x;
  }
  if (!rotate) {
    return;
  }
  if constexpr (NORM) {
    const float by = rsqrtf(warp_sum(sum) / DIM + EPS);
    for (int e = lane; e < DIM; e += 32) {
      to[e] = static_cast<float>(static_cast<T>(to[e] * by * static_cast<float>(norm[e])));
    }
  }
  __syncwarp();
  for (int i = lane; i < DIM / 2; i += 32) {
    const int a = INTERLEAVED ? 2 * i : i;
    const int b = INTERLEAVED ? 2 * i + 1 : i + DIM / 2;
    float sine, cosine;
    sincosf(position * turns[i], &sine, &cosine);
    const float x = to[a];
    const float y = to[b];
    to[a] = static_cast<float>(static_cast<T>(x * cosine - y * sine));
    to[b] = static_cast<float>(static_cast<T>(y * cosine + x * sine));
  }
}

// What eight threads know of the keys they have seen: for each query head the
// largest score, the sum of weights and this thread's share of the mix.
struct Mix {
  float largest[GROUP];
  float weight[GROUP];
  float values[GROUP][CHUNKS * 8];

  __device__ void clear() {
    for (int g = 0; g < GROUP; ++g) {
      largest[g] = NEVER;
      weight[g] = 0.0f;
      for (int e = 0; e < CHUNKS * 8; ++e) {
        values[g][e] = 0.0f;
      }
    }
  }

  __device__ void add(
      const float (&query)[GROUP][CHUNKS * 8],
      const float (&key)[CHUNKS * 8],
      const float (&value)[CHUNKS * 8],
      unsigned mask) {
#pragma unroll
    for (int g = 0; g < GROUP; ++g) {
      float score = 0.0f;
#pragma unroll
      for (int e = 0; e < CHUNKS * 8; ++e) {
        score += query[g][e] * key[e];
      }
      for (int step = LANES / 2; step > 0; step /= 2) {
        score += __shfl_xor_sync(mask, score, step);
      }
      const float before = largest[g];
      largest[g] = fmaxf(before, score);
      const float shrink = exp2f(before - largest[g]);
      const float own = exp2f(score - largest[g]);
      weight[g] = weight[g] * shrink + own;
#pragma unroll
      for (int e = 0; e < CHUNKS * 8; ++e) {
        values[g][e] = values[g][e] * shrink + own * value[e];
      }
    }
  }

  // Joins the four groups of eight of a warp.
  __device__ void join_warp() {
#pragma unroll
    for (int step = LANES; step < 32; step *= 2) {
#pragma unroll
      for (int g = 0; g < GROUP; ++g) {
        const float other = __shfl_xor_sync(0xffffffffu, largest[g], step);
        const float both = fmaxf(largest[g], other);
        const float own = exp2f(largest[g] - both);
        largest[g] = both;
        weight[g] *= own;
        weight[g] += __shfl_xor_sync(0xffffffffu, weight[g], step);
#pragma unroll
        for (int e = 0; e < CHUNKS * 8; ++e) {
          values[g][e] *= own;
          values[g][e] += __shfl_xor_sync(0xffffffffu, values[g][e], step);
        }
      }
    }
  }
};

// This thread's share of a key or value, as it is stored.
struct Stored {
  Eight parts[CHUNKS];

  __device__ void read(const T* row) {
    const int lane = threadIdx.x % LANES;
#pragma unroll
    for (int c = 0; c < CHUNKS; ++c) {
      parts[c] = *reinterpret_cast<const Eight*>(row + (c * LANES + lane) * 8);
    }
  }

  __device__ void widen(float (&to)[CHUNKS * 8]) const {
#pragma unroll
    for (int e = 0; e < CHUNKS * 8; ++e) {
      to[e] = static_cast<float>(parts[e / 8].at[e % 8]);
    }
  }
};

__device__ inline void read_shared(float (&to)[CHUNKS * 8], const float* row) {
  const int lane = threadIdx.x % LANES;
  for (int e = 0; e < CHUNKS * 8; ++e) {
    to[e] = row[(e / 8 * LANES + lane) * 8 + e % 8];
  }
}

// Results of a block: to `out` when it has seen all keys, else to `parts` and
// `sums`, which `merge` reads.
__device__ inline void
write_results(Mix& mix, T* out, float* parts, float* sums) {
  __shared__ float values[WARPS][GROUP][DIM];
  __shared__ float largest[WARPS][GROUP];
  __shared__ float weights[WARPS][GROUP];
  const int warp = threadIdx.x / 32;
  const int lane = threadIdx.x % 32;
  if (lane < LANES) {
    for (int g = 0; g < GROUP; ++g) {
      for (int e = 0; e < CHUNKS * 8; ++e) {
        values[warp][g][(e / 8 * LANES + lane) * 8 + e % 8] = mix.values[g][e];
      }
      if (lane == 0) {
        largest[warp][g] = mix.largest[g];
        weights[warp][g] = mix.weight[g];
      }
    }
  }
  __syncthreads();
  const int splits = gridDim.x;
  for (int i = threadIdx.x; i < GROUP * DIM; i += WARPS * 32) {
    const int g = i / DIM;
    const int e = i % DIM;
    float most = NEVER;
    for (int w = 0; w < WARPS; ++w) {
      most = fmaxf(most, largest[w][g]);
    }
    float sum = 0.0f;
    float value = 0.0f;
    for (int w = 0; w < WARPS; ++w) {
      const float by = exp2f(largest[w][g] - most);
      sum += weights[w][g] * by;
      value += values[w][g][e] * by;
    }
    const int64_t head = static_cast<int64_t>(blockIdx.z) * HEADS + blockIdx.y * GROUP + g;
    if (splits == 1) {
      out[head * DIM + e] = static_cast<T>(value / sum);
      continue;
    }
    const int64_t part = head * splits + blockIdx.x;
    parts[part * DIM + e] = value;
    if (e == 0) {
      sums[part * 2] = most;
      sums[part * 2 + 1] = sum;
    }
  }
}

__device__ inline void decode(
    const T* qkv,
    const T* q_norm,
    const T* k_norm,
    const float* turns,
    Row row,
    T* keys,
    T* values,
    T* out,
    float* parts,
    float* sums) {
  __shared__ float queries[GROUP][DIM];
  __shared__ float fresh_keys[FRESH][DIM];
  __shared__ float fresh_values[FRESH][DIM];
  Mix mix;
  mix.clear();
  const int kv_head = blockIdx.y * GROUP / SHARE;
  const int length = row.position + 1;
  const int part = (length - row.first + gridDim.x - 1) / gridDim.x;
  const int begin = row.first + blockIdx.x * part;
  const int end = min(begin + part, length);
  // Where position 0 would be: what is read and written lies behind `start`.
  const int64_t origin = (static_cast<int64_t>(kv_head) * row.capacity - row.start) * DIM;
  T* head_keys = keys + origin;
  T* head_values = values + origin;
  // What this step brings is in shared memory, the rest was written before.
  const int first_fresh = max(begin, row.position - row.before);
  const int fresh = max(end - first_fresh, 0);
  const int old = min(end, first_fresh);
  const int worker = threadIdx.x / LANES;
  // What is read next is on its way while the thread computes.
  int key = begin + worker;
  Stored next_key, next_value;
  if (key < old) {
    next_key.read(head_keys + static_cast<int64_t>(key) * DIM);
    next_value.read(head_values + static_cast<int64_t>(key) * DIM);
  }

  const int warp = threadIdx.x / 32;
  constexpr int ALL = HEADS + 2 * KV_HEADS;
  const T* own = qkv + static_cast<int64_t>(blockIdx.z) * ALL * DIM;
  for (int g = warp; g < GROUP; g += WARPS) {
    const T* from = own + (blockIdx.y * GROUP + g) * DIM;
    prepare(queries[g], from, q_norm, turns, row.position, true);
  }
  for (int f = warp; f < fresh; f += WARPS) {
    const int position = first_fresh + f;
    const T* from = own - static_cast<int64_t>(row.position - position) * ALL * DIM;
    prepare(fresh_keys[f], from + (HEADS + kv_head) * DIM, k_norm, turns, position, true);
    from += (HEADS + KV_HEADS + kv_head) * DIM;
    prepare(fresh_values[f], from, k_norm, turns, position, false);
  }
  __syncthreads();

  const bool has_own_key = fresh > 0 && end == length;
  if (has_own_key && blockIdx.y * GROUP % SHARE == 0) {
    const int64_t to = static_cast<int64_t>(row.position) * DIM;
    for (int e = threadIdx.x; e < DIM; e += WARPS * 32) {
      head_keys[to + e] = static_cast<T>(fresh_keys[fresh - 1][e]);
      head_values[to + e] = static_cast<T>(fresh_values[fresh - 1][e]);
    }
  }

  float query[GROUP][CHUNKS * 8];
  for (int g = 0; g < GROUP; ++g) {
    read_shared(query[g], queries[g]);
    for (int e = 0; e < CHUNKS * 8; ++e) {
      query[g][e] *= SCALE * LOG2E;
    }
  }
  const unsigned mask = 0xffu << (threadIdx.x % 32 / LANES * LANES);
  while (key < old) {
    float k[CHUNKS * 8], v[CHUNKS * 8];
    next_key.widen(k);
    next_value.widen(v);
    key += KEYS_AT_ONCE;
    if (key < old) {
      next_key.read(head_keys + static_cast<int64_t>(key) * DIM);
      next_value.read(head_values + static_cast<int64_t>(key) * DIM);
    }
    mix.add(query, k, v, mask);
  }
  if (worker < fresh) {
    float k[CHUNKS * 8], v[CHUNKS * 8];
    read_shared(k, fresh_keys[worker]);
    read_shared(v, fresh_values[worker]);
    mix.add(query, k, v, mask);
  }
  __syncwarp();
  mix.join_warp();
  write_results(mix, out, parts, sums);
}

// Puts the parts of one head of one row together; DIM threads.
__device__ inline void merge(const float* parts, const float* sums, T* out, int splits) {
  const int64_t head = static_cast<int64_t>(blockIdx.z) * HEADS + blockIdx.y;
  float most = NEVER;
  for (int s = 0; s < splits; ++s) {
    most = fmaxf(most, sums[(head * splits + s) * 2]);
  }
  float sum = 0.0f;
  float value = 0.0f;
  for (int s = 0; s < splits; ++s) {
    const int64_t part = head * splits + s;
    const float by = exp2f(sums[part * 2] - most);
    sum += sums[part * 2 + 1] * by;
    value += parts[part * DIM + threadIdx.x] * by;
  }
  out[head * DIM + threadIdx.x] = static_cast<T>(value / sum);
}

// Rows of one sequence, from the position `start` on: queries, keys and values
// apart, the first two normed and rotated, each `[heads, rows, DIM]`; keys and
// values `[heads, room, DIM]`, from the row `from_place` on. One warp a head, one row
// a block.
__device__ inline void spread(
    const T* qkv,
    const T* q_norm,
    const T* k_norm,
    const float* turns,
    int start,
    T* queries,
    T* keys,
    T* values,
    int room,
    int from_place) {
  __shared__ float heads[WARPS][DIM];
  const int warp = threadIdx.x / 32;
  const int head = blockIdx.y * WARPS + warp;
  constexpr int ALL = HEADS + 2 * KV_HEADS;
  if (head >= ALL) {
    return;
  }
  const int row = blockIdx.x;
  const bool is_query = head < HEADS;
  const T* from = qkv + (static_cast<int64_t>(row) * ALL + head) * DIM;
  prepare(heads[warp], from, is_query ? q_norm : k_norm, turns, start + row, head < HEADS + KV_HEADS);
  __syncwarp();
  T* to = is_query ? queries : head < HEADS + KV_HEADS ? keys : values;
  const int64_t place = is_query ? static_cast<int64_t>(head) * gridDim.x
                                 : static_cast<int64_t>((head - HEADS) % KV_HEADS) * room + from_place;
  to += (place + row) * DIM;
  for (int e = threadIdx.x % 32; e < DIM; e += 32) {
    to[e] = static_cast<T>(heads[warp][e]);
  }
}
