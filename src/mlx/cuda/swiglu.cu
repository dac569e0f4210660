// silu(gate) · up of rows `[gate | up]`.
//
// Before this text stand the constants WIDTH, of one half, and the type T.

__device__ inline void swiglu(const T* gate_up, T* out, int64_t size) {
  const int64_t at = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (at >= size) {
    return;
  }
  const int64_t row = at / WIDTH;
  const int64_t column = at % WIDTH;
  const float gate = static_cast<float>(gate_up[row * 2 * WIDTH + column]);
  const float up = static_cast<float>(gate_up[row * 2 * WIDTH + WIDTH + column]);
  out[at] = static_cast<T>(gate / (1.0f + __expf(-gate)) * up);
}
