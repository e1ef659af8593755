//! What a session can be asked for about access: who has it, decisions, sections, review, devices.

use serde::Deserialize;
use serde_json::{Map, Value as Json, json};
use vereda_client_core::{
    cases::plain::PlainEdit,
    device::{Ambient, Device},
    devices::{LinkingCode, OFFER_LASTS},
    link::{DeviceAnswer, DeviceOffer},
    vault::Vault,
};

use super::request::CaseEdit;
use crate::{
    command::{
        access::{
            Assign, Leave, Refer, Revoke, What, Withdraw, answer_of, decided_after, find_file, find_place, newest,
            set_retention,
        },
        case::tell_erasure,
        device::{devices, made, made_answer, removable},
        review::{adopt, discard, reviews},
        section::{Note, create},
    },
    fault::{Fault, Outcome},
};

/// A command about access, as `docs/automation.md` lists them.
/// Not `Debug`: links hold secrets.
#[derive(Deserialize)]
#[serde(tag = "do", deny_unknown_fields)]
pub(super) enum AccessRequest {
    #[serde(rename = "policy.show")]
    Show { place: String },
    #[serde(rename = "policy.pending")]
    Pending {},
    #[serde(rename = "policy.dismiss")]
    Dismiss { decision: u64 },
    #[serde(rename = "section.list")]
    Sections { case: String },
    #[serde(rename = "section.show")]
    ShowSection { section: String },
    #[serde(rename = "section.create")]
    CreateSection {
        case: String,
        title: String,
        #[serde(default)]
        members: Vec<String>,
        #[serde(default)]
        editors: Vec<String>,
        #[serde(default)]
        note: Note,
        #[serde(default)]
        fields: Map<String, Json>,
    },
    #[serde(rename = "section.edit")]
    EditSection(CaseEdit),
    #[serde(rename = "review.list")]
    Reviews {},
    #[serde(rename = "review.show")]
    ShowReview { document: String },
    #[serde(rename = "review.own")]
    OwnReviews {},
    #[serde(rename = "relay.faults")]
    RelayFaults {},
    #[serde(rename = "beacon")]
    Beacon {},
}

/// A decision: what it changes becomes final when the relay has it.
#[derive(Deserialize)]
#[serde(tag = "do", deny_unknown_fields)]
pub(super) enum Decision {
    #[serde(rename = "refer")]
    Refer(Refer),
    #[serde(rename = "withdraw")]
    Withdraw(Withdraw),
    #[serde(rename = "assign")]
    Assign(Assign),
    #[serde(rename = "revoke")]
    Revoke(Revoke),
    #[serde(rename = "leave")]
    Leave(Leave),
    #[serde(rename = "invites.cancel")]
    CancelInvite { invite: String },
    #[serde(rename = "policy.retention")]
    Retention { what: What, days: u32 },
    #[serde(rename = "case.erase")]
    Erase { case: String },
    #[serde(rename = "review.adopt")]
    Adopt {
        document: Option<String>,
        #[serde(default)]
        all: bool,
    },
    #[serde(rename = "review.discard")]
    Discard { document: String, reason: String },
}

/// A command about devices.
/// Not `Debug`: a recovery key is made here.
#[derive(Deserialize)]
#[serde(tag = "do", deny_unknown_fields)]
pub(super) enum DeviceRequest {
    #[serde(rename = "device.list")]
    List {
        #[serde(default)]
        all: bool,
        #[serde(default)]
        removed: bool,
    },
    #[serde(rename = "device.name")]
    Name { device: String, name: String },
    #[serde(rename = "device.remove")]
    Remove { device: String },
    #[serde(rename = "device.made")]
    Made { device: String },
    #[serde(rename = "device.link")]
    Link {},
    #[serde(rename = "device.answer")]
    Answer { link: String, name: String },
    #[serde(rename = "device.confirm")]
    Confirm { link: Option<String>, code: String },
    #[serde(rename = "device.recovery.make")]
    MakeRecoveryKey {},
}

