//! Graph nodes whose work is done by Rust code on MLX's CPU stream thread.

use std::{
    borrow::Cow,
    ffi::c_void,
    panic::{AssertUnwindSafe, catch_unwind},
};

use mlx_rs::{Array, Dtype, Stream, error::Exception};
use mlx_sys::{maquette_view, mlx_array};

/// An evaluated input of a kernel.
pub struct View<'a> {
    raw: &'a maquette_view,
}

impl<'a> View<'a> {
    pub fn shape(&self) -> &'a [i32] {
        // SAFETY: `maquette_view` points at `ndim` dimensions of an array that
        // outlives the call.
        unsafe { slice(self.raw.shape, self.raw.ndim) }
    }

    /// In elements.
    pub fn strides(&self) -> &'a [i64] {
        // SAFETY: as for `shape`.
        unsafe { slice(self.raw.strides, self.raw.ndim) }
    }

    pub fn dim(&self, axis: usize) -> usize {
        self.shape()[axis] as usize
    }

    pub fn stride(&self, axis: usize) -> usize {
        self.strides()[axis] as usize
    }

    pub fn size(&self) -> usize {
        self.shape().iter().map(|d| *d as usize).product()
    }

    pub fn dtype(&self) -> Option<Dtype> {
        Dtype::try_from(self.raw.dtype).ok()
    }

    /// Elements from the first to the last that the strides reach.
    fn extent(&self) -> usize {
        if self.size() == 0 {
            return 0;
        }
        let reach = self.shape().iter().zip(self.strides());
        1 + reach
            .map(|(d, s)| (*d as usize - 1) * *s as usize)
            .sum::<usize>()
    }

    pub fn is_contiguous(&self) -> bool {
        let mut expected = 1;
        self.shape().iter().zip(self.strides()).rev().all(|(d, s)| {
            let fits = *d == 1 || *s == expected;
            expected *= i64::from(*d);
            fits
        })
    }

    /// The memory that the strides index. `T` must be the element type's size.
    pub fn elements<T: Element>(&self) -> &'a [T] {
        assert!(
            self.dtype().is_some_and(T::reads),
            "a kernel was given {:?}",
            self.dtype()
        );
        assert!(self.strides().iter().all(|s| *s >= 0));
        // SAFETY: MLX allocated at least `extent` elements of a type that `T`
        // may read, nobody writes to an input while a kernel runs, and the
        // array outlives the call.
        unsafe { slice(self.raw.data.cast::<T>(), self.extent()) }
    }

    /// The elements in row-major order, copied only if the strides differ.
    pub fn contiguous<T: Element>(&self) -> Cow<'a, [T]> {
        let elements = self.elements::<T>();
        if self.is_contiguous() {
            return Cow::Borrowed(elements);
        }
        let mut index = vec![0usize; self.shape().len()];
        let mut result = Vec::with_capacity(self.size());
        for _ in 0..self.size() {
            let at: usize = index
                .iter()
                .enumerate()
                .map(|(axis, i)| i * self.stride(axis))
                .sum();
            result.push(elements[at]);
            for (axis, i) in index.iter_mut().enumerate().rev() {
                *i += 1;
                if *i < self.dim(axis) {
                    break;
                }
                *i = 0;
            }
        }
        Cow::Owned(result)
    }
}

/// The output of a kernel: row-major, written by nobody else.
pub struct ViewMut<'a> {
    view: View<'a>,
}

impl<'a> ViewMut<'a> {
    pub fn shape(&self) -> &'a [i32] {
        self.view.shape()
    }

    pub fn elements<T: Element>(&mut self) -> &mut [T] {
        assert!(self.view.dtype().is_some_and(T::reads));
        // SAFETY: as for `View::elements`; the output's buffer is new, or given
        // up by the caller of `in_place`, so this is the only access.
        unsafe {
            let data = self.view.raw.data.cast::<T>();
            if data.is_null() {
                return &mut [];
            }
            std::slice::from_raw_parts_mut(data, self.view.size())
        }
    }
}

/// A type that may read the bytes of an MLX element type.
pub trait Element: Copy + 'static {
    fn reads(dtype: Dtype) -> bool;
}

