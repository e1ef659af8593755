//! A decision made, and perhaps waited for.

use std::time::Duration;

use clap::Args;
use serde_json::{Map, Value as Json, json};
use vereda_client_core::{
    access::{DecisionState, DecisionView},
    device::{Ambient, Device},
    vault::Vault,
};

use crate::{
    command::Common,
    contact::{drive_until, exchange},
    fault::{Fault, FaultKind, Outcome},
    opened::Opened,
    output::{note, print_json, print_line},
};

/// How long new keys are waited for, once a decision is final.
const AFTERWARDS: Duration = Duration::from_secs(5);

/// Whether the relay's word is waited for.
#[derive(Debug, Default, Args)]
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
    decide_and_tell(common, wait, act, |()| Told::default())
}

/// What is said of a decision beside how it stands.
#[derive(Default)]
pub(crate) struct Told {
    /// For scripts: beside `state` and `decisions`.
    pub(crate) fields: Map<String, Json>,
    /// For people.
    pub(crate) lines: Vec<String>,
}

/// As [`decide`], and tells more of what was decided.
pub(crate) fn decide_and_tell<T>(
    common: &Common,
    wait: &Wait,
    act: impl FnOnce(&mut Device<Vault>, &mut Ambient<'_>) -> Outcome<T>,
    tell: impl FnOnce(T) -> Told,
) -> Outcome {
    let opened = Opened::open(common)?;
    let before = opened.device().with(|device, _| newest(device))?;
    let made = opened.device().with(act).inspect_err(|fault| {
        if fault.kind == FaultKind::Failed {
            note("Who may do what: vereda policy show ID");
        }
    })?;
    let told = tell(made);
    let exchanged = match wait.wait {
        0 => Ok(()),
        seconds => wait_until_final(&opened, before, Duration::from_secs(seconds)),
    };
    let ours = opened.device().with(|device, _| decided_after(device, before))?;
    opened.close()?;
    let failed = ours.iter().find(|view| view.state == DecisionState::Failed);
    if common.json {
        let mut answer = answer_of(&ours);
        if let Some(answer) = answer.as_object_mut() {
            answer.extend(told.fields);
        }
        print_json(&answer)?;
    }
    if let Some(failed) = failed {
        let reason = failed.reason.as_deref().unwrap_or_default();
        return Err(Fault::failed(format!("refused: {reason}")));
    }
    // What was waited for in vain is said by the failure, and nothing else beside it.
    exchanged?;
    if !common.json {
        print_line(if ours.is_empty() {
            "Done: the relay has it."
        } else {
            "Stored on this device; it becomes final when the relay is reached: vereda sync"
        })?;
        told.lines.iter().try_for_each(|line| print_line(line))?;
    }
    Ok(())
}

/// Waits until what was decided since `before` is final or refused; what else is to be exchanged need not be.
fn wait_until_final(opened: &Opened, before: Option<u64>, patience: Duration) -> Outcome {
    let is_final = |device: &Device<Vault>| {
        decided_after(device, before).is_ok_and(|ours| ours.iter().all(|view| view.state != DecisionState::Pending))
    };
    drive_until(opened, opened.device(), patience, is_final).map_err(|fault| match fault.kind {
        FaultKind::Pending => Fault::pending(format!("stored, not final yet: {}", fault.sentence)),
        _ => fault,
    })?;
    // New keys for those who stay are made at once where there is time left.
    drop(exchange(opened, patience.min(AFTERWARDS)));
    Ok(())
}

/// Lists the decisions made since `before` that are not final.
pub(crate) fn decided_after(device: &Device<Vault>, before: Option<u64>) -> Outcome<Vec<DecisionView>> {
    let decisions = device.decisions()?.into_iter();
    Ok(decisions.filter(|view| Some(view.decision) > before).collect())
}

/// What decisions came to, for scripts.
pub(crate) fn answer_of(ours: &[DecisionView]) -> Json {
    let is_failed = ours.iter().any(|view| view.state == DecisionState::Failed);
    let state = match ours {
        _ if is_failed => "failed",
        [] => "final",
        _ => "pending",
    };
    json!({"state": state, "decisions": ours})
}

/// Names the newest decision of this device that is not final, to tell later ones by.
pub(crate) fn newest(device: &Device<Vault>) -> Outcome<Option<u64>> {
    Ok(device.decisions()?.iter().map(|view| view.decision).max())
}
