//! Attention of few rows over segments of keys and values, read as they are
//! stored: unpacking a long history costs more than attending to it.

use maquette_kernels::Packing;
use mlx_rs::{Array, Dtype, error::Exception};

use super::{
    Key, Launch, Program,
    decode::{DecodeSpec, THREADS, supports_decode},
    views_kernel,
};
use crate::mlx::{Scoring, Segment};

/// Rows that the kernel serves: each of them reads everything.
const MOST_ROWS: i32 = 8;
/// The first page, what is packed, and the latest tokens.
const MOST_SEGMENTS: usize = 3;

const FUNCTIONS: &str = concat!(
    include_str!("decode_attention.cu"),
    "namespace segments {\n",
    include_str!("segment_attention.cu"),
    "}\n"
);

/// How rows are packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Form {
    bits: usize,
    code_words: usize,
    /// 0 where a row has one length.
    group: usize,
}

impl Form {
    /// `None` where the kernel does not serve.
    fn new(packing: &Packing) -> Option<Self> {
        let group = packing.group().unwrap_or(0);
        let served = packing.sketch().is_none() && !packing.is_half() && group.is_multiple_of(8);
        served.then(|| Self {
            bits: packing.bits(),
            code_words: packing.code_words(),
            group,
        })
    }

    fn rows(self) -> String {
        let Self {
            bits,
            code_words,
            group,
        } = self;
        format!("PackedRows<{bits}, {code_words}, {group}>")
    }
}

/// Forms of keys and values by segment; `None` for plain ones.
type Forms = [Option<Option<[Form; 2]>>; MOST_SEGMENTS];

/// What a kernel is made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct SegmentsSpec {
    heads: DecodeSpec,
    dtype: Dtype,
    forms: Forms,
}

/// As [`crate::mlx::attention_over`]; `None` where the kernel does not serve.
pub fn segment_attention(
    q: &Array,
    segments: &[Segment],
    scoring: Scoring,
) -> Option<Result<Array, Exception>> {
    let spec = spec(q, segments, scoring)?;
    Some(run(q, segments, spec))
}

fn spec(q: &Array, segments: &[Segment], scoring: Scoring) -> Option<SegmentsSpec> {
    let &[1, heads, rows, dim] = q.shape() else {
        return None;
    };
    let first = segments.first()?;
    let kv_heads = first.keys.dim(1);
    let bare = scoring.mask.is_none() && scoring.sinks.is_none() && scoring.cap.is_none();
    let packed = segments.iter().any(|segment| segment.packing.is_some());
    let fits = (1..=MOST_ROWS).contains(&rows)
        && (rows == 1 || scoring.causal)
        && bare
        && packed
        && segments.len() <= MOST_SEGMENTS
        && supports_decode(heads, kv_heads, dim, q.dtype());
    let mut forms: Forms = [None; MOST_SEGMENTS];
    for (form, segment) in forms.iter_mut().zip(segments.iter().filter(|_| fits)) {
        let alike = segment.keys.dim(1) == kv_heads
            && [segment.width(0), segment.width(1)] == [dim, dim]
            && (segment.packing.is_some()
                || [segment.keys.dtype(), segment.values.dtype()] == [q.dtype(); 2]);
        let of = |packing: &[std::sync::Arc<Packing>; 2]| {
            Some([Form::new(&packing[0])?, Form::new(&packing[1])?])
        };
        *form = Some(match &segment.packing {
            _ if !alike => return None,
            None => None,
            Some(packing) => Some(of(packing)?),
        });
    }
    fits.then(|| SegmentsSpec {
        heads: DecodeSpec::new([heads, kv_heads, dim], None, false, scoring.scale),
        dtype: q.dtype(),
        forms,
    })
}

impl SegmentsSpec {
    fn program(&self, name: &str, segments: &[Segment]) -> Program {
        let mut inputs = vec!["q".to_owned()];
        let mut constants = self.heads.constants(name);
        let (mut tables, mut calls, mut length) = (String::new(), String::new(), String::new());
        for (at, segment) in segments.iter().enumerate() {
            inputs.extend([format!("keys{at}"), format!("values{at}")]);
            length += &format!(" + keys{at}_shape[2]");
            let (mut rows, mut of_rows) = (Vec::new(), Vec::new());
            for (which, of) in ["keys", "values"].into_iter().enumerate() {
                let form = self.forms[at].flatten().map(|forms| forms[which]);
                let kind = form.map_or_else(|| "PlainRows".to_owned(), Form::rows);
                rows.push(format!(
                    "{kind}{{{of}{at} + kv_head * {of}{at}_strides[1], {of}{at}_strides[2]}}"
                ));
                let packing = segment.packing.as_ref().map(|packing| &packing[which]);
                let Some(codebook) = packing.and_then(|packing| packing.codebook()) else {
                    of_rows.push("nullptr".to_owned());
                    continue;
                };
                let size = codebook.len();
                constants += &table(&format!("TABLE_{of}{at}"), codebook, self.heads.dim);
                tables += &format!(
                    "__shared__ float {of}{at}_table[{size}];\n\
                     fill({of}{at}_table, maquette::TABLE_{of}{at});\n"
                );
                of_rows.push(format!("{of}{at}_table"));
            }
            calls += &format!(
                "walk.segment({}, {}, keys{at}_shape[2], {}, {});\n",
                rows[0], rows[1], of_rows[0], of_rows[1]
            );
        }
        Program {
            name: "maquette_segment_attention",
            inputs,
            outputs: vec!["out", "parts", "sums"],
            constants,
            functions: FUNCTIONS,
            body: format!(
                "using namespace maquette::segments;\n{tables}__syncthreads();\n\
                 const int64_t kv_head = blockIdx.y * maquette::GROUP / maquette::SHARE;\n\
                 Walk walk;\nwalk.open(q, q_strides[1], q_strides[2], q_shape[2], 0{length});\n\
                 {calls}walk.close(out, parts, sums);"
            ),
        }
    }
}

