//! Which model is in memory: loading, replacing, unloading.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use super::{Engine, admission::Admission, drafting::share_with_draft, guarded};
use crate::{
    cache::{CacheOptions, KvCache, Scheme, Unsaved},
    engine::{
        handle::LoadedModel,
        model::{Loader, Resident},
        quality::{self, KvQuality},
        queue::{Change, Next},
        speculation::{draft::Drafter, gain::Gain},
        types::*,
        validate::validate,
        warm_up::{later, warm_up},
    },
    mlx,
};

/// The part of what the weights leave that kept pages may fill by default, and
/// their most on a device whose memory other programs use too.
const KEPT_SHARE: u64 = 4;
const KEPT_MOST: u64 = 2 << 30;

/// The part of the host's memory that pages may fill by default, where the
/// device has memory of its own.
const RAM_SHARE: u64 = 4;

/// The part of what the weights leave that is set aside for the activations of
/// a step, at most.
const STEP_MOST: u64 = 4;

/// Pages are waited for so long when they are to be stored at once.
const WRITE_PATIENCE: Duration = Duration::from_secs(60);

/// The part of memory that unused buffers may hold until they are used again:
/// enough for the activations of a step.
const REUSABLE_SHARE: u64 = 16;
const REUSABLE_LEAST: u64 = 256 << 20;
const REUSABLE_MOST: u64 = 4 << 30;

impl<L: Loader> Engine<L> {
    /// Changes the model once nothing runs any more.
    pub(super) fn change(&mut self, change: Change) -> Admission {
        if self.flight.is_none() && !self.running.iter().any(|s| s.is_ready()) {
            // What is left has readers that no longer read.
            while !self.running.is_empty() {
                let reason = "the model was changed while its reader did not read";
                self.fail(0, EngineError::Compute(reason.to_owned()));
            }
        }
        if self.flight.is_some() || !self.running.is_empty() {
            self.queue.put_back(Next::Change(change));
            return Admission::Later;
        }
        match change {
            Change::Load {
                source,
                draft,
                reply,
            } => {
                let loaded = self.load(&source, draft.as_ref());
                if let Err(error) = &loaded {
                    tracing::error!(model = source.id(), %error, "loading failed");
                }
                self.stats.send_modify(|stats| stats.loading = None);
                self.publish();
                // Whoever asked may be gone.
                let _ = reply.send(loaded);
            }
            Change::Unload { reply } => {
                self.drop_model();
                self.publish();
                let _ = reply.send(());
            }
        }
        Admission::Done
    }

    fn load(
        &mut self,
        source: &ModelSource,
        draft: Option<&ModelSource>,
    ) -> Result<Arc<LoadedModel>, EngineError> {
        let begun = Instant::now();
        let draft = self.wanted_draft(source, draft)?;
        let beside = draft.map_or(Ok(0), |draft| self.loader.estimate(draft));
        let needed = self.loader.estimate(source)? + beside.or_else(|it| self.spare_draft(it))?;
        self.measure_memory();
        let limit = self.memory_limit;
        if needed > limit {
            return Err(EngineError::OutOfMemory {
                what: match draft {
                    Some(draft) => format!("the weights of `{}` and `{}`", source.id(), draft.id()),
                    None => format!("the weights of `{}`", source.id()),
                },
                needed,
                available: limit,
                limit,
            });
        }
        let held = self.weights() + self.kv.counters().kept_bytes;
        if held + needed > limit {
            self.kv.clear();
        }
        let mut note = "";
        if self.weights() + needed > limit {
            tracing::warn!(
                model = source.id(),
                "memory does not hold both models: the one in use is freed first"
            );
            self.drop_model();
            note = ". The model in use before had to be freed first, to make room";
        }
        let mut resident = self.call_loader(source).map_err(|error| match error {
            EngineError::Load { id, reason } => EngineError::Load {
                id,
                reason: reason + note,
            },
            other => other,
        })?;
        let draft = match draft {
            Some(draft) => self.load_draft(draft, &mut resident)?,
            None => None,
        };
        let model = resident.model.clone();
        self.drop_model();
        if mlx::backend() != mlx::Backend::Cpu {
            let proposals = match self.options.deterministic {
                false if self.options.speculation != Speculation::Off => self.options.draft_tokens,
                _ => 0,
            };
            let drafts = draft.iter().map(|draft| (draft, 0));
            for (resident, proposals) in drafts.chain([(&resident, proposals)]) {
                let chunk = self.chunk.min(resident.model.context_length);
                if let Err(error) = warm_up(&*resident.decoder, chunk, proposals) {
                    tracing::warn!(model = %resident.model.id, %error, "the model's first run failed");
                }
            }
        }
        self.install(resident, draft);
        if mlx::backend() != mlx::Backend::Cpu {
            self.to_warm = later(self.chunk.min(model.context_length));
        }
        tracing::info!(
            model = %model.id,
            family = %model.family,
            quantisation = %model.quantisation,
            parameters = model.parameters,
            weight_bytes = model.weight_bytes,
            context = model.context_length,
            draft = model.draft,
            load_ms = begun.elapsed().as_millis() as u64,
            "model loaded"
        );
        Ok(model)
    }

