// silu(gate) · up of rows `[gate | up]`, STEP neighbours a thread.
//
// Before this text stand the constants WIDTH, of one half, and STEP, which
// divides it, and the type T.

struct alignas(STEP == 1 ? sizeof(T) : 16) Item {
  T at[STEP];
};

__device__ inline void swiglu(const T* gate_up, T* out, int64_t items) {
  const int64_t at = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (at >= items) {
    return;
  }
  constexpr int ROW = WIDTH / STEP;
  const Item* from = reinterpret_cast<const Item*>(gate_up) + at / ROW * 2 * ROW + at % ROW;
  const Item gates = from[0];
  const Item ups = from[ROW];
  Item product;
#pragma unroll
  for (int i = 0; i < STEP; ++i) {
    const float gate = static_cast<float>(gates.at[i]);
    product.at[i] = static_cast<T>(gate / (1.0f + __expf(-gate)) * static_cast<float>(ups.at[i]));
  }
  reinterpret_cast<Item*>(out)[at] = product;
}
