//! The command tree. Help, usage errors and the facts all come from here.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::config::{EngineSettings, KV_MODES, Speculation};

/// A full-screen terminal workstation for local language models.
#[derive(Debug, Parser)]
#[command(
    name = "maquette",
    version,
    about = "A full-screen terminal workstation for local language models",
    after_help = "Without a command, Maquette opens its screen."
)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Option<Command>,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve the HTTP API without the screen
    Serve(ServeArgs),
    /// Answer once on a plain terminal or pipe
    Chat(ChatArgs),
    /// List the models on this machine
    Models(ModelsArgs),
    /// Download a model from the hub
    Pull(PullArgs),
    /// Quantise a model as its makers published it, into a new folder
    Convert(ConvertArgs),
    /// Measure prefill and decode speed
    Bench(BenchArgs),
    /// Look at, clear or fill the keys and values stored on the disk
    #[command(subcommand)]
    Cache(CacheCommand),
    /// Say which backend, device, memory, folders and terminal features were found
    Doctor(DoctorArgs),
    /// Print what the program knows of itself as JSON
    #[command(hide = true)]
    Facts,
}

#[derive(Debug, Args)]
pub struct ServeArgs {
    /// The model to serve; the guide when left out
    #[arg(long, value_name = "PATH_OR_ID")]
    pub model: Option<String>,
    /// The address to listen on, 127.0.0.1 by default
    #[arg(long, value_name = "HOST")]
    pub host: Option<String>,
    /// The port to listen on, 8421 by default; 0 takes a free one
    #[arg(long, value_name = "N")]
    pub port: Option<u16>,
    /// Ask clients for this key
    #[arg(
        long,
        value_name = "KEY",
        env = "MAQUETTE_API_KEY",
        hide_env_values = true
    )]
    pub api_key: Option<String>,
    /// Requests computed at the same time
    #[arg(long, value_name = "N",
          value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..=1024))]
    pub max_sequences: Option<usize>,
    /// Requests that may wait besides
    #[arg(long, value_name = "N",
          value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..=65536))]
    pub queue_limit: Option<usize>,
    /// Prompt tokens computed in one step
    #[arg(long, value_name = "N",
          value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(16..=65536))]
    pub prefill_chunk: Option<usize>,
    /// Tokens of prompts and answers computed in one step
    #[arg(long, value_name = "N",
          value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(16..=65536))]
    pub step_tokens: Option<usize>,
    /// Give the same text for the same seed whatever else runs; slower
    #[arg(long)]
    pub deterministic: bool,
    /// How keys and values are kept: fewer bits hold longer chats
    #[arg(long, value_name = "MODE", value_parser = KV_MODES.to_vec())]
    pub kv_mode: Option<String>,
    #[command(flatten)]
    pub speculation: SpeculationArgs,
}

/// Tokens that are proposed ahead of the model and checked together.
#[derive(Debug, Default, Args)]
pub struct SpeculationArgs {
    /// Where proposed tokens come from: earlier text, a draft model, or both
    #[arg(long, value_name = "KIND",
          value_parser = clap::builder::PossibleValuesParser::new(["off", "lookup", "draft", "auto"]))]
    pub speculation: Option<String>,
    /// A smaller model with the same tokenizer that proposes tokens
    #[arg(long, value_name = "PATH_OR_ID")]
    pub draft_model: Option<String>,
    /// Tokens proposed at once at most
    #[arg(long, value_name = "N",
          value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..=32))]
    pub draft_tokens: Option<usize>,
}

impl SpeculationArgs {
    /// Sets what was given. A draft model alone means that it is to be used.
    pub fn apply(self, engine: &mut EngineSettings) {
        let named = self.speculation.as_deref().and_then(Speculation::named);
        let implied = self.draft_model.is_some() && !engine.speculation.drafts();
        engine.speculation = match named {
            Some(named) => named,
            None if implied => Speculation::Auto,
            None => engine.speculation,
        };
        engine.draft_model = self.draft_model.or_else(|| engine.draft_model.take());
        engine.draft_tokens = self.draft_tokens.unwrap_or(engine.draft_tokens);
    }
}

#[derive(Debug, Args)]
pub struct ChatArgs {
    /// The question, or - for standard input
    #[arg(short, long, value_name = "TEXT", allow_hyphen_values = true)]
    pub prompt: String,
    /// The model to ask; the guide when left out
    #[arg(long, value_name = "PATH_OR_ID")]
    pub model: Option<String>,
    /// A system prompt
    #[arg(long, value_name = "TEXT")]
    pub system: Option<String>,
    /// Sampling temperature, 0 for the likeliest answer
    #[arg(long, value_name = "T", allow_negative_numbers = true)]
    pub temperature: Option<f32>,
    /// Choose among the likeliest tokens that sum up to this probability
    #[arg(long, value_name = "P", allow_negative_numbers = true)]
    pub top_p: Option<f32>,
    /// Longest answer, in tokens
    #[arg(long, value_name = "N")]
    pub max_tokens: Option<usize>,
    /// The same seed gives the same answer
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// Let the model think first
    #[arg(long, conflicts_with = "no_thinking")]
    pub thinking: bool,
    /// Do not let the model think first
    #[arg(long)]
    pub no_thinking: bool,
}

