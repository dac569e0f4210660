//! What stands between the matrix products of a layer, in one kernel each
//! instead of several: at one sequence the number of kernels is what counts.

use mlx_rs::{Array, Dtype, error::Exception};

use super::{Key, Launch, Program, kernel, type_name};

const THREADS: i32 = 256;

/// Numbers of a row that the threads of a block can hold in registers.
const WIDEST: i32 = 16_384;

/// `x + branch` and its RMS norm times `weight`, all `[T, width]` in one type;
/// `None` where the kernel does not serve.
pub fn add_norm(
    x: &Array,
    branch: &Array,
    weight: &Array,
    eps: f32,
) -> Option<Result<(Array, Array), Exception>> {
    let dtype = x.dtype();
    let name = type_name(dtype)?;
    let &[rows, width] = x.shape() else {
        return None;
    };
    let alike = branch.shape() == x.shape()
        && weight.shape() == [width]
        && [branch.dtype(), weight.dtype()] == [dtype, dtype];
    if !alike || width > WIDEST || rows == 0 {
        return None;
    }
    let key = Key::AddNorm {
        width,
        eps: eps.to_bits(),
        dtype,
    };
    let program = || Program {
        name: "maquette_add_norm",
        inputs: ["x", "branch", "weight"].map(str::to_owned).into(),
        outputs: vec!["sum", "normed"],
        constants: format!(
            "using T = {name};\nconstexpr int WIDTH = {width};\nconstexpr float EPS = {eps:e}f;\n"
        ),
        functions: include_str!("add_norm.cu"),
        body: "maquette::add_norm(x, branch, weight, sum, normed);".to_owned(),
    };
    let shape: &[i32] = &[rows, width];
    let launch = Launch {
        outputs: &[(shape, dtype), (shape, dtype)],
        blocks: [rows, 1, 1],
        threads: THREADS,
    };
    let done = kernel(key, program).and_then(|k| k.launch(&[x, branch, weight], &launch));
    Some(done.and_then(|arrays| {
        <[Array; 2]>::try_from(arrays)
            .map(|[sum, normed]| (sum, normed))
            .map_err(|_| Exception::custom("MLX gave other results than a kernel has"))
    }))
}

/// silu(gate) · up for rows `[gate | up]`: `[T, 2F]` gives `[T, F]`; `None`
/// where the kernel does not serve.
pub fn swiglu(gate_up: &Array) -> Option<Result<Array, Exception>> {
    let dtype: Dtype = gate_up.dtype();
    let name = type_name(dtype)?;
    let &[rows, both] = gate_up.shape() else {
        return None;
    };
    let width = both / 2;
    let step = if width % 8 == 0 { 8 } else { 1 };
    let items = rows.checked_mul(width / step).filter(|items| *items > 0)?;
    let program = || Program {
        name: "maquette_swiglu",
        inputs: vec!["gate_up".to_owned()],
        outputs: vec!["out"],
        constants: format!(
            "using T = {name};\nconstexpr int WIDTH = {width};\nconstexpr int STEP = {step};\n"
        ),
        functions: include_str!("swiglu.cu"),
        body: "maquette::swiglu(gate_up, out, gate_up_shape[0] * \
               int64_t(maquette::WIDTH / maquette::STEP));"
            .to_owned(),
    };
    let launch = Launch {
        outputs: &[(&[rows, width], dtype)],
        blocks: [(items - 1) / THREADS + 1, 1, 1],
        threads: THREADS,
    };
    let done =
        kernel(Key::Swiglu { width, dtype }, program).and_then(|k| k.launch(&[gate_up], &launch));
    Some(done.and_then(|arrays| {
        let first = arrays.into_iter().next();
        first.ok_or_else(|| Exception::custom("MLX gave no result of a kernel"))
    }))
}