/// Answers a question about access, or edits a section.
pub(super) fn perform(device: &mut Device<Vault>, ambient: &mut Ambient<'_>, request: AccessRequest) -> Outcome<Json> {
    let now = ambient.now.wall;
    Ok(match request {
        AccessRequest::Show { place } => {
            let chain = find_place(device, &place)?;
            let mut answer = json!(device.who_has_access(&chain, now)?);
            if let Some(answer) = answer.as_object_mut() {
                // In an answer, `id` is the sender's.
                answer.insert("place".into(), json!(chain));
            }
            answer
        }
        AccessRequest::Pending {} => json!({"decisions": device.decisions()?}),
        AccessRequest::Dismiss { decision } => {
            device.dismiss_decision(decision)?;
            json!({"dismissed": decision})
        }
        AccessRequest::Sections { case } => {
            let case = device.find_case(&case)?;
            json!({"sections": device.list_sections(&case, now)?})
        }
        AccessRequest::ShowSection { section } => {
            let section = device.find_section(&section)?;
            json!(device.show_section(&section)?)
        }
        AccessRequest::CreateSection { case, title, members, editors, note, fields } => {
            let answers = PlainEdit { set: fields.into_iter().collect(), ..PlainEdit::default() };
            json!({"section": create(device, ambient, &case, title, (&members, &editors), note, answers)?})
        }
        AccessRequest::EditSection(edit) => {
            let (section, edit) = edit.take_apart();
            let section = device.find_section(&section)?;
            json!(device.edit_section(ambient, &section, &edit)?)
        }
        AccessRequest::Reviews {} => json!({"reviews": reviews(device, None)?}),
        AccessRequest::ShowReview { document } => json!({"reviews": reviews(device, Some(&document))?}),
        AccessRequest::OwnReviews {} => json!({"own": device.own_reviews()?}),
        AccessRequest::RelayFaults {} => json!({"relay_faults": device.relay_faults()?}),
        AccessRequest::Beacon {} => json!({"beacon": device.beacon(now)}),
    })
}

/// Makes a decision and says how it stands, as the command does that does not wait.
pub(super) fn decide(device: &mut Device<Vault>, ambient: &mut Ambient<'_>, decision: Decision) -> Outcome<Json> {
    let before = newest(device)?;
    let mut more = Map::new();
    match decision {
        Decision::Refer(refer) => refer.act(device, ambient)?,
        Decision::Withdraw(withdraw) => withdraw.act(device, ambient)?,
        Decision::Assign(assign) => assign.act(device, ambient)?,
        Decision::Revoke(revoke) => revoke.act(device, ambient)?,
        Decision::Leave(leave) => leave.act(device, ambient)?,
        Decision::CancelInvite { invite } => {
            let invite = device.find_invite(&invite)?;
            device.cancel_invite(ambient, &invite)?;
        }
        Decision::Retention { what, days } => set_retention(device, ambient, what, days)?,
        Decision::Erase { case } => {
            let document = find_file(device, &case)?;
            more = tell_erasure(&device.erase(ambient, &document)?).fields;
        }
        Decision::Adopt { document, all } if all == document.is_some() => {
            return Err(Fault::usage("one of document, or all: true"));
        }
        Decision::Adopt { document, .. } => drop(adopt(device, ambient, document.as_deref())?),
        Decision::Discard { document, reason } => discard(device, ambient, &document, reason)?,
    }
    let mut answer = answer_of(&decided_after(device, before)?);
    if let Some(answer) = answer.as_object_mut() {
        answer.extend(more);
    }
    Ok(answer)
}

/// Does something about devices; what the relay must order is final after `sync`.
pub(super) fn handle_devices(
    device: &mut Device<Vault>,
    ambient: &mut Ambient<'_>,
    request: DeviceRequest,
) -> Outcome<Json> {
    let now = ambient.now.wall;
    Ok(match request {
        DeviceRequest::List { all, removed } => json!({"devices": devices(device, ambient, all, removed)?}),
        DeviceRequest::Name { device: text, name } => {
            let found = device.find_device(now, &text)??.device;
            device.name_device(ambient, &found, &name)?;
            json!({"device": found, "name": name.trim()})
        }
        DeviceRequest::Remove { device: text } => {
            let found = removable(device, ambient, &text)?.device;
            device.remove_device(ambient, &found)?;
            json!({"device": found, "removed": false, "made": device.made_by(&found, now)?})
        }
        DeviceRequest::Made { device: text } => {
            let (found, made) = made(device, ambient, &text)?;
            made_answer(&found, &made)
        }
        DeviceRequest::Link {} => {
            let offer = device.offer_link(ambient)?;
            json!({"offer": offer.text(), "seconds": OFFER_LASTS.as_secs()})
        }
        DeviceRequest::Answer { link, name } => {
            let offer: DeviceOffer = link.parse()?;
            let linking = device.answer_link(ambient, &offer, &name)?;
            json!({"answer": linking.answer, "code": linking.code.to_string(), "by": linking.by})
        }
        DeviceRequest::Confirm { link: Some(link), code } => {
            let (answer, code): (DeviceAnswer, _) = (link.parse()?, read_code(&code)?);
            json!({"device": device.confirm_answer(ambient, &answer, code)?, "added": false})
        }
        DeviceRequest::Confirm { link: None, code } => {
            let user = device.confirm_offer(read_code(&code)?)?;
            device.go_online_if_wanted(ambient)?;
            json!({"user": user, "membership": device.status()?.membership})
        }
        DeviceRequest::MakeRecoveryKey {} => {
            let sheet = device.make_recovery_key(ambient)?;
            json!({"link": sheet.link.text(), "key": sheet.key.expose().expose(), "good": false})
        }
    })
}

fn read_code(text: &str) -> Outcome<LinkingCode> {
    text.parse::<LinkingCode>().map_err(Fault::usage)
}
