//! `vereda sync`, `vereda status` and `vereda digest`.

use std::time::Duration;

use clap::Args;
use serde_json::json;
use vereda_client_core::{
    devices::BeaconView,
    sync::{EndedView, RelayFaultView, StatusView},
};

use super::Common;
use crate::{
    contact::{Contact, exchange},
    fault::{Fault, FaultKind, Outcome},
    opened::Opened,
    output::{note, print, print_json, print_line},
    session::{event_of, sentence_of},
    views::{count, moment, name, short},
};

/// Exchanges what is new with the relay
///
/// Examples:
///   vereda sync          once, until nothing is left to exchange
///   vereda sync --stay   stays connected and tells what arrives
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Sync {
    /// Ends when nothing is left to exchange; the default
    #[arg(long, conflicts_with = "stay")]
    once: bool,
    /// Stays connected until interrupted
    #[arg(long)]
    stay: bool,
    /// Gives up after so many seconds
    #[arg(long, default_value_t = 60, value_name = "SECONDS")]
    wait: u64,
}

impl Sync {
    pub(super) fn run(self, common: &Common) -> Outcome {
        let opened = Opened::open(common)?;
        if self.stay {
            stay(&opened, common.json)?;
            return opened.close();
        }
        let exchanged = exchange(&opened, Duration::from_secs(self.wait));
        let status = opened.device().with(|device, _| device.status())?;
        let (up, down) = (opened.device().counters().up(), opened.device().counters().down());
        opened.close()?;
        if common.json {
            print_json(&json!({"settled": exchanged.is_ok(), "bytes_up": up, "bytes_down": down, "status": status}))?;
        } else if exchanged.is_ok() {
            print_line(&format!(
                "All is exchanged: {} here; {up} bytes sent, {down} received.",
                count(status.cases, "case")
            ))?;
        }
        if let Some(ended) = &status.ended {
            note(&format!("Beware: {}. See: vereda status, vereda review own", describe_end(ended)));
        }
        if status.failed_operations > 0 {
            note(&format!("Refused: {}. See: vereda policy pending", count(status.failed_operations, "decision")));
        }
        exchanged.and_then(|()| said(&status.relay_faults))
    }
}

/// Fails with what speaks against the relay.
fn said(faults: &[RelayFaultView]) -> Outcome {
    let Some(first) = faults.first() else { return Ok(()) };
    let others = match faults.len() {
        1 => String::new(),
        several => format!("; {} more: vereda status", several.saturating_sub(1)),
    };
    Err(Fault::new(FaultKind::Relay, format!("{}{others}", first.sentence)))
}

fn stay(opened: &Opened, json: bool) -> Outcome {
    let mut notices = opened.device().notices();
    let contact = Contact::begin(opened)?;
    note("Connecting. Stop with Ctrl-C.");
    let runtime = opened.runtime();
    let done = runtime.block_on(async {
        loop {
            tokio::select! {
                signal = tokio::signal::ctrl_c() => return signal.map_err(Into::into),
                notice = notices.recv() => {
                    let Ok(notice) = notice else { continue };
                    if !json {
                        sentence_of(&notice).map_or(Ok(()), |sentence| print_line(&sentence))?;
                    } else if let Some(event) = event_of(notice) {
                        print_json(&event)?;
                    }
                }
            }
        }
    });
    drop(contact);
    done
}

/// Shows this device: who, where, what is not yet sent, what speaks against the
/// relay (exit code 7)
///
/// Examples:
///   vereda status
///   vereda status --explain 5f0c
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Status {
    /// Explains how far a case or other document is synced, and why not further
    #[arg(long, value_name = "ID")]
    explain: Option<String>,
}

impl Status {
    pub(super) fn run(self, common: &Common) -> Outcome {
        let opened = Opened::open(common)?;
        if let Some(text) = self.explain {
            let explained = opened.device().with(|device, _| {
                let document = device.find_case(&text).or_else(|_| device.find_document(&text))?;
                Ok::<_, Fault>(device.explain(&document)?)
            })?;
            opened.close()?;
            if common.json {
                return print_json(&json!(explained));
            }
            return print_line(&explained.sentence);
        }
        let (status, beacon) = opened
            .device()
            .with(|device, ambient| Ok::<_, Fault>((device.status()?, device.beacon(ambient.now.wall))))?;
        let label = opened.label().to_owned();
        opened.close()?;
        if common.json {
            let mut answer = json!(status);
            if let Some(answer) = answer.as_object_mut() {
                answer.insert("beacon".into(), json!(beacon));
            }
            print_json(&answer)?;
        } else {
            print(&describe(&label, &status, beacon.as_ref()))?;
        }
        said(&status.relay_faults)
    }
}

