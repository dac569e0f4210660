//! `maquette bench --reuse`: what the prefix cache is worth, as times to the
//! first token.
//!
//! Each run computes a history of its own, then asks for its next turn (the
//! history, the answer and a little more), for a branch (the first half of the
//! history and a little more), and, once the model was loaded anew and memory
//! holds nothing of it, for the next turn again, from the disk.

use serde_json::{Value, json};

use super::{
    args::BenchArgs,
    bench::{Answer, ask, load_model, median, prompt},
    output::{self, CliError},
};
use crate::workstation::{LoadedModel, Workstation};

/// Tokens that a turn adds to the history.
const NEW_TOKENS: usize = 32;
/// Tokens of the answers after the first.
const SHORT: usize = 2;

/// One kind of turn: seconds to the first token and the tokens found.
struct Turn {
    name: &'static str,
    seconds: Vec<f64>,
    prompt: usize,
    cached: usize,
}

impl Turn {
    fn new(name: &'static str) -> Self {
        Self {
            name,
            seconds: Vec::new(),
            prompt: 0,
            cached: 0,
        }
    }

    fn count(&mut self, answer: &Answer) {
        self.seconds.push(answer.timings.first_token.as_secs_f64());
        self.prompt = answer.usage.prompt_tokens;
        self.cached = answer.usage.cached_tokens;
    }

    fn median(&self) -> f64 {
        median(self.seconds.iter().copied())
    }
}

/// Measures and prints.
pub async fn run(
    workstation: &Workstation,
    model: &LoadedModel,
    args: &BenchArgs,
) -> Result<(), CliError> {
    let mut turns = ["first turn", "next turn", "branch", "after restart"].map(Turn::new);
    let words = |count, number| prompt(count, model.vocab_size, number);
    // Far from the numbers of the measured runs.
    ask(
        workstation,
        words(args.prompt_tokens.min(64), u64::MAX),
        SHORT,
    )
    .await?;
    for number in 0..args.runs as u64 {
        let more = |history: &[u32]| [history, &words(NEW_TOKENS, number ^ (1 << 32))].concat();
        let mut history = words(args.prompt_tokens, number ^ (1 << 40));
        let branch = more(&history[..history.len() / 2]);
        let first = ask(workstation, history.clone(), args.generate_tokens).await?;
        history.extend(&first.tokens);
        turns[0].count(&first);
        turns[1].count(&ask(workstation, more(&history), SHORT).await?);
        turns[2].count(&ask(workstation, branch, SHORT).await?);
        workstation.store_cache().await;
        workstation.unload().await?;
        load_model(workstation, args).await?;
        turns[3].count(&ask(workstation, more(&history), SHORT).await?);
    }
    report(args, model, &turns)
}

fn report(args: &BenchArgs, model: &LoadedModel, turns: &[Turn]) -> Result<(), CliError> {
    if args.json {
        let turn = |turn: &Turn| {
            json!({
                "turn": turn.name,
                "prompt_tokens": turn.prompt,
                "cached_tokens": turn.cached,
                "first_token_seconds": turn.median(),
                "runs": turn.seconds,
            })
        };
        return output::json(&json!({
            "model": model.id,
            "quantisation": model.quantisation,
            "random_weights": args.random_weights,
            "turns": turns.iter().map(turn).collect::<Vec<Value>>(),
        }));
    }
    output::line(format_args!("{} ({})", model.id, model.quantisation))?;
    let whole = turns.first().map_or(f64::NAN, Turn::median);
    for turn in turns {
        output::line(format_args!(
            "{:<14}{:>10.1} ms  {:>8.1} times shorter  {:>6} of {:>6} tokens from the cache",
            turn.name,
            turn.median() * 1e3,
            whole / turn.median(),
            turn.cached,
            turn.prompt,
        ))?;
    }
    Ok(())
}