/// The numbers that codes stand for, on the row's own sphere.
fn table(name: &str, codebook: &[f32], width: i32) -> String {
    let radius = (width as f32).sqrt();
    let entries: Vec<String> = codebook
        .iter()
        .map(|c| format!("{:e}f", c / radius))
        .collect();
    format!(
        "__device__ const float {name}[{}] = {{{}}};\n",
        codebook.len(),
        entries.join(", ")
    )
}

fn run(q: &Array, segments: &[Segment], spec: SegmentsSpec) -> Result<Array, Exception> {
    let (heads, rows) = (spec.heads, q.dim(2));
    let name = heads.type_name(spec.dtype)?;
    let main = views_kernel(Key::Segments(spec), || spec.program(name, segments))?;
    let keys: i32 = segments.iter().map(Segment::rows).sum();
    let parts = heads.parts(rows as usize, keys as usize) as i32;
    let mut inputs = vec![q];
    inputs.extend(segments.iter().flat_map(|s| [&s.keys, &s.values]));
    let out = [rows, heads.heads * heads.dim];
    let (many, sums) = match parts {
        1 => ([1, 1, 1, 1], [1, 1, 1, 1]),
        _ => (
            [rows, heads.heads, parts, heads.dim],
            [rows, heads.heads, parts, 2],
        ),
    };
    let launch = Launch {
        outputs: &[
            (&out, spec.dtype),
            (&many, Dtype::Float32),
            (&sums, Dtype::Float32),
        ],
        blocks: [parts, heads.heads / heads.group(), rows],
        threads: THREADS,
    };
    let results = main.launch(&inputs, &launch)?;
    let [whole, many, sums] = <[Array; 3]>::try_from(results)
        .map_err(|_| Exception::custom("MLX gave other results than a kernel has"))?;
    let mixed = match parts {
        1 => whole,
        _ => heads.merge(&many, &sums, spec.dtype)?,
    };
    if rows == 1 {
        return mixed.reshape(&[1, heads.heads, 1, heads.dim]);
    }
    mixed
        .reshape(&[1, rows, heads.heads, heads.dim])?
        .transpose_axes(&[0, 2, 1, 3])
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use mlx_rs::ops;

    use super::*;

    fn segment(rows: i32, packing: Option<Packing>) -> Segment {
        let packing = packing.map(Arc::new);
        let (width, dtype) = match &packing {
            None => (64, Dtype::Float16),
            Some(packing) => (packing.words() as i32, Dtype::Uint32),
        };
        let array = ops::zeros_dtype(&[1, 2, rows, width], dtype).unwrap();
        Segment {
            keys: array.clone(),
            values: array,
            packing: packing.map(|packing| [packing.clone(), packing]),
        }
    }

    #[test]
    fn the_text_reads_every_segment_as_it_is_stored() {
        let segments = [
            segment(64, None),
            segment(100, Some(Packing::affine(64, 8))),
            segment(7, Some(Packing::sphere(64, 3, None))),
        ];
        let forms = segments.each_ref().map(|segment| {
            let forms = segment.packing.as_ref();
            Some(forms.map(|p| [0, 1].map(|which| Form::new(&p[which]).unwrap())))
        });
        let spec = SegmentsSpec {
            heads: DecodeSpec::new([4, 2, 64], None, false, 0.125),
            dtype: Dtype::Float16,
            forms,
        };
        let program = spec.program("__half", &segments);
        assert_eq!(program.inputs.len(), 7);
        for part in [
            "PlainRows{keys0 + kv_head * keys0_strides[1], keys0_strides[2]}",
            "PackedRows<8, 16, 64>{values1 +",
            "PackedRows<3, 6, 0>{keys2 +",
            "__shared__ float values2_table[8];",
            "0 + keys0_shape[2] + keys1_shape[2] + keys2_shape[2]);",
        ] {
            assert!(program.body.contains(part), "{part} is missing");
        }
        assert!(program.header().contains("float TABLE_keys2[8] = {"));
    }

    #[test]
    fn other_packings_are_left_to_mlx() {
        assert!(Form::new(&Packing::half(64)).is_none());
        let sketch = maquette_kernels::packing::Sketch::new(64, 1);
        assert!(Form::new(&Packing::sphere(64, 4, Some(sketch))).is_none());
        assert!(Form::new(&Packing::affine(64, 4)).is_some());
    }
}
