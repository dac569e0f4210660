//! Finds weights that are NaN or infinite.
//!
//! On the CPU the bytes are scanned in place: a number is not finite exactly
//! when all bits of its exponent are set, and the comparison runs at the speed
//! of memory. On a GPU the device reduces each tensor to one flag.

use mlx_rs::{Array, Dtype};

use crate::models::{ModelError, blocks::on_gpu};

/// Numbers above which a tensor is worth a second thread.
const WORTH_A_THREAD: usize = 1 << 20;

/// A check of one evaluated tensor.
#[derive(Debug, Clone, Copy)]
pub struct Finite {
    gpu: bool,
}

impl Finite {
    /// For the device that models are computed on.
    pub fn on_device() -> Self {
        Self { gpu: on_gpu() }
    }

    /// Whether every number of `array` is finite. Integers are.
    ///
    /// # Errors
    /// When MLX cannot evaluate the array.
    pub fn check(&self, array: &Array) -> Result<bool, ModelError> {
        if !matches!(
            array.dtype(),
            Dtype::Float32 | Dtype::Float16 | Dtype::Bfloat16
        ) {
            return Ok(true);
        }
        if !self.gpu {
            array.eval()?;
            if let Some(finite) = scan(array) {
                return Ok(finite);
            }
        }
        let all = array.is_finite()?.all(None)?;
        all.eval()?;
        Ok(all
            .try_as_slice::<bool>()
            .is_ok_and(|flag| flag.first() == Some(&true)))
    }
}

/// `None` when the memory of `array` is not a plain slice.
fn scan(array: &Array) -> Option<bool> {
    match array.dtype() {
        Dtype::Float32 => {
            let numbers = array.try_as_slice::<f32>().ok()?;
            Some(all(numbers, |x| x.to_bits() & 0x7f80_0000 != 0x7f80_0000))
        }
        Dtype::Float16 => {
            let numbers = array.try_as_slice::<half::f16>().ok()?;
            Some(all(numbers, |x| x.to_bits() & 0x7c00 != 0x7c00))
        }
        Dtype::Bfloat16 => {
            let numbers = array.try_as_slice::<half::bf16>().ok()?;
            Some(all(numbers, |x| x.to_bits() & 0x7f80 != 0x7f80))
        }
        _ => None,
    }
}

/// No early exit, so that the loop becomes vector instructions.
fn all<T: Copy + Sync>(numbers: &[T], finite: impl Fn(T) -> bool + Sync) -> bool {
    let scan = |part: &[T]| part.iter().fold(true, |ok, x| ok & finite(*x));
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = threads.min(numbers.len() / WORTH_A_THREAD);
    if threads < 2 {
        return scan(numbers);
    }
    std::thread::scope(|scope| {
        let parts = numbers.chunks(numbers.len().div_ceil(threads));
        let scans: Vec<_> = parts.map(|part| scope.spawn(|| scan(part))).collect();
        scans.into_iter().all(|scan| scan.join().unwrap_or(false))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_bad_number_anywhere_is_found_in_every_type() {
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            for at in [0, 777, 1999] {
                let mut numbers = vec![0.5f32; 2000];
                numbers[at] = bad;
                let array = Array::from_slice(&numbers, &[20, 100]);
                for dtype in [Dtype::Float32, Dtype::Float16, Dtype::Bfloat16] {
                    let array = array.as_dtype(dtype).unwrap();
                    assert!(
                        !Finite::on_device().check(&array).unwrap(),
                        "{bad} at {at}, {dtype:?}"
                    );
                }
            }
        }
        let mut numbers = vec![1.0; 3 * WORTH_A_THREAD + 1];
        let array = |numbers: &[f32]| Array::from_slice(numbers, &[numbers.len() as i32]);
        assert!(Finite::on_device().check(&array(&numbers)).unwrap());
        *numbers.last_mut().unwrap() = f32::NAN;
        assert!(!Finite::on_device().check(&array(&numbers)).unwrap());
        let largest = Array::from_slice(&[f32::MAX, f32::MIN, 0.0, -0.0], &[4]);
        assert!(Finite::on_device().check(&largest).unwrap());
    }
}
