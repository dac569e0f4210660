//! `maquette models`: what is on this machine.

use serde_json::json;

use super::{
    args::ModelsArgs,
    output::{self, CliError},
    start::{headless, with_workstation},
    table,
};
use crate::workstation::{ModelEntry, Workstation};

/// Lists the models.
pub async fn run(args: ModelsArgs) -> Result<(), CliError> {
    let started = headless(None)?;
    with_workstation(started, async |workstation| list(workstation, &args).await).await
}

async fn list(workstation: &Workstation, args: &ModelsArgs) -> Result<(), CliError> {
    let models = workstation.scanned_models().await;
    if args.json {
        return output::json(&models.iter().map(object).collect());
    }
    let head = [
        "ID",
        "FAMILY",
        "PARAMETERS",
        "QUANTISATION",
        "SIZE",
        "CONTEXT",
        "MEMORY",
    ];
    let rows: Vec<_> = models.iter().map(row).collect();
    for line in table::lines(&head, &rows, &[2, 4, 5]) {
        output::line(line)?;
    }
    Ok(())
}

fn row(entry: &ModelEntry) -> Vec<String> {
    let known = |text: String, known: bool| if known { text } else { "-".to_owned() };
    let family = known(entry.family.clone(), !entry.family.is_empty());
    let memory = match &entry.problem {
        Some(problem) => problem.clone(),
        None if entry.fit.fits() => "fits".to_owned(),
        None => format!(
            "needs {} of {} free",
            table::bytes(entry.fit.needed),
            table::bytes(entry.fit.available)
        ),
    };
    vec![
        entry.id.clone(),
        family,
        known(table::parameters(entry.parameters), entry.parameters > 0),
        known(entry.quantisation.clone(), !entry.quantisation.is_empty()),
        table::bytes(entry.weight_bytes),
        known(entry.context_length.to_string(), entry.context_length > 0),
        memory,
    ]
}

fn object(entry: &ModelEntry) -> serde_json::Value {
    json!({
        "id": entry.id,
        "path": entry.path,
        "origin": entry.origin.to_string(),
        "family": entry.family,
        "supported": entry.supported,
        "parameters": entry.parameters,
        "quantisation": entry.quantisation,
        "weight_bytes": entry.weight_bytes,
        "context_length": entry.context_length,
        "fit": {
            "needed": entry.fit.needed,
            "available": entry.fit.available,
            "fits": entry.fit.fits(),
        },
        "problem": entry.problem,
    })
}
