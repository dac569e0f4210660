//! `maquette bench`: prefill and decode speed, through the engine as it serves.
//!
//! Every run has a prompt of its own, so that nothing comes from the cache, and
//! generates exactly as many tokens as asked for. Nothing is proposed ahead of
//! the model unless `--speculation` or `--draft-model` says so. The figures are medians of
//! the runs after one to warm up. Several sequences run together, with prompts
//! of different lengths; their figures are those of all of them.

use std::{
    io::ErrorKind,
    time::{Duration, Instant},
};

use futures_util::future::try_join_all;
use serde_json::json;

use super::{
    args::BenchArgs,
    kv_modes,
    output::{self, CliError, note},
    reuse,
    start::{headless, load, with_workstation},
    table,
};
use crate::{
    cache::Scheme,
    workstation::{
        AnswerEvent, CompletionRequest, GenerationOptions, KvMode, LoadedModel, Prompt,
        SamplingOverrides, Speculation, Timings, Usage, Workstation,
    },
};

/// What one run took.
#[derive(Debug, Clone, Copy)]
struct Run {
    /// Tokens a second.
    prefill: f64,
    decode: f64,
    /// From submission to the first token.
    first_token: Duration,
    /// Tokens proposed ahead of the model, and those it took.
    proposed: usize,
    accepted: usize,
}

/// Measures and prints.
pub async fn run(mut args: BenchArgs) -> Result<(), CliError> {
    let mut started = headless(None)?;
    // What random weights say repeats itself: what is gained by that would hide
    // the model's own speed, so it has to be asked for.
    started.settings.engine.speculation = Speculation::Off;
    let speculation = std::mem::take(&mut args.speculation);
    speculation.apply(&mut started.settings.engine);
    // What earlier runs have stored must not count, nor stay behind.
    let folder = started.paths.cache.join("bench");
    started.settings.cache.disk = args.reuse;
    started.paths.kv_pages = folder.clone();
    if let Some(mode) = &args.kv_mode {
        started.settings.override_kv_mode(mode);
    }
    let clear = || match std::fs::remove_dir_all(&folder) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    };
    clear()?;
    let outcome =
        with_workstation(started, async |workstation| bench(workstation, &args).await).await;
    clear()?;
    outcome
}

async fn bench(workstation: &Workstation, args: &BenchArgs) -> Result<(), CliError> {
    load_model(workstation, args).await?;
    let model = workstation.model().borrow().clone();
    let model = model.ok_or_else(|| CliError::Failed("no model is loaded.".to_owned()))?;
    let needed = args.prompt_tokens + args.generate_tokens;
    if needed > model.context_length {
        return Err(CliError::Failed(format!(
            "{needed} tokens do not fit into the context of {} tokens. Lower --prompt-tokens or \
             --generate-tokens.",
            model.context_length
        )));
    }
    if let Some(Ok(mode)) = args.kv_mode.as_deref().map(str::parse::<KvMode>) {
        // The engine would keep them plain, and the figures would be others'.
        Scheme::check(mode, &model.kv_layers)
            .map_err(|refusal| CliError::Failed(format!("{refusal}.")))?;
    }
    if args.kv_modes {
        return kv_modes::run(workstation, &model, args).await;
    }
    if args.reuse {
        return reuse::run(workstation, &model, args).await;
    }
    let mut runs = Vec::new();
    for number in 0..=args.runs {
        let run = measure(workstation, &model, args, number as u64).await?;
        // The first one warms up.
        if number > 0 {
            runs.push(run);
        }
    }
    let peak = workstation.engine_stats().borrow().bytes.peak;
    report(args, &model, workstation, &runs, peak)
}

pub(super) async fn load_model(
    workstation: &Workstation,
    args: &BenchArgs,
) -> Result<(), CliError> {
    match &args.config {
        Some(config) => {
            let bits = args.bits.as_deref().and_then(|bits| bits.parse().ok());
            workstation.load_random(config, bits).await?;
            Ok(())
        }
        None => load(workstation, args.model.as_deref()).await,
    }
}

/// One run: all sequences at once.
async fn measure(
    workstation: &Workstation,
    model: &LoadedModel,
    args: &BenchArgs,
    number: u64,
) -> Result<Run, CliError> {
    let begun = Instant::now();
    let sequences = (0..args.sequences).map(async |index| {
        let length = prompt_length(args.prompt_tokens, index, args.sequences);
        let seed = number * args.sequences as u64 + index as u64;
        let passage = args.passage_tokens.unwrap_or(length);
        let prompt = prompt(passage.min(length), model.vocab_size, seed);
        let prompt = prompt.into_iter().cycle().take(length).collect();
        sequence(workstation, prompt, args.generate_tokens, begun).await
    });
    Ok(figures(&try_join_all(sequences).await?))
}

