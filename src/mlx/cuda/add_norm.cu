// The sum of a residual path and a branch, and its RMS norm: one row a block.
//
// Before this text stand the constants WIDTH and EPS, and the type T.

constexpr int THREADS = 256;
// Neighbours that a thread reads at once.
constexpr int STEP = WIDTH % 8 == 0 ? 8 : 1;
constexpr int ITEMS = WIDTH / STEP;
constexpr int EACH = (ITEMS + THREADS - 1) / THREADS;

struct alignas(STEP == 1 ? sizeof(T) : 16) Item {
  T at[STEP];
};

__device__ inline void
add_norm(const T* x, const T* branch, const T* weight, T* sum, T* normed) {
  __shared__ float squares[THREADS / 32];
  const int64_t row = static_cast<int64_t>(blockIdx.x) * ITEMS;
  // Everything is on its way before anything is written.
  Item left[EACH], right[EACH], factors[EACH];
#pragma unroll
  for (int i = 0; i < EACH; ++i) {
    const int e = threadIdx.x + i * THREADS;
    if (e < ITEMS) {
      left[i] = reinterpret_cast<const Item*>(x)[row + e];
      right[i] = reinterpret_cast<const Item*>(branch)[row + e];
      factors[i] = reinterpret_cast<const Item*>(weight)[e];
    }
  }
  float square = 0.0f;
#pragma unroll
  for (int i = 0; i < EACH; ++i) {
    const int e = threadIdx.x + i * THREADS;
    if (e < ITEMS) {
#pragma unroll
      for (int j = 0; j < STEP; ++j) {
        left[i].at[j] = static_cast<T>(static_cast<float>(left[i].at[j]) + static_cast<float>(right[i].at[j]));
        const float own = static_cast<float>(left[i].at[j]);
        square += own * own;
      }
      reinterpret_cast<Item*>(sum)[row + e] = left[i];
    }
  }
  for (int step = 16; step > 0; step /= 2) {
    square += __shfl_xor_sync(0xffffffffu, square, step);
  }
  if (threadIdx.x % 32 == 0) {
    squares[threadIdx.x / 32] = square;
  }
  __syncthreads();
  float all = 0.0f;
#pragma unroll
  for (int w = 0; w < THREADS / 32; ++w) {
    all += squares[w];
  }
  const float by = rsqrtf(all / WIDTH + EPS);
#pragma unroll
  for (int i = 0; i < EACH; ++i) {
    const int e = threadIdx.x + i * THREADS;
    if (e < ITEMS) {
#pragma unroll
      for (int j = 0; j < STEP; ++j) {
        left[i].at[j] = static_cast<T>(static_cast<float>(left[i].at[j]) * by * static_cast<float>(factors[i].at[j]));
      }
      reinterpret_cast<Item*>(normed)[row + e] = left[i];
    }
  }
}
