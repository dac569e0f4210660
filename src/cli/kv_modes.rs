//! `maquette bench --kv-modes`: what keeping keys and values in few bits does
//! to a text.
//!
//! The model reads the text a page at a time in every mode and then goes on
//! greedily. Random weights read random tokens.

use std::path::PathBuf;

use serde_json::json;

use super::{
    args::BenchArgs,
    bench::prompt,
    output::{self, CliError},
    table,
};
use crate::workstation::{KvQuality, LoadedModel, Workstation};

/// A text that every copy has.
const TEXT: &str = include_str!("../../README.md");

/// Measures and prints.
pub async fn run(
    workstation: &Workstation,
    model: &LoadedModel,
    args: &BenchArgs,
) -> Result<(), CliError> {
    let tokens = tokens(model, args)?;
    let found = workstation
        .compare_kv(tokens.clone(), args.generate_tokens)
        .await?;
    if args.json {
        return output::json(&json!({
            "model": model.id,
            "quantisation": model.quantisation,
            "random_weights": args.random_weights,
            "tokens": tokens.len(),
            "modes": found,
        }));
    }
    output::line(format_args!(
        "{} ({}), {} tokens read, {} generated",
        model.id,
        model.quantisation,
        tokens.len(),
        args.generate_tokens
    ))?;
    let head = ["mode", "bits", "perplexity", "same token", "KL", "alike"];
    let rows: Vec<Vec<String>> = found.iter().map(row).collect();
    for line in table::lines(&head, &rows, &[1, 2, 3, 4, 5]) {
        output::line(line)?;
    }
    Ok(())
}

fn tokens(model: &LoadedModel, args: &BenchArgs) -> Result<Vec<u32>, CliError> {
    if args.random_weights {
        return Ok(prompt(args.prompt_tokens, model.vocab_size, 0));
    }
    let read = |path: &PathBuf| {
        std::fs::read_to_string(path).map_err(|error| {
            let path = path.display();
            CliError::Failed(format!("the text `{path}` cannot be read: {error}."))
        })
    };
    let given = args.text.as_ref().map(read).transpose()?;
    let text = given.as_deref().unwrap_or(TEXT);
    let mut tokens = model
        .tokenizer
        .encode(text, true)
        .map_err(|error| CliError::Failed(error.to_string()))?;
    tokens.truncate(args.prompt_tokens);
    Ok(tokens)
}

fn row(mode: &KvQuality) -> Vec<String> {
    match &mode.refused {
        Some(reason) => vec![mode.mode.clone(), reason.clone()],
        None => vec![
            mode.mode.clone(),
            format!("{:.2}", mode.bits),
            format!("{:.3}", mode.perplexity),
            format!("{:.1} %", mode.agreement * 100.0),
            format!("{:.5}", mode.divergence),
            format!("{} of {}", mode.alike, mode.continued),
        ],
    }
}

#[cfg(test)]
mod tests {
    use crate::{config::KV_MODES, workstation::KvMode};

    #[test]
    fn settings_name_every_mode() {
        let names = KvMode::ALL.map(|mode| mode.to_string());
        assert_eq!(names, KV_MODES);
    }
}
