//! `vereda device list`, `name`, `remove` and `made`.

use std::time::Duration;

use clap::Args;
use serde_json::{Value as Json, json};
use vereda_base::DeviceId;
use vereda_client_core::{
    device::{Ambient, Device},
    devices::{DeviceView, MadeByView},
    vault::Vault,
};

use crate::{
    command::Common,
    contact::exchange,
    fault::{Fault, Outcome},
    opened::Opened,
    output::{note, print, print_json, print_line},
    table::Table,
    views::{moment, name, short, word_of},
};

/// Lists your devices
///
/// Examples:
///   vereda device list
///   vereda device list --all     also colleagues' devices, for Managers of the agency
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct List {
    /// Lists all devices that you may remove: as Manager of the agency, those of everybody who is in it
    #[arg(long)]
    all: bool,
    /// Lists removed devices too, and with --all those of people who have left
    #[arg(long)]
    removed: bool,
}

impl List {
    pub(super) fn run(self, common: &Common) -> Outcome {
        let opened = Opened::open(common)?;
        let devices = opened.device().with(|device, ambient| devices(device, ambient, self.all, self.removed))?;
        opened.close()?;
        if common.json {
            return print_json(&json!({"devices": devices}));
        }
        let mut table = Table::new(&["DEVICE", "NAME", "PERSON", "SINCE", ""]);
        for view in devices {
            let since = view.since.map_or_else(|| "not at the relay yet".to_owned(), moment);
            let remark = remark(&view);
            table.row([short(&view.device), name(view.name), name(view.person), since, remark]);
        }
        print(&table.render())
    }
}

/// Lists own devices or all that may be removed; with `removed` those too that are, or whose person has left.
pub(crate) fn devices(
    device: &Device<Vault>,
    ambient: &Ambient<'_>,
    all: bool,
    removed: bool,
) -> Outcome<Vec<DeviceView>> {
    let mut devices = if all { device.devices(ambient.now.wall)? } else { device.own_devices()? };
    devices.retain(|view| removed || (!view.is_removed && (view.may_remove || view.is_own)));
    Ok(devices)
}

/// Finds a device to be removed, among those that stand.
pub(crate) fn removable(device: &Device<Vault>, ambient: &Ambient<'_>, text: &str) -> Outcome<DeviceView> {
    Ok(device.find_device(ambient.now.wall, text)??)
}

fn remark(view: &DeviceView) -> String {
    match (view.until, view.is_removed, view.is_this, view.kind) {
        (Some(until), ..) => format!("removed {}", moment(until)),
        (None, true, ..) => "removed".to_owned(),
        (None, false, true, _) => "this one".to_owned(),
        (None, false, false, "recovery") => "recovery key".to_owned(),
        (None, false, false, _) if !view.may_remove => "its person has left".to_owned(),
        _ => String::new(),
    }
}

/// Names one of your devices; colleagues see the name
///
/// Example: vereda device name 5f0c Tablet
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Name {
    /// The device, by name or id
    device: String,
    /// Its new name
    name: String,
}

impl Name {
    pub(super) fn run(self, common: &Common) -> Outcome {
        let opened = Opened::open(common)?;
        let view = find(&opened, &self.device)?;
        opened.device().with(|device, ambient| device.name_device(ambient, &view.device, &self.name))?;
        opened.close()?;
        if common.json {
            return print_json(&json!({"device": view.device, "name": self.name.trim()}));
        }
        print_line("The name is stored and reaches colleagues with the next vereda sync.")
    }
}

/// Removes a device: a lost one of yours, or as Manager of the agency anybody's
///
/// It reads nothing that is written after it learnt, or the others learnt, of the
/// removal; what it hands in afterwards waits for a Manager's decision. A removed
/// device never comes back under its keys.
///
/// Afterwards look through what it let in: vereda device made ID
///
/// Example: vereda device remove 5f0c
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Remove {
    /// The device, by name or id
    device: String,
    /// How long to wait for the relay, in seconds
    #[arg(long, default_value_t = 20, value_name = "SECONDS")]
    wait: u64,
}

