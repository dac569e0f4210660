//! The supported families: each a pure function from config.json to a
//! [`ModelSpec`]. `docs/adding-a-family.md` shows how to add one.

mod afmoe;
mod apertus;
mod bailing_moe;
mod bailing_moe_linear;
mod cohere;
mod cohere2;
mod common;
mod dbrx;
mod deepseek;
mod deepseek_v2;
mod deepseek_v3;
mod deepseek_v32;
mod dots1;
mod ernie4_5;
mod ernie4_5_moe;
mod exaone;
mod exaone4;
mod exaone_moe;
mod falcon_h1;
mod gemma;
mod gemma2;
mod gemma3;
mod gemma4;
mod glm;
mod glm4;
mod glm4_moe;
mod glm4_moe_lite;
mod gpt2;
mod gpt_bigcode;
mod gpt_neox;
mod gpt_oss;
mod granite;
mod granitemoe;
mod granitemoehybrid;
mod helium;
mod hunyuan;
mod hunyuan_v1_dense;
mod internlm2;
mod internlm3;
mod jamba;
mod kimi_linear;
mod klear;
mod laguna;
mod lfm2;
mod lfm2_moe;
mod lille_130m;
mod llama;
mod llama4;
mod longcat_flash;
mod mamba;
mod mamba2;
mod mellum;
mod mimo;
mod mimo_v2_flash;
mod minicpm;
mod minicpm3;
mod minimax;
mod ministral3;
mod mistral;
mod mistral4;
mod mixtral;
mod nanochat;
mod nemotron;
mod nemotron_h;
mod nemotron_nas;
mod olmo;
mod olmo2;
mod olmo3;
mod olmo_hybrid;
mod olmoe;
mod openelm;
mod phi;
mod phi3;
mod phimoe;
mod phixtral;
mod plamo;
mod plamo2;
mod qwen;
mod qwen2;
mod qwen2_moe;
mod qwen3;
mod qwen3_5;
mod qwen3_moe;
mod qwen3_next;
mod recurrent_gemma;
mod rope;
mod seed_oss;
mod smollm3;
mod stablelm;
mod starcoder2;
mod step3p5;
mod telechat3;
mod vision;
mod youtu_llm;

use super::{Config, ModelError, ModelSpec};

type Describe = fn(&Config) -> Result<ModelSpec, ModelError>;

