//! The only module that names `mlx_sys`: what `mlx-rs` lacks, and the choice
//! between MLX's kernels and Maquette's own.
//!
//! On a CPU device the operations of [`ops`] run kernels of `maquette-kernels`
//! as nodes of MLX's graph (`host`), because MLX's CPU build on Linux is
//! scalar and single-threaded; on a GPU they are MLX's, and on NVIDIA's some
//! kernels of ours besides (`cuda`). All give the same values within rounding.
//!
//! Invariant: no `Array` leaves the thread that built it before it is evaluated.

mod cuda;
pub mod device;
mod experts;
mod heads;
mod host;
mod leave;
pub mod ops;
mod packing;
mod padded;
mod recurrence;
mod rows;
mod staging;

pub use cuda::{
    ChunkRows, DecodeRow, DecodeSpec, MOST_CHUNK_ROWS, MOST_ROWS, ROW_FIELDS, chunk_attention,
    decode_attention, row_table, spread_heads, supports_chunk, supports_decode, unpacks,
};
pub use device::{Backend, DeviceInfo, backend, device_info, host_memory};
pub use experts::{ExpertRows, expert_matmul_t, expert_quantized_matmul};
pub use heads::{Scoring, attention, rope, rope_each};
pub use leave::leave;
pub use mlx_rs::{Array, Dtype, Stream, error::Exception, with_stream};
pub use ops::*;
pub use packing::{
    Packing, Segment, Sketch, attention_over, join_segments, pack_rows, rotation, unpack_rows,
};
pub use recurrence::{Decays, Erase, Recurrence};
pub use rows::{Part, bytes, from_bytes, join_rows};
pub use staging::{Bytes, HostBytes, arrays_from_bytes, prepare};
