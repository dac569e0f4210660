//! The draft model beside the model in use: whether there is to be one, and
//! whether it fits.

use std::sync::Arc;

use super::Engine;
use crate::{
    cache::{CacheOptions, KvLayer},
    engine::{
        model::{Loader, Resident},
        types::*,
    },
};

/// Tokens of a sequence by whose bytes memory is parted.
const TYPICAL: u64 = 1024;

impl<L: Loader> Engine<L> {
    /// The draft to load for `source`, if the engine is set to have one.
    ///
    /// # Errors
    /// When it must have one and none is named.
    pub(super) fn wanted_draft<'a>(
        &self,
        source: &ModelSource,
        draft: Option<&'a ModelSource>,
    ) -> Result<Option<&'a ModelSource>, EngineError> {
        if self.options.deterministic || !self.options.speculation.drafts() {
            return Ok(None);
        }
        if draft.is_none() && self.options.speculation == Speculation::Draft {
            return Err(EngineError::Load {
                id: source.id().to_owned(),
                reason: "`engine.speculation` is \"draft\" and no draft model is named. Name one \
                         with `engine.draft_model`, or choose \"lookup\""
                    .to_owned(),
            });
        }
        Ok(draft)
    }

    /// Loads the draft of a model that was just loaded.
    ///
    /// # Errors
    /// When it must have one and this cannot be loaded or does not fit.
    pub(super) fn load_draft(
        &mut self,
        draft: &ModelSource,
        resident: &mut Resident,
    ) -> Result<Option<Resident>, EngineError> {
        let loaded = self.call_loader(draft).and_then(|loaded| {
            check(&loaded, resident)?;
            Ok(loaded)
        });
        let loaded = match loaded {
            Ok(loaded) => loaded,
            Err(error) => return self.spare_draft(error).map(|_| None),
        };
        if let Some(model) = Arc::get_mut(&mut resident.model) {
            model.draft = Some(loaded.model.id.clone());
        }
        Ok(Some(loaded))
    }

    /// What is wrong with a draft, unless the engine can do without. (0 is the
    /// bytes of no draft.)
    ///
    /// # Errors
    /// The same error.
    pub(super) fn spare_draft(&self, error: EngineError) -> Result<u64, EngineError> {
        if self.options.speculation != Speculation::Auto {
            return Err(error);
        }
        tracing::warn!(%error, "no draft model is used");
        Ok(0)
    }
}

/// # Errors
/// Why `draft` cannot propose tokens to `model`.
fn check(draft: &Resident, model: &Resident) -> Result<(), EngineError> {
    let refuse = |reason: String| {
        Err(EngineError::Load {
            id: draft.model.id.clone(),
            reason: format!(
                "it cannot be the draft model of `{}`: {reason}. Choose another \
                 `engine.draft_model`, or set `engine.speculation` to \"lookup\"",
                model.model.id
            ),
        })
    };
    let (own, other) = (&draft.model.tokenizer, &model.model.tokenizer);
    if !own.has_vocabulary_of(other) {
        return refuse(format!(
            "its tokenizer has other tokens ({} and {})",
            own.vocab_size(),
            other.vocab_size()
        ));
    }
    Ok(())
}

/// Parts the memory of `options` so that both caches hold as many sequences; what
/// the draft's gets is returned.
pub(super) fn share_with_draft(options: &mut CacheOptions, draft: &Resident) -> CacheOptions {
    let bytes = |layers: &[KvLayer], states: u64| {
        let token = layers.iter().map(KvLayer::bytes).sum::<u64>();
        token.saturating_mul(TYPICAL).saturating_add(states)
    };
    let layers = draft.decoder.kv_layers();
    let state_bytes = 2 * draft.decoder.state_bytes();
    let own = bytes(&layers, state_bytes);
    let all = bytes(&options.layers, options.state_bytes);
    let all = all.saturating_add(own).max(1);
    let part = |bytes: u64| (u128::from(bytes) * u128::from(own) / u128::from(all)) as u64;
    let shared = CacheOptions {
        fingerprint: format!("draft {}", draft.fingerprint),
        layers,
        state_bytes,
        snapshots_only: !draft.decoder.can_forget(),
        limit: part(options.limit),
        kept_limit: part(options.kept_limit),
        step_rows: options.step_rows,
    };
    options.limit -= shared.limit;
    options.kept_limit -= shared.kept_limit;
    shared
}
