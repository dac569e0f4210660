//! Raw bindings to mlx-c 0.7.0 over the prebuilt MLX library, plus the native
//! primitives of `native/`.
//!
//! Replaces the published crate of the same name and version, which builds MLX
//! from source and on macOS only. The half-precision accessors are declared by
//! hand so that the bindings are the same on every processor.

#![allow(
    non_upper_case_globals,
    non_camel_case_types,
    non_snake_case,
    unsafe_op_in_unsafe_fn,
    clippy::all
)]

include!(concat!(env!("OUT_DIR"), "/bindings.rs"));

/// An IEEE half float as its 16 bits.
#[repr(transparent)]
#[derive(Debug, Clone, Copy, Default)]
pub struct float16_t(pub u16);

/// A bfloat16 as its 16 bits.
pub type bfloat16_t = u16;

unsafe extern "C" {
    pub fn mlx_array_item_float16(result: *mut float16_t, array: mlx_array) -> i32;
    pub fn mlx_array_item_bfloat16(result: *mut bfloat16_t, array: mlx_array) -> i32;
    pub fn mlx_array_data_float16(array: mlx_array) -> *const float16_t;
    pub fn mlx_array_data_bfloat16(array: mlx_array) -> *const bfloat16_t;
}
