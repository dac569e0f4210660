//! Bytes on their way to the device.
//!
//! An NVIDIA GPU reads host memory that is pinned at the speed of its bus;
//! other memory it gets page by page, ten times slower. Pinning takes long, so
//! that a few buffers are pinned once and used again and again.
//!
//! Invariant: a pinned buffer is given to somebody else only after the device
//! has read it.

use std::{
    cell::RefCell,
    collections::{BTreeMap, VecDeque},
    ops::{Deref, DerefMut},
    sync::{Arc, Mutex, PoisonError, Weak},
};

use mlx_rs::{
    Array, Dtype,
    error::Exception,
    transforms::{async_eval, eval},
};

use super::{
    cuda::{self, Piece},
    ops::on_cuda,
    rows,
};

/// Buffers that are pinned, and how many the device may be reading.
const BUFFERS: usize = 20;
const READING: usize = 8;
/// Buffers of other sizes than this are not worth it.
const LARGEST: usize = 64 << 20;

static POOL: Mutex<Pool> = Mutex::new(Pool {
    size: 0,
    free: Vec::new(),
    used: BTreeMap::new(),
});

/// Pinned buffers by their addresses; they are never given back to the system.
struct Pool {
    size: usize,
    free: Vec<usize>,
    used: BTreeMap<usize, Weak<Lease>>,
}

fn pool<R>(work: impl FnOnce(&mut Pool) -> R) -> R {
    work(&mut POOL.lock().unwrap_or_else(PoisonError::into_inner))
}

/// The use of a pinned buffer.
#[derive(Debug)]
struct Lease {
    address: usize,
}

impl Drop for Lease {
    fn drop(&mut self) {
        pool(|pool| {
            pool.used.remove(&self.address);
            pool.free.push(self.address);
        });
    }
}

/// Bytes in memory that the device can read itself, if there was some left.
#[derive(Debug)]
pub struct HostBytes {
    memory: Memory,
    length: usize,
}

#[derive(Debug)]
enum Memory {
    Own(Vec<u8>),
    Pinned(Arc<Lease>),
}

/// Sees to it that there are pinned buffers of `size` bytes, where the device
/// gains by that, and kernels that make `arrays` arrays of the bytes in one of
/// them. Called by the thread that owns the arrays.
pub fn prepare(size: usize, arrays: usize) {
    let enough = pool(|pool| pool.size >= size);
    if !on_cuda() || enough || size > LARGEST {
        return;
    }
    let pinned: Vec<usize> = (0..BUFFERS).map_while(|_| pin(size)).collect();
    // Smaller ones are in use or lost: this happens when a model is loaded.
    pool(|pool| (pool.size, pool.free) = (size, pinned));
    let bytes = HostBytes::new(size);
    if matches!(bytes.memory, Memory::Pinned(_))
        && let Err(error) = cuda::warm_up(arrays, &bytes)
    {
        tracing::warn!(%error, "the kernels that read pages could not be made");
    }
}

/// Pinned memory from the driver, which MLX has loaded.
fn pin(size: usize) -> Option<usize> {
    type HostAlloc = unsafe extern "C" fn(*mut *mut libc::c_void, usize, u32) -> i32;
    const PORTABLE_AND_MAPPED: u32 = 3;
    // SAFETY: the library stays loaded, the symbol has this type since CUDA 2,
    // and the pointer is written on success only.
    unsafe {
        let library = libc::dlopen(c"libcuda.so.1".as_ptr(), libc::RTLD_NOW | libc::RTLD_NOLOAD);
        if library.is_null() {
            return None;
        }
        let symbol = libc::dlsym(library, c"cuMemHostAlloc".as_ptr());
        if symbol.is_null() {
            return None;
        }
        let allocate = std::mem::transmute::<*mut libc::c_void, HostAlloc>(symbol);
        let mut data = std::ptr::null_mut();
        let status = allocate(&mut data, size, PORTABLE_AND_MAPPED);
        (status == 0 && !data.is_null()).then_some(data.addr())
    }
}

impl HostBytes {
    /// `length` bytes, whatever they are.
    pub fn new(length: usize) -> Self {
        let leased = pool(|pool| {
            let address = match length <= pool.size {
                true => pool.free.pop()?,
                false => return None,
            };
            let lease = Arc::new(Lease { address });
            pool.used.insert(address, Arc::downgrade(&lease));
            Some(lease)
        });
        let memory = match leased {
            Some(lease) => Memory::Pinned(lease),
            None => Memory::Own(vec![0; length]),
        };
        Self { memory, length }
    }

