// Copies of many pieces at once: from host memory that the GPU can read, and of
// rows that come to lie one after the other. All in items of 16 bytes.

__device__ inline void copy(const uint4* from, uint4* to, int64_t items, int64_t first, int64_t step) {
  int64_t at = first;
  for (; at + 3 * step < items; at += 4 * step) {
    uint4 own[4];
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      own[i] = from[at + i * step];
    }
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      to[at + i * step] = own[i];
    }
  }
  for (; at < items; at += step) {
    to[at] = from[at];
  }
}

// `piece`: the two halves of an address, and how many items lie there.
__device__ inline void upload(const uint32_t* piece, void* to) {
  const uint64_t address = piece[0] | static_cast<uint64_t>(piece[1]) << 32;
  const int64_t step = static_cast<int64_t>(gridDim.x) * blockDim.x;
  const int64_t first = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  copy(reinterpret_cast<const uint4*>(address), static_cast<uint4*>(to), piece[2], first, step);
}

// `part`: the first row, how many, where they go, and how many rows a head has
// before and after, and how many items a row has.
__device__ inline void join(const void* from, const int* part, void* to) {
  const int row = part[5];
  const int64_t head = blockIdx.y;
  const uint4* start = static_cast<const uint4*>(from) + (head * part[3] + part[0]) * row;
  uint4* end = static_cast<uint4*>(to) + (head * part[4] + part[2]) * row;
  copy(start, end, static_cast<int64_t>(part[1]) * row, threadIdx.x, blockDim.x);
}