/// From half of `longest` to all of it, evenly.
fn prompt_length(longest: usize, index: usize, sequences: usize) -> usize {
    let shorter = longest / 2 * (sequences - 1 - index) / (sequences - 1).max(1);
    longest - shorter
}

/// One sequence of a run, in times since the run began.
#[derive(Debug, Clone, Copy)]
struct Sequence {
    prompt: usize,
    generated: usize,
    first: Duration,
    last: Duration,
    proposed: usize,
    accepted: usize,
}

async fn sequence(
    workstation: &Workstation,
    tokens: Vec<u32>,
    generate: usize,
    begun: Instant,
) -> Result<Sequence, CliError> {
    let prompt = tokens.len();
    let submitted = begun.elapsed();
    let answer = ask(workstation, tokens, generate).await?;
    if answer.usage.cached_tokens != 0 {
        return Err(CliError::Failed(format!(
            "the run does not count: {} of its tokens came from the cache.",
            answer.usage.cached_tokens
        )));
    }
    let first = submitted + answer.timings.first_token;
    Ok(Sequence {
        prompt,
        generated: generate,
        first,
        last: first + answer.timings.decode,
        proposed: answer.usage.proposed_tokens,
        accepted: answer.usage.accepted_tokens,
    })
}

/// What the engine said to a prompt.
pub(super) struct Answer {
    pub tokens: Vec<u32>,
    pub usage: Usage,
    pub timings: Timings,
}

/// Continues `prompt` by exactly `generate` tokens, greedily.
pub(super) async fn ask(
    workstation: &Workstation,
    prompt: Vec<u32>,
    generate: usize,
) -> Result<Answer, CliError> {
    let request = CompletionRequest {
        prompt: Prompt::Tokens(prompt),
        options: GenerationOptions {
            max_tokens: Some(generate),
            ignore_eos: true,
            sampling: SamplingOverrides {
                temperature: Some(0.0),
                top_k: Some(0),
                top_p: Some(1.0),
                min_p: Some(0.0),
                repetition_penalty: Some(1.0),
                ..SamplingOverrides::default()
            },
            ..GenerationOptions::default()
        },
    };
    let mut answer = workstation.complete(request).await?;
    let mut tokens = Vec::new();
    loop {
        match answer.next().await {
            Some(AnswerEvent::Delta { token, .. }) => tokens.push(token.token),
            Some(AnswerEvent::Finished { usage, timings, .. }) => {
                if usage.completion_tokens != generate {
                    return Err(CliError::Failed(format!(
                        "the run does not count: {} of {generate} tokens were generated.",
                        usage.completion_tokens
                    )));
                }
                return Ok(Answer {
                    tokens,
                    usage,
                    timings,
                });
            }
            Some(AnswerEvent::Failed(error)) => return Err(error.into()),
            Some(_) => {}
            None => return Err(CliError::Failed("the engine stopped.".to_owned())),
        }
    }
}

/// Prompts until the last of the first tokens; decoding from the first of them
/// to the end. For one sequence that is what one would expect.
fn figures(sequences: &[Sequence]) -> Run {
    let first = sequences.iter().map(|s| s.first).min().unwrap_or_default();
    let prefilled = sequences.iter().map(|s| s.first).max().unwrap_or_default();
    let last = sequences.iter().map(|s| s.last).max().unwrap_or_default();
    let prompts: usize = sequences.iter().map(|s| s.prompt).sum();
    let decoded: usize = sequences.iter().map(|s| s.generated - 1).sum();
    let rate = |tokens: usize, time: Duration| tokens as f64 / time.as_secs_f64().max(1e-9);
    Run {
        prefill: rate(prompts, prefilled),
        decode: rate(decoded, last.saturating_sub(first)),
        first_token: first,
        proposed: sequences.iter().map(|s| s.proposed).sum(),
        accepted: sequences.iter().map(|s| s.accepted).sum(),
    }
}

/// Tokens that look random and differ from run to run, the same on every
/// machine (splitmix64).
pub(super) fn prompt(tokens: usize, vocabulary: usize, number: u64) -> Vec<u32> {
    let mut state = number;
    let mut next = || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    };
    (0..tokens)
        .map(|_| (next() % vocabulary.max(1) as u64) as u32)
        .collect()
}

