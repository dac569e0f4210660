// Native primitives that MLX lacks, as a C interface for Rust.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "mlx/c/array.h"
#include "mlx/c/stream.h"

#ifdef __cplusplus
extern "C" {
#endif

// What a CPU kernel sees of an evaluated array. Strides count elements.
typedef struct maquette_view {
  void* data;
  const int32_t* shape;
  const int64_t* strides;
  size_t ndim;
  mlx_dtype dtype;
} maquette_view;

// Runs on MLX's CPU stream thread. Must not unwind.
typedef void (*maquette_kernel)(
    const void* context,
    const maquette_view* inputs,
    size_t input_count,
    const maquette_view* output);

// Adds a node to the graph that calls `kernel` when the CPU stream evaluates
// it. The output is a new row-contiguous array of `shape` and `dtype`, or, when
// `in_place`, shares the first input's buffer, which must be of that shape and
// dtype; the caller promises that nobody still needs the bytes the kernel
// overwrites. `destroy` frees `context` with the node.
int maquette_cpu_primitive(
    mlx_array* result,
    const mlx_array* inputs,
    size_t input_count,
    const int* shape,
    size_t ndim,
    mlx_dtype dtype,
    bool in_place,
    maquette_kernel kernel,
    void* context,
    void (*destroy)(void*),
    const mlx_stream stream);

#ifdef __cplusplus
}
#endif