    /// Forgets all bytes from `length` on.
    pub fn truncate(&mut self, length: usize) {
        self.length = self.length.min(length);
    }
}

impl Deref for HostBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &self.memory {
            Memory::Own(bytes) => &bytes[..self.length],
            // SAFETY: the buffer has at least `length` bytes, which this value
            // alone writes.
            Memory::Pinned(lease) => unsafe {
                std::slice::from_raw_parts(lease.address as *const u8, self.length)
            },
        }
    }
}

impl DerefMut for HostBytes {
    fn deref_mut(&mut self) -> &mut [u8] {
        match &mut self.memory {
            Memory::Own(bytes) => &mut bytes[..self.length],
            // SAFETY: as above; nobody is given the bytes to the device before
            // they are written.
            Memory::Pinned(lease) => unsafe {
                std::slice::from_raw_parts_mut(lease.address as *mut u8, self.length)
            },
        }
    }
}

impl AsRef<[u8]> for HostBytes {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

thread_local! {
    /// Buffers that the device may be reading, and an array that is computed
    /// when it has.
    static IN_FLIGHT: RefCell<VecDeque<(Arc<Lease>, Array)>> = RefCell::default();
}

/// Bytes, and the shape and type of the array that they are.
pub type Bytes<'a> = (&'a [u8], &'a [i32], Dtype);

/// Arrays of what [`rows::bytes`] gave, together: much faster than one by one
/// where the bytes lie in one of [`HostBytes`].
///
/// # Errors
/// When the bytes are not as many as a shape has.
pub fn arrays_from_bytes(parts: &[Bytes]) -> Result<Vec<Array>, Exception> {
    if let Some(uploaded) = upload(parts) {
        let (lease, arrays) = uploaded?;
        async_eval(&arrays)?;
        let last = arrays.last().cloned();
        IN_FLIGHT.with_borrow_mut(|flying| {
            flying.extend(last.map(|last| (lease, last)));
            while flying.len() > READING
                && let Some((_lease, array)) = flying.pop_front()
            {
                eval([&array])?;
            }
            Ok::<_, Exception>(())
        })?;
        return Ok(arrays);
    }
    let one = |(bytes, shape, dtype): &Bytes| rows::from_bytes(bytes, shape, *dtype);
    parts.iter().map(one).collect()
}

/// A buffer, and arrays that are copied from it, lazy.
type Uploaded = (Arc<Lease>, Vec<Array>);

/// What to make of parts that lie in one buffer.
fn upload(parts: &[Bytes]) -> Option<Result<Uploaded, Exception>> {
    if !on_cuda() {
        return None;
    }
    let (start, end) = (
        parts.iter().map(|part| part.0.as_ptr().addr()).min()?,
        parts
            .iter()
            .map(|part| part.0.as_ptr_range().end.addr())
            .max()?,
    );
    let lease = pool(|pool| {
        let (address, lease) = pool.used.range(..=start).next_back()?;
        let inside = end <= address + pool.size;
        lease.upgrade().filter(|_| inside)
    })?;
    let whole = |(bytes, shape, dtype): &Bytes| rows::size(shape, *dtype) == Some(bytes.len());
    if !parts.iter().all(whole) {
        return None;
    }
    let pieces = parts.iter().map(|(bytes, shape, dtype)| Piece {
        bytes,
        shape,
        dtype: *dtype,
    });
    let pieces: Vec<Piece> = pieces.collect();
    let arrays = cuda::upload(&pieces)?;
    Some(arrays.map(|arrays| (lease, arrays)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_become_arrays_wherever_they_lie() {
        let mut bytes = HostBytes::new(40);
        for (at, byte) in bytes.iter_mut().enumerate() {
            *byte = at as u8;
        }
        bytes.truncate(32);
        assert_eq!(bytes.len(), 32);
        let arrays = arrays_from_bytes(&[
            (&bytes[..16], &[2, 2], Dtype::Uint32),
            (&bytes[16..], &[8], Dtype::Float16),
        ])
        .unwrap();
        assert_eq!(rows::bytes(&arrays[0]).unwrap(), bytes[..16]);
        assert_eq!(rows::bytes(&arrays[1]).unwrap(), bytes[16..]);
        assert!(arrays_from_bytes(&[(&bytes[..15], &[4], Dtype::Uint32)]).is_err());
    }
}