pub(super) fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => values[middle],
        _ => (values[middle - 1] + values[middle]) / 2.0,
    }
}

fn report(
    args: &BenchArgs,
    model: &LoadedModel,
    workstation: &Workstation,
    runs: &[Run],
    peak: u64,
) -> Result<(), CliError> {
    let prefill = median(runs.iter().map(|run| run.prefill));
    let decode = median(runs.iter().map(|run| run.decode));
    let first = median(runs.iter().map(|run| run.first_token.as_secs_f64()));
    let proposed: usize = runs.iter().map(|run| run.proposed).sum();
    let accepted: usize = runs.iter().map(|run| run.accepted).sum();
    if args.json {
        let each = |run: &Run| {
            json!({
                "prefill_tokens_per_second": run.prefill,
                "decode_tokens_per_second": run.decode,
                "first_token_seconds": run.first_token.as_secs_f64(),
                "proposed_tokens": run.proposed,
                "accepted_tokens": run.accepted,
            })
        };
        return output::json(&json!({
            "model": model.id,
            "family": model.family,
            "quantisation": model.quantisation,
            "parameters": model.parameters,
            "backend": workstation.device().backend.to_string(),
            "device": workstation.device().name,
            "random_weights": args.random_weights,
            "prompt_tokens": args.prompt_tokens,
            "generate_tokens": args.generate_tokens,
            "sequences": args.sequences,
            "prefill_tokens_per_second": prefill,
            "decode_tokens_per_second": decode,
            "first_token_seconds": first,
            "draft_model": model.draft,
            "proposed_tokens": proposed,
            "accepted_tokens": accepted,
            "peak_memory_bytes": peak,
            "runs": runs.iter().map(each).collect::<Vec<_>>(),
        }));
    }
    let device = workstation.device();
    output::line(format_args!(
        "{} ({}, {}, {} parameters) on {} ({})",
        model.id,
        model.family,
        model.quantisation,
        table::parameters(model.parameters),
        device.name,
        device.backend
    ))?;
    let together = match args.sequences {
        1 => String::new(),
        sequences => format!(", {sequences} sequences together"),
    };
    output::line(format_args!(
        "prefill      {prefill:>10.1} tokens/s  ({} tokens{together})",
        args.prompt_tokens
    ))?;
    output::line(format_args!(
        "decode       {decode:>10.1} tokens/s  ({} tokens{together})",
        args.generate_tokens
    ))?;
    output::line(format_args!("first token  {:>10.1} ms", first * 1e3))?;
    if proposed > 0 {
        let part = 100.0 * accepted as f64 / proposed as f64;
        output::line(format_args!(
            "accepted     {part:>10.1} %         ({accepted} of {proposed} proposed tokens)"
        ))?;
    }
    output::line(format_args!("peak memory  {:>10}", table::bytes(peak)))?;
    if runs.len() < 3 {
        note("maquette: with fewer than 3 runs the figures are a first impression.\n");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_are_of_the_middle() {
        assert_eq!(median([3.0, 1.0, 2.0].into_iter()), 2.0);
        assert_eq!(median([4.0, 1.0, 2.0, 3.0].into_iter()), 2.5);
    }

    #[test]
    fn prompts_of_a_run_differ_in_length() {
        assert_eq!(prompt_length(512, 0, 1), 512);
        let lengths: Vec<_> = (0..5).map(|i| prompt_length(100, i, 5)).collect();
        assert_eq!(lengths, [50, 63, 75, 88, 100]);
    }

    #[test]
    fn several_sequences_count_together() {
        let at = |first: u64, last: u64| Sequence {
            prompt: 100,
            generated: 11,
            first: Duration::from_secs(first),
            last: Duration::from_secs(last),
            proposed: 4,
            accepted: 3,
        };
        let run = figures(&[at(1, 4), at(2, 5)]);
        assert_eq!((run.prefill, run.decode), (100.0, 5.0));
        assert_eq!(run.first_token, Duration::from_secs(1));
        assert_eq!((run.proposed, run.accepted), (8, 6));
    }

    #[test]
    fn prompts_differ_and_stay_in_the_vocabulary() {
        let (first, second) = (prompt(100, 50, 1), prompt(100, 50, 2));
        assert_ne!(first, second);
        assert_eq!(first, prompt(100, 50, 1));
        assert!(first.iter().all(|&token| token < 50));
    }
}
