// The sum of a residual path and a branch, and its RMS norm: one row a block.
//
// Before this text stand the constants WIDTH and EPS, and the type T.

constexpr int THREADS = 256;

__device__ inline void
add_norm(const T* x, const T* branch, const T* weight, T* sum, T* normed) {
  __shared__ float squares[THREADS / 32];
  const int64_t row = static_cast<int64_t>(blockIdx.x) * WIDTH;
  constexpr int EACH = (WIDTH + THREADS - 1) / THREADS;
  float own[EACH];
  float square = 0.0f;
#pragma unroll
  for (int i = 0; i < EACH; ++i) {
    const int e = threadIdx.x + i * THREADS;
    own[i] = 0.0f;
    if (e < WIDTH) {
      const T rounded = static_cast<T>(static_cast<float>(x[row + e]) + static_cast<float>(branch[row + e]));
      sum[row + e] = rounded;
      own[i] = static_cast<float>(rounded);
    }
    square += own[i] * own[i];
  }
  for (int step = 16; step > 0; step /= 2) {
    square += __shfl_xor_sync(0xffffffffu, square, step);
  }
  if (threadIdx.x % 32 == 0) {
    squares[threadIdx.x / 32] = square;
  }
  __syncthreads();
  float all = 0.0f;
  for (int w = 0; w < THREADS / 32; ++w) {
    all += squares[w];
  }
  const float by = rsqrtf(all / WIDTH + EPS);
#pragma unroll
  for (int i = 0; i < EACH; ++i) {
    const int e = threadIdx.x + i * THREADS;
    if (e < WIDTH) {
      normed[row + e] = static_cast<T>(own[i] * by * static_cast<float>(weight[e]));
    }
  }
}