impl Element for f32 {
    fn reads(dtype: Dtype) -> bool {
        dtype == Dtype::Float32
    }
}

impl Element for u32 {
    /// The bits of any four-byte type.
    fn reads(dtype: Dtype) -> bool {
        matches!(dtype, Dtype::Uint32 | Dtype::Int32 | Dtype::Float32)
    }
}

impl Element for u16 {
    /// The bits of any two-byte type.
    fn reads(dtype: Dtype) -> bool {
        matches!(dtype, Dtype::Float16 | Dtype::Bfloat16 | Dtype::Uint16)
    }
}

type Kernel = Box<dyn Fn(&[View], &mut ViewMut) + Send + Sync>;

/// Adds a node that computes a new array of `shape` and `dtype`.
pub fn node(
    inputs: &[&Array],
    shape: &[i32],
    dtype: Dtype,
    kernel: impl Fn(&[View], &mut ViewMut) + Send + Sync + 'static,
) -> Result<Array, Exception> {
    add(inputs, shape, dtype, false, Box::new(kernel))
}

/// Adds a node that changes the first input's own buffer, which is row-major.
/// The caller promises that no other reader still needs what is overwritten.
pub fn node_in_place(
    inputs: &[&Array],
    kernel: impl Fn(&[View], &mut ViewMut) + Send + Sync + 'static,
) -> Result<Array, Exception> {
    add(
        inputs,
        inputs[0].shape(),
        inputs[0].dtype(),
        true,
        Box::new(kernel),
    )
}

fn add(
    inputs: &[&Array],
    shape: &[i32],
    dtype: Dtype,
    in_place: bool,
    kernel: Kernel,
) -> Result<Array, Exception> {
    let handles: Vec<mlx_array> = inputs.iter().map(|a| a.as_ptr()).collect();
    let context = Box::into_raw(Box::new(kernel)).cast::<c_void>();
    let stream = Stream::thread_local_or_default();
    // SAFETY: handles and shape are valid for the call; `context` is a
    // `Box<Kernel>` that `destroy` frees once, also when the call fails.
    unsafe {
        let mut result = mlx_sys::mlx_array_new();
        let status = mlx_sys::maquette_cpu_primitive(
            &mut result,
            handles.as_ptr(),
            handles.len(),
            shape.as_ptr(),
            shape.len(),
            dtype.into(),
            in_place,
            Some(run),
            context,
            Some(destroy),
            stream.as_ptr(),
        );
        let result = Array::from_ptr(result);
        if status != 0 {
            return Err(Exception::custom("MLX refused a kernel of the host"));
        }
        Ok(result)
    }
}

/// Called by MLX's stream thread: nothing may unwind into it. A kernel that
/// panics leaves NaN behind, which the sampler reports.
unsafe extern "C" fn run(
    context: *const c_void,
    inputs: *const maquette_view,
    count: usize,
    output: *const maquette_view,
) {
    // SAFETY: the primitive passes back the context that `add` gave it and
    // views that live for the call.
    let (kernel, inputs, output) =
        unsafe { (&*context.cast::<Kernel>(), slice(inputs, count), &*output) };
    let inputs: Vec<View> = inputs.iter().map(|raw| View { raw }).collect();
    let mut output = ViewMut {
        view: View { raw: output },
    };
    if catch_unwind(AssertUnwindSafe(|| kernel(&inputs, &mut output))).is_err() {
        tracing::error!("a CPU kernel panicked; its result is not a number");
        if output.view.dtype() == Some(Dtype::Float32) {
            output.elements::<f32>().fill(f32::NAN);
        }
    }
}

unsafe extern "C" fn destroy(context: *mut c_void) {
    // SAFETY: `context` came from `Box::into_raw` in `add` and is freed once.
    drop(unsafe { Box::from_raw(context.cast::<Kernel>()) });
}

/// # Safety
/// `data` must point at `len` values that live for `'a`, unless `len` is 0.
unsafe fn slice<'a, T>(data: *const T, len: usize) -> &'a [T] {
    if len == 0 || data.is_null() {
        return &[];
    }
    // SAFETY: by the contract above.
    unsafe { std::slice::from_raw_parts(data, len) }
}