impl Remove {
    pub(super) fn run(self, common: &Common) -> Outcome {
        let opened = Opened::open(common)?;
        let view = opened.device().with(|device, ambient| removable(device, ambient, &self.device))?;
        opened.device().with(|device, ambient| device.remove_device(ambient, &view.device))?;
        let exchanged = exchange(&opened, Duration::from_secs(self.wait));
        let (is_removed, made) = opened.device().with(|device, ambient| {
            let stands = device.devices(ambient.now.wall)?;
            let stands = stands.iter().any(|one| one.device == view.device && !one.is_removed);
            Ok::<_, Fault>((!stands, device.made_by(&view.device, ambient.now.wall)?))
        })?;
        opened.close()?;
        if exchanged.is_ok() && !is_removed {
            return Err(Fault::failed("the removal was refused: it is no longer allowed"));
        }
        if common.json {
            print_json(&json!({"device": view.device, "removed": is_removed, "made": made}))?;
        } else if is_removed {
            print_line(&format!("Device {} is removed.", short(&view.device)))?;
            if !made.is_empty() {
                note("It let in, which you should look through:");
                print_made(made)?;
            }
        }
        exchanged
    }
}

/// Lists what a device did to access: whom it invited, whom it gave roles, which
/// devices it added
///
/// Example: vereda device made 5f0c
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Made {
    /// The device, by any beginning of its id, or by name
    device: String,
}

impl Made {
    pub(super) fn run(self, common: &Common) -> Outcome {
        let opened = Opened::open(common)?;
        let (device, made) = opened.device().with(|device, ambient| made(device, ambient, &self.device))?;
        opened.close()?;
        if common.json {
            return print_json(&made_answer(&device, &made));
        }
        if made.is_empty() {
            return print_line("It let nobody in, as far as is known here.");
        }
        print_made(made)
    }
}

/// Finds what a device let in, a removed one's too.
pub(crate) fn made(device: &Device<Vault>, ambient: &Ambient<'_>, text: &str) -> Outcome<(DeviceId, MadeByView)> {
    let now = ambient.now.wall;
    let view = device.find_past_device(now, text)??;
    Ok((view.device, device.made_by(&view.device, now)?))
}

/// What a device let in, for scripts.
pub(crate) fn made_answer(device: &DeviceId, made: &MadeByView) -> Json {
    let mut answer = json!(made);
    if let Some(answer) = answer.as_object_mut() {
        answer.insert("device".into(), Json::String(device.to_string()));
    }
    answer
}

fn print_made(made: MadeByView) -> Outcome {
    let mut table = Table::new(&["WHAT", "WHERE", "WHOM", "ROLE", "STATE", "WHEN"]);
    let time = |time: Option<_>| time.map_or_else(String::new, moment);
    for invite in made.invites {
        let whom = invite.accepted_by.map_or_else(String::new, |_| name(invite.accepted_by_name));
        let place = invite.name.unwrap_or_else(|| short(&invite.chain));
        table.row(["invite".into(), place, whom, invite.role.into(), word_of(&invite.state), time(invite.time)]);
    }
    let stands = |stands: bool| if stands { "stands" } else { "ended" }.to_owned();
    for grant in made.grants {
        let place = grant.name.unwrap_or_else(|| short(&grant.chain));
        let whom = grant.subject_name.unwrap_or_else(|| short(&grant.subject));
        table.row(["role".into(), place, whom, grant.role.into(), stands(grant.stands), time(grant.time)]);
    }
    for device in made.devices {
        let whom = device.name.unwrap_or_else(|| short(&device.device));
        table.row(["device".into(), String::new(), whom, String::new(), stands(device.stands), time(device.time)]);
    }
    print(&table.render())
}

fn find(opened: &Opened, text: &str) -> Outcome<DeviceView> {
    opened.device().with(|device, ambient| removable(device, ambient, text))
}
