//! Where the tensors of a model are found.

/// `{}` stands for the layer's number. A file may leave out the leading
/// `model.`, or put the prefixes of a model with vision before it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Names {
    pub embedding: &'static str,
    pub norm: &'static str,
    pub head: &'static str,
    /// Of the table of learned positions.
    pub positions: &'static str,
    pub layer: &'static str,
    /// Layers of ours in one of the files': `#` in names within a layer stands
    /// for the place among them.
    pub per_layer: usize,
    pub before_mixer: &'static str,
    pub after_mixer: &'static str,
    pub before_mlp: &'static str,
    pub after_mlp: &'static str,
    pub qkv: [&'static str; 3],
    pub fused_qkv: &'static str,
    pub output: &'static str,
    /// The module of latent attention.
    pub latent: &'static str,
    pub q_norm: &'static str,
    pub k_norm: &'static str,
    pub sinks: &'static str,
    /// Of attention's result.
    pub gate: &'static str,
    pub gate_up: [&'static str; 2],
    pub fused_gate_up: &'static str,
    pub down: &'static str,
    /// Up and down of an MLP without a gate.
    pub plain: [&'static str; 2],
    /// Of the numbers of an activation that has some.
    pub activation: &'static str,
    /// Of matrices in the place of attention and of an MLP.
    pub linear: [&'static str; 2],
    /// A part of names as it is here, and as it is where makers published
    /// other ones.
    pub published: &'static [(&'static str, &'static str)],
    /// Matrices whose names begin with it are stored `[columns, rows]`.
    pub transposed: Option<&'static str>,
}

/// Names within a layer. `{}` stands for the expert's number.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MoeNames {
    pub router: &'static str,
    /// The routing's correction of the scores.
    pub correction: &'static str,
    /// Converted models may have lost it.
    pub correction_is_optional: bool,
    /// Gate, up and down of all experts, one tensor each `[experts, …]`.
    pub stacked: [&'static str; 3],
    /// The same, one tensor an expert.
    pub each: [&'static str; 3],
    pub shared: [&'static str; 3],
    pub shared_gate: &'static str,
    /// To what experts see, and back.
    pub latent: [&'static str; 2],
    pub joined: Joined,
    /// Gate, up and down as some makers publish them, nothing but a tensor of
    /// all experts each, `[experts · rows, columns]`; down is transposed.
    pub in_a_row: Option<[&'static str; 3]>,
}

/// How makers publish the matrices of all experts in two tensors, gate and up
/// in one; what was converted has them apart, see [`MoeNames::stacked`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Joined {
    pub gate_up: &'static str,
    pub down: &'static str,
    /// Gate and up take turns by row, instead of one after the other.
    pub interleaved: bool,
    /// Stored `[experts, columns, rows]`.
    pub transposed: bool,
}

impl Names {
    /// The names that Llama introduced and most families kept.
    pub const LLAMA: Self = Self {
        embedding: "model.embed_tokens",
        norm: "model.norm",
        head: "lm_head",
        positions: "model.embed_positions",
        layer: "model.layers.{}",
        per_layer: 1,
        before_mixer: "input_layernorm",
        after_mixer: "post_attention_layernorm",
        before_mlp: "post_attention_layernorm",
        after_mlp: "post_feedforward_layernorm",
        qkv: ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"],
        fused_qkv: "self_attn.qkv_proj",
        output: "self_attn.o_proj",
        latent: "self_attn",
        q_norm: "self_attn.q_norm",
        k_norm: "self_attn.k_norm",
        sinks: "self_attn.sinks",
        gate: "self_attn.gate_proj",
        gate_up: ["mlp.gate_proj", "mlp.up_proj"],
        fused_gate_up: "mlp.gate_up_proj",
        down: "mlp.down_proj",
        plain: ["mlp.fc1", "mlp.fc2"],
        activation: "mlp.act_fn",
        linear: ["self_attn.linear", "mlp.linear"],
        published: &[],
        transposed: None,
    };

    /// The full name of `part` in layer `index`.
    pub fn in_layer(&self, index: usize, part: &str) -> String {
        let (layer, place) = (index / self.per_layer, index % self.per_layer);
        let layer = self.layer.replace("{}", &layer.to_string());
        format!("{layer}.{}", part.replace('#', &place.to_string()))
    }
}

impl MoeNames {
    /// The names that Qwen and DeepSeek share.
    pub const COMMON: Self = Self {
        router: "mlp.gate",
        correction: "mlp.gate.e_score_correction_bias",
        correction_is_optional: false,
        stacked: [
            "mlp.switch_mlp.gate_proj",
            "mlp.switch_mlp.up_proj",
            "mlp.switch_mlp.down_proj",
        ],
        each: [
            "mlp.experts.{}.gate_proj",
            "mlp.experts.{}.up_proj",
            "mlp.experts.{}.down_proj",
        ],
        shared: [
            "mlp.shared_experts.gate_proj",
            "mlp.shared_experts.up_proj",
            "mlp.shared_experts.down_proj",
        ],
        shared_gate: "mlp.shared_expert_gate",
        latent: ["mlp.fc1_latent_proj", "mlp.fc2_latent_proj"],
        joined: Joined {
            gate_up: "mlp.experts.gate_up_proj",
            down: "mlp.experts.down_proj",
            interleaved: false,
            transposed: false,
        },
        in_a_row: None,
    };
}