    pub(super) fn call_loader(&mut self, source: &ModelSource) -> Result<Resident, EngineError> {
        let stats = self.stats.clone();
        let mut told = Instant::now();
        let mut progress = |part: f32| {
            if told.elapsed() >= Duration::from_millis(100) {
                told = Instant::now();
                stats.send_modify(|stats| stats.loading = Some((source.id().to_owned(), part)));
            }
        };
        let loader = &mut self.loader;
        let options = &self.options;
        guarded(|| Ok(loader.load(source, options, &mut progress))).unwrap_or_else(|fault| {
            Err(EngineError::Load {
                id: source.id().to_owned(),
                reason: fault.to_string(),
            })
        })
    }

    fn install(&mut self, resident: Resident, draft: Option<Resident>) {
        let drafts = draft.as_ref().map_or(0, |it| it.model.weight_bytes);
        let (rows, sampled) = (self.budget().step, self.options.max_sequences);
        let left = self.memory_limit;
        let left = left.saturating_sub(resident.model.weight_bytes + drafts);
        let step = resident.decoder.step_bytes(rows, sampled);
        let step = step.min(left / STEP_MOST);
        let room = left - step;
        tracing::debug!(model = %resident.model.id, step_bytes = step, kv_bytes = room, "memory is parted");
        let kept = self.options.prefix_cache_bytes;
        let kept = kept.unwrap_or_else(|| default_kept(room));
        let before = self.kv.counters();
        self.evicted_before += before.evicted;
        self.prefix_before = self.prefix_before.plus(before.prefix);
        // What is carried on before proposals is kept beside what is after them.
        let states = 1 + u64::from(self.options.speculation != Speculation::Off);
        let mut options = CacheOptions {
            fingerprint: self.own_fingerprint(&resident),
            layers: resident.decoder.kv_layers(),
            state_bytes: resident.decoder.state_bytes() * states,
            snapshots_only: !resident.decoder.can_forget(),
            limit: room,
            kept_limit: kept,
            step_rows: self.chunk,
        };
        self.kv_mode = self.options.kv_mode_of(&resident.model.id);
        if let Err(refusal) = Scheme::check(self.kv_mode, &options.layers) {
            tracing::warn!(model = %resident.model.id, %refusal, "keys and values stay plain");
            self.kv_mode = KvMode::Plain;
        }
        let goes_back = resident.decoder.can_forget();
        self.gain = Gain::new(self.options.always_propose, !goes_back);
        self.drafter = draft.map(|draft| {
            let shared = share_with_draft(&mut options, &draft);
            Drafter::new(draft, resident.model.vocab_size, self.chunk, shared)
        });
        let mut kv = KvCache::new(options);
        if let Some(ram) = &self.ram {
            kv = kv.with_ram(ram.clone());
        }
        if let Some(disk) = &self.disk {
            let disk = disk.model(&resident.model.id);
            kv = kv.with_disk_in(self.options.disk_kv_mode, disk);
        }
        self.kv = kv;
        self.model.send_replace(Some(resident.model.clone()));
        self.resident = Some(resident);
    }

