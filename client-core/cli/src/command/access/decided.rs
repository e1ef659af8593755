//! A decision made, and perhaps waited for.

use std::time::Duration;

use clap::Args;
use serde_json::json;
use vereda_client_core::{
    access::{DecisionState, DecisionView},
    device::{Ambient, Device},
    vault::Vault,
};

use crate::{
    command::Common,
    contact::exchange,
    fault::{Fault, FaultKind, Outcome},
    opened::Opened,
    output::{note, print_json, print_line},
};

/// Whether the relay's word is waited for.
#[derive(Debug, Args)]
pub(crate) struct Wait {
    /// Waits so many seconds for the relay to make it final; 0: at the next sync
    #[arg(long, default_value_t = 0, value_name = "SECONDS")]
    wait: u64,
}

/// Makes a decision, waits for the relay if that is asked for, and says how the decision stands.
pub(crate) fn decide(
    common: &Common,
    wait: &Wait,
    act: impl FnOnce(&mut Device<Vault>, &mut Ambient<'_>) -> Outcome,
) -> Outcome {
    let opened = Opened::open(common)?;
    let before = opened.device().with(|device, _| newest(device))?;
    let made = opened.device().with(act);
    if let Err(fault) = made {
        if fault.kind == FaultKind::Failed {
            note("Who may do what: vereda policy show ID");
        }
        return Err(fault);
    }
    let exchanged = match wait.wait {
        0 => Ok(()),
        seconds => exchange(&opened, Duration::from_secs(seconds)),
    };
    let decisions = opened.device().with(|device, _| device.decisions())?;
    opened.close()?;
    let ours: Vec<&DecisionView> = decisions.iter().filter(|view| Some(view.decision) > before).collect();
    let failed = ours.iter().find(|view| view.state == DecisionState::Failed);
    let state = match failed {
        Some(_) => "failed",
        None if ours.is_empty() => "final",
        None => "pending",
    };
    if common.json {
        print_json(&json!({"state": state, "decisions": ours}))?;
    }
    if let Some(failed) = failed {
        let reason = failed.reason.as_deref().unwrap_or_default();
        return Err(Fault::failed(format!("refused: {reason}")));
    }
    if !common.json {
        print_line(match state {
            "final" => "Done: the relay has it.",
            _ => "Stored on this device; it becomes final when the relay is reached: vereda sync",
        })?;
    }
    exchanged
}

fn newest(device: &Device<Vault>) -> Outcome<Option<u64>> {
    Ok(device.decisions()?.last().map(|view| view.decision))
}
