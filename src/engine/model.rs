//! What the engine needs of a model, and where it gets one.

use std::{path::Path, sync::Arc};

use mlx_rs::{Array, error::Exception};
use serde_json::Value;

use super::{
    handle::LoadedModel,
    types::{EngineError, EngineOptions, GenerationDefaults, ModelSource},
};
use crate::{
    cache::{KvLayer, KvStore},
    models::{self, LoadOptions, Model, ModelError, ModelSpec, Step},
    text::{ChatTemplate, TextError, Tokenizer},
};

/// A decoder as the engine sees it.
pub(super) trait Decoder {
    /// Logits of the rows that the step asks for, lazy.
    fn forward(&self, step: &Step, kv: &mut dyn KvStore) -> Result<Array, Exception>;
    /// What each layer keeps of a token.
    fn kv_layers(&self) -> Vec<KvLayer>;
    /// Bytes of recurrent state that a sequence needs, however long it is.
    fn state_bytes(&self) -> u64 {
        0
    }
    /// Bytes that a step of so many rows, some of which get logits, takes beside
    /// weights, keys and values.
    fn step_bytes(&self, _rows: usize, _sampled: usize) -> u64 {
        0
    }
    /// Whether a sequence can be cut back to any length. A state that is carried
    /// from token to token cannot: it goes back to where one was kept.
    fn can_forget(&self) -> bool {
        true
    }
}

impl Decoder for Model {
    fn forward(&self, step: &Step, kv: &mut dyn KvStore) -> Result<Array, Exception> {
        Model::forward(self, step, kv)
    }

    fn kv_layers(&self) -> Vec<KvLayer> {
        Model::kv_layers(self)
    }

    fn state_bytes(&self) -> u64 {
        Model::state_bytes(self) as u64
    }

    fn step_bytes(&self, rows: usize, sampled: usize) -> u64 {
        Model::step_bytes(self, rows, sampled)
    }

    fn can_forget(&self) -> bool {
        Model::can_forget(self)
    }
}

/// A model that is ready to run.
pub(super) struct Resident {
    pub decoder: Box<dyn Decoder>,
    pub model: Arc<LoadedModel>,
    /// Covers everything that changes keys and values.
    pub fingerprint: String,
}

/// Makes models, on the engine thread.
pub(super) trait Loader: Send + 'static {
    /// Bytes of the weights, before they are loaded.
    fn estimate(&self, source: &ModelSource) -> Result<u64, EngineError>;

    fn load(
        &mut self,
        source: &ModelSource,
        options: &EngineOptions,
        progress: &mut dyn FnMut(f32),
    ) -> Result<Resident, EngineError>;
}

/// Loads real models.
#[derive(Debug, Default)]
pub(super) struct DeviceLoader;

impl Loader for DeviceLoader {
    fn estimate(&self, source: &ModelSource) -> Result<u64, EngineError> {
        match source {
            ModelSource::Folder { path, .. } => {
                let facts = models::inspect(path).map_err(|error| failed(source, error))?;
                match facts.problem {
                    Some(problem) => Err(failed(source, problem)),
                    None => Ok(facts.weight_bytes),
                }
            }
            ModelSource::Random { config, bits, .. } => {
                let config = models::Config::read(config).map_err(|e| failed(source, e))?;
                let spec = models::families::describe(&config).map_err(|e| failed(source, e))?;
                // A quantised weight comes with its group's scale and bias.
                let bits_each = bits.map_or(16.0, |bits| bits as f64 + 0.5);
                Ok((spec.parameters() as f64 * bits_each / 8.0) as u64)
            }
        }
    }

    fn load(
        &mut self,
        source: &ModelSource,
        options: &EngineOptions,
        progress: &mut dyn FnMut(f32),
    ) -> Result<Resident, EngineError> {
        let weigh = |error: ModelError| failed(source, error);
        let words = |error: TextError| failed(source, error);
        let folder = match source {
            ModelSource::Folder { path, .. } => path.as_path(),
            ModelSource::Random { config, .. } => config.parent().unwrap_or(Path::new(".")),
        };
        // Text first: it is quick, and says at once if files do not fit.
        let (tokenizer, template) = texts(source, folder).map_err(words)?;
        let defaults = generation_defaults(folder).map_err(words)?;
        let model = match source {
            ModelSource::Folder { path, .. } => {
                let options = LoadOptions {
                    check_finite: options.check_finite,
                };
                models::load(path, &options, progress).map_err(weigh)?
            }
            ModelSource::Random { config, bits, .. } => {
                models::random(config, *bits, progress).map_err(weigh)?
            }
        };
        let spec: &ModelSpec = model.spec();
        tokenizer.check_vocabulary(spec.vocab).map_err(words)?;
        let context = options
            .context_limit
            .unwrap_or(usize::MAX)
            .min(spec.context);
        let loaded = LoadedModel {
            id: source.id().to_owned(),
            family: spec.family.clone(),
            quantisation: model.quantisation().to_owned(),
            parameters: spec.parameters(),
            weight_bytes: model.weight_bytes(),
            context_length: context,
            vocab_size: spec.vocab,
            kv_layers: model.kv_layers(),
            tokenizer,
            template,
            defaults,
            draft: None,
        };
        Ok(Resident {
            fingerprint: fingerprint(source, &model),
            decoder: Box::new(model),
            model: Arc::new(loaded),
        })
    }
}

/// Without a name that lasts, what the model computes is nobody else's.
fn fingerprint(source: &ModelSource, model: &Model) -> String {
    let dtype = model.activation_dtype();
    let named = match source {
        ModelSource::Folder { path, .. } => models::fingerprint(path, dtype),
        ModelSource::Random { config, bits, .. } => {
            models::random_fingerprint(config, *bits, dtype)
        }
    };
    named.unwrap_or_else(|error| {
        tracing::warn!(model = source.id(), %error, "the model's files could not be fingerprinted");
        uuid::Uuid::new_v4().to_string()
    })
}

fn failed(source: &ModelSource, reason: impl ToString) -> EngineError {
    EngineError::Load {
        id: source.id().to_owned(),
        reason: reason.to_string(),
    }
}

/// A model of random weights needs no tokenizer: without one its texts are
/// plain bytes.
fn texts(
    source: &ModelSource,
    folder: &Path,
) -> Result<(Arc<Tokenizer>, Option<ChatTemplate>), TextError> {
    let tokenizer = match (source, Tokenizer::load(folder)) {
        (ModelSource::Random { .. }, Err(TextError::NoTokenizer { .. })) => Tokenizer::bytes(),
        (_, loaded) => loaded?,
    };
    Ok((Arc::new(tokenizer), ChatTemplate::load(folder)?))
}

fn generation_defaults(folder: &Path) -> Result<GenerationDefaults, TextError> {
    let config = crate::text::read_config(&folder.join("generation_config.json"))?;
    let number = |name: &str| config[name].as_f64().map(|value| value as f32);
    // Without sampling the recommended temperature means nothing.
    let greedy = config["do_sample"] == Value::Bool(false);
    Ok(GenerationDefaults {
        temperature: if greedy {
            Some(0.0)
        } else {
            number("temperature")
        },
        top_k: config["top_k"].as_u64().and_then(|k| u32::try_from(k).ok()),
        top_p: number("top_p"),
        min_p: number("min_p"),
        repetition_penalty: number("repetition_penalty"),
    })
}