#[derive(Debug, Args)]
pub struct ModelsArgs {
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct ConvertArgs {
    /// The model's folder, or its name in the library
    #[arg(value_name = "SOURCE")]
    pub source: String,
    /// The folder to make
    #[arg(value_name = "DEST")]
    pub dest: PathBuf,
    /// Bits of a weight: 2, 3, 4, 5, 6 or 8; without it and a recipe weights stay floats
    #[arg(long, value_name = "N", conflicts_with = "recipe")]
    pub bits: Option<usize>,
    /// Weights that share a scale: 32, 64 or 128
    #[arg(long, value_name = "N", requires = "bits")]
    pub group: Option<usize>,
    /// More bits for what matters most
    #[arg(long, value_name = "NAME",
          value_parser = clap::builder::PossibleValuesParser::new(crate::models::MIXED.map(|(name, _)| name)))]
    pub recipe: Option<String>,
    /// The type of what is not quantised; as it is stored when left out
    #[arg(long, value_name = "TYPE",
          value_parser = clap::builder::PossibleValuesParser::new(["float16", "bfloat16", "float32"]))]
    pub dtype: Option<String>,
    /// Print JSON when done
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct PullArgs {
    /// The model's name on the hub, such as mlx-community/Qwen3-0.6B-4bit
    #[arg(value_name = "ID")]
    pub id: String,
    /// Print JSON when done
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct BenchArgs {
    /// The model to measure; the guide when left out
    #[arg(long, value_name = "PATH_OR_ID", conflicts_with = "config")]
    pub model: Option<String>,
    /// A config.json to make random weights from
    #[arg(long, value_name = "FILE", requires = "random_weights")]
    pub config: Option<PathBuf>,
    /// Use random weights
    #[arg(long, requires = "config")]
    pub random_weights: bool,
    /// Quantise the random weights
    #[arg(long, value_name = "N", requires = "config",
          value_parser = clap::builder::PossibleValuesParser::new(["2", "3", "4", "5", "6", "8"]))]
    pub bits: Option<String>,
    /// Tokens of the prompt
    #[arg(long, value_name = "N", default_value_t = 512,
          value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..))]
    pub prompt_tokens: usize,
    /// Tokens to generate
    #[arg(long, value_name = "N", default_value_t = 128,
          value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(2..))]
    pub generate_tokens: usize,
    /// Sequences at once, their prompts from half as long to this long
    #[arg(long, value_name = "N", default_value_t = 1,
          value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..=256))]
    pub sequences: usize,
    /// Measured runs, after one to warm up
    #[arg(long, value_name = "N", default_value_t = 3,
          value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..=1000))]
    pub runs: usize,
    /// Measure the first token of the next turn, of a branch and after a restart instead
    #[arg(long, conflicts_with = "kv_modes")]
    pub reuse: bool,
    /// Compare the ways to keep keys and values instead: what they do to a text
    #[arg(long)]
    pub kv_modes: bool,
    /// The text to compare them on, a file; the README when left out
    #[arg(long, value_name = "FILE", requires = "kv_modes")]
    pub text: Option<PathBuf>,
    /// How keys and values are kept
    #[arg(long, value_name = "MODE", value_parser = KV_MODES.to_vec())]
    pub kv_mode: Option<String>,
    /// Make prompts of a passage of this many tokens, again and again
    #[arg(long, value_name = "N", conflicts_with = "reuse",
          value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..))]
    pub passage_tokens: Option<usize>,
    #[command(flatten)]
    pub speculation: SpeculationArgs,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Subcommand)]
pub enum CacheCommand {
    /// Say what is stored, by model
    Stats {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Remove what is stored
    Clear {
        /// Of this model alone; of all when left out
        #[arg(long, value_name = "ID")]
        model: Option<String>,
    },
    /// Compute prompts and store them, for quick first answers
    Warm(WarmArgs),
}

#[derive(Debug, Args)]
pub struct WarmArgs {
    /// The model to compute with; the guide when left out
    #[arg(long, value_name = "PATH_OR_ID")]
    pub model: Option<String>,
    /// A file with a prompt a line, or - for standard input
    #[arg(value_name = "FILE", default_value = "-")]
    pub file: PathBuf,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_tree_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_prompt_may_begin_with_a_dash() {
        let parsed = |args: &[&str]| match Cli::try_parse_from(args).unwrap().command {
            Some(Command::Chat(chat)) => chat.prompt,
            other => panic!("{other:?}"),
        };
        assert_eq!(parsed(&["maquette", "chat", "-p", "-"]), "-");
        assert_eq!(parsed(&["maquette", "chat", "-p", "-5 + 3?"]), "-5 + 3?");
    }

    #[test]
    fn random_weights_and_their_shape_belong_together() {
        let bench = |args: &[&str]| {
            let args = ["maquette", "bench"].iter().chain(args);
            Cli::try_parse_from(args)
        };
        assert!(bench(&["--random-weights"]).is_err());
        assert!(bench(&["--config", "c.json"]).is_err());
        assert!(bench(&["--config", "c.json", "--random-weights", "--bits", "7"]).is_err());
        assert!(bench(&["--config", "c.json", "--random-weights", "--bits", "4"]).is_ok());
        assert!(bench(&["--runs", "0"]).is_err());
    }

    #[test]
    fn a_named_draft_is_used() {
        let applied = |args: &[&str]| {
            let args = ["maquette", "serve"].iter().chain(args);
            let Some(Command::Serve(args)) = Cli::try_parse_from(args).unwrap().command else {
                panic!("not the command that was given");
            };
            let mut engine = EngineSettings::default();
            args.speculation.apply(&mut engine);
            (engine.speculation, engine.draft_model.is_some())
        };
        assert_eq!(applied(&[]), (Speculation::Lookup, false));
        assert_eq!(
            applied(&["--speculation", "off"]),
            (Speculation::Off, false)
        );
        assert_eq!(applied(&["--draft-model", "m"]), (Speculation::Auto, true));
        let draft = ["--draft-model", "m", "--speculation", "draft"];
        assert_eq!(applied(&draft), (Speculation::Draft, true));
        assert!(Cli::try_parse_from(["maquette", "serve", "--speculation", "on"]).is_err());
    }
}
