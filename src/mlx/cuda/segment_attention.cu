// Attention of few rows over keys and values in segments, some of them packed.
// The text and constants of decode_attention.cu stand before this one: a block
// serves GROUP query heads for one row and one part of the keys, eight threads
// share a key, and `merge` puts parts together.
//
// Also before this text stands, for each kind of packed rows, a table of the
// numbers that codes stand for.

constexpr int OWN = CHUNKS * 8;

// Rows as they are.
struct PlainRows {
  const T* data;
  int64_t stride;

  struct Read {
    Stored stored;

    __device__ void widen(float (&to)[OWN], const float*) const {
      stored.widen(to);
    }
  };

  __device__ void read(Read& to, int row) const {
    to.stored.read(data + row * stride);
  }
};

// Records: codes of BITS bits, then a scale and a bias for each GROUPED numbers,
// or the length of the row where GROUPED is 0.
template <int BITS, int CODE_WORDS, int GROUPED>
struct PackedRows {
  const uint32_t* data;
  int64_t stride;

  struct Read {
    uint64_t codes[CHUNKS];
    uint32_t numbers[CHUNKS];

    __device__ void widen(float (&to)[OWN], const float* table) const {
#pragma unroll
      for (int c = 0; c < CHUNKS; ++c) {
        const float scale = __half2float(__ushort_as_half(static_cast<unsigned short>(numbers[c])));
        const float bias = __half2float(__ushort_as_half(static_cast<unsigned short>(numbers[c] >> 16)));
#pragma unroll
        for (int e = 0; e < 8; ++e) {
          const uint32_t code = static_cast<uint32_t>(codes[c] >> (e * BITS)) & ((1u << BITS) - 1);
          to[c * 8 + e] = GROUPED > 0 ? fmaf(static_cast<float>(code), scale, bias)
                                      : table[code] * __uint_as_float(numbers[c]);
        }
      }
    }
  };

  __device__ void read(Read& to, int row) const {
    const uint32_t* record = data + row * stride;
    const int lane = threadIdx.x % LANES;
#pragma unroll
    for (int c = 0; c < CHUNKS; ++c) {
      // Eight codes lie in two words at most.
      const int eight = c * LANES + lane;
      const int bit = eight * 8 * BITS;
      const uint32_t* word = record + bit / 32;
      uint64_t codes = word[0];
      if (bit % 32 + 8 * BITS > 32) {
        codes |= static_cast<uint64_t>(word[1]) << 32;
      }
      to.codes[c] = codes >> (bit % 32);
      to.numbers[c] = record[CODE_WORDS + (GROUPED > 0 ? eight * 8 / (GROUPED > 0 ? GROUPED : 1) : 0)];
    }
  }
};

// Where a block is at, and what it has seen.
struct Walk {
  Mix mix;
  float query[GROUP][OWN];
  // This block's part of all keys, and the first key of the next segment.
  int begin;
  int end;
  int start;

  __device__ void open(const T* q, int64_t head_stride, int64_t row_stride, int rows, int length) {
    mix.clear();
    start = 0;
    // A row sees all keys up to its own.
    const int row = blockIdx.z;
    const int seen = length - rows + 1 + row;
    const int part = (seen + gridDim.x - 1) / gridDim.x;
    begin = blockIdx.x * part;
    end = min(begin + part, seen);
#pragma unroll
    for (int g = 0; g < GROUP; ++g) {
      Stored stored;
      stored.read(q + (blockIdx.y * GROUP + g) * head_stride + row * row_stride);
      stored.widen(query[g]);
#pragma unroll
      for (int e = 0; e < OWN; ++e) {
        query[g][e] *= SCALE * LOG2E;
      }
    }
  }

  template <class Keys, class Values>
  __device__ void segment(Keys keys, Values values, int rows, const float* key_table, const float* value_table) {
    const unsigned mask = 0xffu << (threadIdx.x % 32 / LANES * LANES);
    const int last = min(end - start, rows);
    int key = max(begin - start, 0) + static_cast<int>(threadIdx.x) / LANES;
    typename Keys::Read next_key;
    typename Values::Read next_value;
    if (key < last) {
      keys.read(next_key, key);
      values.read(next_value, key);
    }
    while (key < last) {
      float k[OWN], v[OWN];
      next_key.widen(k, key_table);
      next_value.widen(v, value_table);
      key += KEYS_AT_ONCE;
      if (key < last) {
        keys.read(next_key, key);
        values.read(next_value, key);
      }
      mix.add(query, k, v, mask);
    }
    start += rows;
  }

  __device__ void close(T* out, float* parts, float* sums) {
    __syncwarp();
    mix.join_warp();
    write_results(mix, out, parts, sums);
  }
};

// A table in shared memory, where neighbours are in different banks.
template <int SIZE>
__device__ inline void fill(float* to, const float (&from)[SIZE]) {
  for (int i = threadIdx.x; i < SIZE; i += WARPS * 32) {
    to[i] = from[i];
  }
}