/// `model_type` of config.json and the function that understands it.
const FAMILIES: &[(&str, Describe)] = &[
    ("Klear", klear::spec),
    ("afmoe", afmoe::spec),
    ("apertus", apertus::spec),
    ("bailing_moe", bailing_moe::spec),
    ("bailing_moe_linear", bailing_moe_linear::spec),
    ("cohere", cohere::spec),
    ("cohere2", cohere2::spec),
    ("dbrx", dbrx::spec),
    ("deepseek", deepseek::spec),
    ("deepseek_v2", deepseek_v2::spec),
    ("deepseek_v3", deepseek_v3::spec),
    ("deepseek_v32", deepseek_v32::spec),
    ("dots1", dots1::spec),
    ("ernie4_5", ernie4_5::spec),
    ("ernie4_5_moe", ernie4_5_moe::spec),
    ("exaone", exaone::spec),
    ("exaone4", exaone4::spec),
    ("exaone_moe", exaone_moe::spec),
    ("falcon_h1", falcon_h1::spec),
    ("falcon_mamba", mamba::spec),
    ("gemma", gemma::spec),
    ("gemma2", gemma2::spec),
    ("gemma3", gemma3::spec),
    ("gemma3_text", gemma3::spec),
    ("gemma4", gemma4::spec),
    ("gemma4_text", gemma4::spec),
    ("glm", glm::spec),
    ("glm4", glm4::spec),
    ("glm4_moe", glm4_moe::spec),
    ("glm4_moe_lite", glm4_moe_lite::spec),
    ("glm_moe_dsa", deepseek_v32::glm),
    ("gpt2", gpt2::spec),
    ("gpt_bigcode", gpt_bigcode::spec),
    ("gpt_neox", gpt_neox::spec),
    ("gpt_oss", gpt_oss::spec),
    ("granite", granite::spec),
    ("granitemoe", granitemoe::spec),
    ("granitemoehybrid", granitemoehybrid::spec),
    ("helium", helium::spec),
    ("hunyuan", hunyuan::spec),
    ("hunyuan_v1_dense", hunyuan_v1_dense::spec),
    ("hunyuan_v1_moe", hunyuan::spec),
    ("internlm2", internlm2::spec),
    ("internlm3", internlm3::spec),
    ("jamba", jamba::spec),
    ("joyai_llm_flash", deepseek_v3::spec),
    ("kimi_k2", deepseek_v3::spec),
    ("kimi_k25", vision::kimi),
    ("kimi_linear", kimi_linear::spec),
    ("kimi_vl", vision::kimi),
    ("laguna", laguna::spec),
    ("lfm2", lfm2::spec),
    ("lfm2_moe", lfm2_moe::spec),
    ("lille-130m", lille_130m::spec),
    ("llama", llama::spec),
    ("llama4", llama4::spec),
    ("llava", vision::mistral3),
    ("longcat_flash", longcat_flash::spec),
    ("mamba", mamba::spec),
    ("mamba2", mamba2::spec),
    ("mellum", mellum::spec),
    ("mimo", mimo::spec),
    ("mimo_v2_flash", mimo_v2_flash::spec),
    ("minicpm", minicpm::spec),
    ("minicpm3", minicpm3::spec),
    ("minimax", minimax::spec),
    ("minimax_m2", minimax::spec),
    ("ministral3", ministral3::spec),
    ("mistral", mistral::spec),
    ("mistral3", vision::mistral3),
    ("mistral4", mistral4::spec),
    ("mixtral", mixtral::spec),
    ("nanochat", nanochat::spec),
    ("nemotron", nemotron::spec),
    ("nemotron-nas", nemotron_nas::spec),
    ("nemotron_h", nemotron_h::spec),
    ("olmo", olmo::spec),
    ("olmo2", olmo2::spec),
    ("olmo3", olmo3::spec),
    ("olmo_hybrid", olmo_hybrid::spec),
    ("olmoe", olmoe::spec),
    ("openelm", openelm::spec),
    ("phi", phi::spec),
    ("phi-msft", phixtral::spec),
    ("phi3", phi3::spec),
    ("phimoe", phimoe::spec),
    ("phixtral", phixtral::spec),
    ("pixtral", vision::pixtral),
    ("plamo", plamo::spec),
    ("plamo2", plamo2::spec),
    ("qwen", qwen::spec),
    ("qwen2", qwen2::spec),
    ("qwen2_5_vl", vision::qwen2_vl),
    ("qwen2_moe", qwen2_moe::spec),
    ("qwen2_vl", vision::qwen2_vl),
    ("qwen3", qwen3::spec),
    ("qwen3_5", qwen3_5::spec),
    ("qwen3_5_moe", qwen3_5::spec),
    ("qwen3_5_moe_text", qwen3_5::spec),
    ("qwen3_5_text", qwen3_5::spec),
    ("qwen3_moe", qwen3_moe::spec),
    ("qwen3_next", qwen3_next::spec),
    ("qwen3_vl", vision::qwen3_vl),
    ("qwen3_vl_moe", vision::qwen3_vl_moe),
    ("recurrent_gemma", recurrent_gemma::spec),
    ("seed_oss", seed_oss::spec),
    ("smollm3", smollm3::spec),
    ("solar_open", glm4_moe::spec),
    ("stablelm", stablelm::spec),
    ("starcoder2", starcoder2::spec),
    ("step3p5", step3p5::spec),
    ("telechat3", telechat3::spec),
    ("youtu_llm", youtu_llm::spec),
];

/// The values of `model_type` that [`describe`] accepts.
pub fn supported() -> impl Iterator<Item = &'static str> {
    FAMILIES.iter().map(|(name, _)| *name)
}

/// Describes the model of a config.json.
///
/// # Errors
/// When the family is unknown or a value is missing or makes no sense.
pub fn describe(config: &Config) -> Result<ModelSpec, ModelError> {
    let family = config.text("model_type")?;
    let Some((_, spec)) = FAMILIES.iter().find(|(name, _)| *name == family) else {
        return Err(ModelError::UnknownFamily {
            path: config.path().to_owned(),
            family: family.to_owned(),
            supported: supported().collect::<Vec<_>>().join(", "),
            nearest: nearest(family),
        });
    };
    let spec = spec(config)?;
    spec.check(config)?;
    Ok(spec)
}

/// A sentence that names the family spelt most like `name`; empty when none
/// comes close.
fn nearest(name: &str) -> String {
    let similar = |family: &&str| {
        let common = name.chars().zip(family.chars()).take_while(|(a, b)| a == b);
        common.count()
    };
    match supported().max_by_key(similar) {
        Some(family) if similar(&family) >= 3 => format!(" The nearest is {family}."),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn nearest_family_is_named_only_when_it_is_near() {
        assert_eq!(nearest("llama5"), " The nearest is llama4.");
        assert_eq!(nearest("bert"), "");
    }
}