    pub(super) fn compare_kv(
        &self,
        tokens: &[u32],
        generate: usize,
    ) -> Result<Vec<KvQuality>, EngineError> {
        let resident = self.resident.as_ref().ok_or(EngineError::NoModel)?;
        let request = Request {
            prompt: tokens.to_vec(),
            ..Request::default()
        };
        validate(&request, &resident.model)?;
        quality::compare(&*resident.decoder, tokens, generate)
            .map_err(|error| EngineError::Compute(error.0))
    }

    /// Hands all pages to the disk's writer and waits until it has written
    /// them, for a while at most.
    pub(super) fn save_all(&mut self) {
        let Some(disk) = &self.disk else {
            return;
        };
        let deadline = Instant::now() + WRITE_PATIENCE;
        loop {
            match self.kv.write_behind() {
                Unsaved::None => break,
                Unsaved::More => {}
                Unsaved::Later => disk.flush(WRITE_PATIENCE),
            }
            if Instant::now() > deadline {
                tracing::warn!("the disk is slow: some pages are not stored");
                break;
            }
        }
        disk.flush(deadline.saturating_duration_since(Instant::now()));
    }

    /// A deterministic engine finds nothing that another one has kept.
    fn own_fingerprint(&self, resident: &Resident) -> String {
        let kind = if self.options.deterministic {
            "deterministic "
        } else {
            ""
        };
        format!("{kind}{}", resident.fingerprint)
    }

    fn drop_model(&mut self) {
        // What the queue does not take is given up.
        while self.kv.write_behind() == Unsaved::More {}
        self.kv.clear();
        self.drafter = None;
        if let Some(resident) = self.resident.take() {
            tracing::info!(model = %resident.model.id, "model unloaded");
            self.model.send_replace(None);
            drop(resident);
            let _ = mlx_rs::memory::clear_cache();
        }
    }

    pub(super) fn weights(&self) -> u64 {
        let resident = self.resident.as_ref();
        let drafts = self.drafter.as_ref().map_or(0, |it| it.weight_bytes);
        resident.map_or(0, |resident| resident.model.weight_bytes) + drafts
    }

    /// Finds how much memory there is, and bounds what MLX keeps of buffers
    /// that are no longer used.
    pub(super) fn measure_memory(&mut self) {
        self.memory_limit = self.find_memory_limit();
        let reusable = (self.memory_limit / REUSABLE_SHARE).clamp(REUSABLE_LEAST, REUSABLE_MOST);
        if let Err(error) = mlx_rs::memory::set_cache_limit(reusable as usize) {
            tracing::warn!(%error, "MLX's unused buffers could not be bounded");
        }
    }

    /// Bytes that weights, keys and values may take: what was set, or nine
    /// tenths of the device's memory and no more than is free now.
    fn find_memory_limit(&self) -> u64 {
        if let Some(limit) = self.options.memory_limit {
            return limit;
        }
        let device = mlx::device_info();
        let own = mlx_rs::memory::active_memory().unwrap_or(0) as u64;
        match device.memory_total {
            0 => u64::MAX / 4,
            total => (total / 10 * 9).min(device.memory_available + own),
        }
    }
}

fn default_kept(room: u64) -> u64 {
    match mlx::backend() {
        mlx::Backend::Cuda => room / KEPT_SHARE,
        mlx::Backend::Cpu | mlx::Backend::Metal => (room / KEPT_SHARE).min(KEPT_MOST),
    }
}

pub(super) fn default_ram() -> u64 {
    match mlx::backend() {
        mlx::Backend::Cuda => mlx::host_memory() / RAM_SHARE,
        mlx::Backend::Cpu | mlx::Backend::Metal => 0,
    }
}