fn describe(label: &str, status: &StatusView, beacon: Option<&BeaconView>) -> String {
    let standing = match status.membership {
        "member" => "member",
        "removed" => "your access was ended",
        "waiting_for_key" => "waiting for a colleague's device to pass the key on",
        "pending" => "joining, final when the relay is reached",
        _ => "in no agency yet: vereda agency create, or vereda join",
    };
    let mut lines = vec![
        ("Vault", label.to_owned()),
        ("Device", short(&status.device)),
        ("Person", name(status.person.clone())),
        ("Agency", name(status.agency_name.clone())),
        ("Standing", status.ended.as_ref().map_or_else(|| standing.to_owned(), describe_end)),
    ];
    if let Some(relay) = &status.relay {
        lines.push(("Relay", relay.clone()));
    }
    lines.push(("Cases", status.cases.to_string()));
    if status.locked > 0 {
        lines.push(("Without key", count(status.locked, "document")));
    }
    if status.partly_locked > 0 {
        let text =
            format!("{}, as a key is missing: vereda status --explain ID", count(status.partly_locked, "document"));
        lines.push(("Shown in part", text));
    }
    let pending = match (status.pending_documents, status.pending_operations) {
        (0, 0) => "nothing".to_owned(),
        (documents, operations) => format!("{}, {}", count(documents, "document"), count(operations, "decision")),
    };
    lines.push(("Not yet sent", pending));
    if status.to_decide > 0 {
        lines.push(("To decide", format!("{}: vereda review list", count(status.to_decide, "document"))));
    }
    if status.in_review + status.adopted + status.turned_away > 0 {
        lines.push(("Your work", describe_own_work(status)));
    }
    if status.failed_operations > 0 {
        lines.push(("Refused", format!("{}: vereda policy pending", count(status.failed_operations, "decision"))));
    }
    if let Some(beacon) = beacon.filter(|beacon| beacon.is_too_old) {
        let days = count(usize::try_from(beacon.days).unwrap_or(usize::MAX), "day");
        let text =
            format!("no Manager's device was heard of for {days}: the relay may hold news back, ask a colleague");
        lines.push(("Beware", text));
    } else if let Some(beacon) = beacon.filter(|beacon| beacon.device.is_some()) {
        lines.push(("News checked", moment(beacon.time)));
    }
    for fault in &status.relay_faults {
        let place = fault.chain.map(|chain| fault.name.clone().unwrap_or_else(|| short(&chain)));
        let place = place.map_or_else(String::new, |place| format!("{}: ", name(Some(place))));
        lines.push(("Beware", format!("{place}{}", fault.sentence)));
    }
    lines.into_iter().map(|(what, text)| format!("{what:<13} {text}\n")).collect()
}

/// Says who ended this person's access, and when.
fn describe_end(ended: &EndedView) -> String {
    let when = ended.time.map(|time| format!(", {}", moment(time))).unwrap_or_default();
    let by = ended.by.name.as_ref().map(|by| format!(" by {}", name(Some(by.clone())))).unwrap_or_default();
    let of =
        ended.of.as_ref().and_then(|of| of.name.clone()).map(|of| format!(" {}", name(Some(of)))).unwrap_or_default();
    match ended.what {
        "device" => format!("this device was removed{by}{when}"),
        "left" => format!("you left{of}{when}"),
        _ => format!("your access was ended{by}: of{}{when}", if of.is_empty() { " all".to_owned() } else { of }),
    }
}

/// Says what became of own work that came after the rights had ended.
fn describe_own_work(status: &StatusView) -> String {
    let parts = [
        (status.in_review, "waits for a manager's decision", "wait for a manager's decision"),
        (status.adopted, "was taken in", "were taken in"),
        (status.turned_away, "was turned away", "were turned away"),
    ];
    let said = parts.iter().filter(|(number, ..)| *number > 0);
    let said = said.map(|(number, one, several)| {
        format!("{} {}", count(*number, "document"), if *number == 1 { one } else { several })
    });
    format!("{}: vereda review own", said.collect::<Vec<_>>().join(", "))
}

/// Prints a digest of all replicas, equal on devices that hold the same
///
/// Examples:
///   vereda digest
///   vereda digest --case 5f0c --json
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Digest {
    /// Of one case only
    #[arg(long, value_name = "ID")]
    case: Option<String>,
}

impl Digest {
    pub(super) fn run(self, common: &Common) -> Outcome {
        let opened = Opened::open(common)?;
        let (digest, cases) = opened.device().with(|device, _| {
            Ok::<_, Fault>(match &self.case {
                Some(case) => {
                    let case = device.find_case(case)?;
                    (device.case_digest(&case)?, 1)
                }
                None => {
                    let all = device.digest()?;
                    (all.digest, all.cases)
                }
            })
        })?;
        opened.close()?;
        if common.json {
            return print_json(&json!({"digest": digest, "cases": cases}));
        }
        print_line(&format!("{digest}  {}", count(cases, "case")))
    }
}
