//! `maquette serve`: the HTTP API without the screen.

use tokio::signal::unix::{SignalKind, signal};
use tracing::Level;

use super::{
    args::ServeArgs,
    output::{CliError, line},
    start::{headless, load, with_workstation},
};
use crate::workstation::Workstation;

/// Serves until Ctrl-C or SIGTERM.
pub async fn run(args: ServeArgs) -> Result<(), CliError> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut started = headless(Some(Level::INFO))?;
    let api = &mut started.settings.api;
    api.host = args.host.unwrap_or_else(|| api.host.clone());
    api.port = args.port.unwrap_or(api.port);
    api.api_key = args.api_key.or_else(|| api.api_key.take());
    let engine = &mut started.settings.engine;
    engine.max_sequences = args.max_sequences.unwrap_or(engine.max_sequences);
    engine.queue_limit = args.queue_limit.unwrap_or(engine.queue_limit);
    engine.prefill_chunk = args.prefill_chunk.or(engine.prefill_chunk);
    engine.step_tokens = args.step_tokens.or(engine.step_tokens);
    engine.deterministic |= args.deterministic;
    args.speculation.apply(engine);
    if let Some(mode) = &args.kv_mode {
        started.settings.override_kv_mode(mode);
    }
    let model = args.model;
    with_workstation(started, async |workstation| {
        tokio::select! {
            outcome = serve(workstation, model.as_deref()) => outcome,
            _ = interrupt.recv() => Ok(()),
            _ = terminate.recv() => Ok(()),
        }
    })
    .await
}

/// Returns only when something is wrong.
async fn serve(workstation: &Workstation, model: Option<&str>) -> Result<(), CliError> {
    if let Some(model) = model {
        workstation.set_default_model(model).await?;
    }
    // The port first: whether it is free is known at once, loading takes a while.
    let address = workstation.start_api(None, None).await?;
    load(workstation, None).await?;
    let model = workstation.model().borrow().clone();
    let id = model.map_or_else(String::new, |model| model.id.clone());
    line(format_args!(
        "Serving {id} at http://{address}/v1. Ready; Ctrl-C stops."
    ))?;
    std::future::pending().await
}
