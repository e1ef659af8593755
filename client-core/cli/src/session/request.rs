//! What a session can be asked for.

use std::{path::PathBuf, time::Duration};

use serde::Deserialize;
use serde_json::{Map, Value as Json, json};
use vereda_client_core::{
    cases::{CreateCase, plain::PlainEdit},
    device::{Ambient, Device},
    identity::{CreateAgency, InviteRequest},
    link::{FoundingLink, InviteLink},
    vault::Vault,
    words,
};
use vereda_records::starter::child_protection;

use super::{
    access::{self, AccessRequest, Decision, DeviceRequest},
    recovery::{Recover, RecoverRequest},
};
use crate::{
    command::{read_configuration, read_primero},
    fault::{Fault, Outcome},
    opened::Opened,
};

/// Anything that a session can be asked for.
pub(super) enum Asked {
    /// The session itself, people and cases.
    Base(Request),
    /// Who has access, sections, review.
    Access(AccessRequest),
    /// A decision about access.
    Decision(Decision),
    /// Devices.
    Device(DeviceRequest),
    /// Becoming a device of somebody who lost all others; takes as long as the relay does.
    Recover(Recover),
}

impl Asked {
    /// Reads a command; each word after `do` belongs to one kind.
    pub(super) fn read(object: Json) -> Result<Self, serde_json::Error> {
        let access = || AccessRequest::deserialize(&object).map(Self::Access);
        let decision = || Decision::deserialize(&object).map(Self::Decision);
        let device = || DeviceRequest::deserialize(&object).map(Self::Device);
        let recover =
            || RecoverRequest::deserialize(&object).map(|RecoverRequest::Recover(asked)| Self::Recover(asked));
        let asked = access().or_else(|_| decision()).or_else(|_| device()).or_else(|_| recover());
        asked.or_else(|_| Request::deserialize(object.clone()).map(Self::Base))
    }
}

/// A command, as `docs/automation.md` lists them.
/// Not `Debug`: links hold secrets.
#[derive(Deserialize)]
#[serde(tag = "do", deny_unknown_fields)]
pub(super) enum Request {
    #[serde(rename = "status")]
    Status {},
    #[serde(rename = "explain")]
    Explain { document: String },
    #[serde(rename = "people")]
    People {},
    #[serde(rename = "agency.create")]
    AgencyCreate { founding: String, name: String, person: String },
    #[serde(rename = "team.create")]
    TeamCreate { name: String },
    #[serde(rename = "invite")]
    Invite { chain: String, role: String, hours: u64 },
    #[serde(rename = "invites")]
    Invites {},
    #[serde(rename = "join")]
    Join { link: String, name: String },
    #[serde(rename = "config.apply")]
    ConfigApply {
        file: Option<PathBuf>,
        primero: Option<PathBuf>,
        #[serde(default)]
        starter: bool,
    },
    #[serde(rename = "config.show")]
    ConfigShow {
        #[serde(default)]
        full: bool,
    },
    #[serde(rename = "case.create")]
    CaseCreate {
        #[serde(default)]
        fields: Map<String, Json>,
        #[serde(default)]
        edits: Vec<vereda_records::Edit>,
        team: Option<String>,
    },
    #[serde(rename = "case.edit")]
    CaseEdit(CaseEdit),
    #[serde(rename = "case.show")]
    CaseShow { case: String },
    #[serde(rename = "case.list")]
    CaseList { filter: Option<String> },
    #[serde(rename = "case.history")]
    CaseHistory { case: String, field: Option<String> },
    #[serde(rename = "case.conflicts")]
    CaseConflicts { case: Option<String> },
    #[serde(rename = "case.resolve")]
    CaseResolve { case: String, field: String, value: Json },
    #[serde(rename = "sync")]
    Sync { seconds: Option<u64> },
    #[serde(rename = "connect")]
    Connect {},
    #[serde(rename = "disconnect")]
    Disconnect {},
    #[serde(rename = "digest")]
    Digest { case: Option<String> },
    #[serde(rename = "quit")]
    Quit,
}

/// The fields of `case.edit`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CaseEdit {
    #[serde(alias = "section")]
    case: String,
    #[serde(default)]
    set: std::collections::BTreeMap<String, Json>,
    #[serde(default)]
    append: std::collections::BTreeMap<String, String>,
    #[serde(default)]
    clear: Vec<String>,
    #[serde(default)]
    add: std::collections::BTreeMap<String, Json>,
    #[serde(default)]
    remove: Vec<String>,
    #[serde(default)]
    edits: Vec<vereda_records::Edit>,
}

impl CaseEdit {
    /// Takes it apart into the document, as it was named, and what is to change.
    pub(super) fn take_apart(self) -> (String, PlainEdit) {
        let Self { case, set, append, clear, add, remove, edits } = self;
        (case, PlainEdit { set, append, clear, add, remove, edits })
    }
}

/// Carries a command out; an answer is given only after what it wrote is durable.
pub(super) fn perform(opened: &Opened, asked: Asked) -> Outcome<Json> {
    let request = match asked {
        Asked::Base(request) => request,
        Asked::Access(asked) => return opened.device().with(|device, now| access::perform(device, now, asked)),
        Asked::Decision(asked) => return opened.device().with(|device, now| access::decide(device, now, asked)),
        Asked::Device(asked) => return opened.device().with(|device, now| access::handle_devices(device, now, asked)),
        // Answered by the session itself, once the relay was reached.
        Asked::Recover(_) => return Ok(Json::Null),
    };
    let counters = opened.device().counters();
    let bytes = (counters.up(), counters.down());
    opened.device().with(|device, ambient| match request {
        Request::Status {} => {
            let mut status = json!(device.status()?);
            let beacon = device.beacon(ambient.now.wall);
            if let Some(status) = status.as_object_mut() {
                status.insert("beacon".into(), json!(beacon));
                status.insert("bytes_up".into(), bytes.0.into());
                status.insert("bytes_down".into(), bytes.1.into());
            }
            Ok(status)
        }
        Request::Explain { document } => {
            let document = device.find_case(&document).or_else(|_| device.find_document(&document))?;
            Ok(json!(device.explain(&document)?))
        }
        Request::People {} => Ok(json!(device.people()?)),
        Request::Connect {} => Ok(json!({"done": device.go_online(ambient)?})),
        Request::Disconnect {} => Ok(json!({"done": device.go_offline(ambient)?})),
        Request::Digest { case: None } => Ok(json!(device.digest()?)),
        Request::Digest { case: Some(case) } => {
            let case = device.find_case(&case)?;
            Ok(json!({"digest": device.case_digest(&case)?, "cases": 1}))
        }
        Request::ConfigShow { full: true } => Ok(json!({"configuration": device.configuration()})),
        Request::ConfigShow { full: false } => {
            Ok(json!(device.show_configuration().ok_or_else(|| Fault::not_found("there is no configuration yet"))?))
        }
        Request::Sync { .. } | Request::Quit => Ok(Json::Null),
        request => match perform_identity(device, ambient, request)? {
            Done::Yes(answer) => Ok(answer),
            Done::No(request) => perform_case(device, ambient, request),
        },
    })
}

/// Whether a command was one of a kind.
enum Done {
    Yes(Json),
    No(Request),
}

fn perform_identity(device: &mut Device<Vault>, ambient: &mut Ambient<'_>, request: Request) -> Outcome<Done> {
    Ok(Done::Yes(match request {
        Request::AgencyCreate { founding, name, person } => {
            let link: FoundingLink = founding.parse()?;
            let agency = device.create_agency(ambient, &CreateAgency { link, name, person })?;
            device.go_online_if_wanted(ambient)?;
            json!({"agency": agency, "user": device.home().map(|(user, _)| user)})
        }
        Request::TeamCreate { name } => json!({"team": device.create_team(ambient, &name)?}),
        Request::Invite { chain, role, hours } => {
            let role = words::read_role(&role).ok_or_else(|| Fault::usage("a role is reader, editor or manager"))?;
            let chain = device.find_group(&chain)?;
            let open_for = Duration::from_secs(hours.saturating_mul(3_600));
            json!({"invite": device.invite(ambient, &InviteRequest { chain, role, open_for })?})
        }
        Request::Invites {} => json!({"invites": device.invites(ambient.now.wall)?}),
        Request::Join { link, name } => {
            let link: InviteLink = link.parse()?;
            let user = device.join(ambient, &link, &name)?;
            device.go_online_if_wanted(ambient)?;
            json!({"user": user})
        }
        Request::ConfigApply { file, primero, starter } => {
            let (configuration, losses) = match (file, primero, starter) {
                (Some(file), None, false) => (read_configuration(&file)?, None),
                (None, Some(file), false) => {
                    let imported = read_primero(&file)?;
                    (imported.configuration, Some(imported.report))
                }
                (None, None, true) => (child_protection().clone(), None),
                _ => return Err(Fault::usage("one of file, primero, starter")),
            };
            let mut answer = json!(device.apply_configuration(ambient, configuration)?);
            if let (Some(answer), Some(report)) = (answer.as_object_mut(), losses) {
                answer.insert("account".into(), json!(report));
            }
            answer
        }
        request => return Ok(Done::No(request)),
    }))
}

fn perform_case(device: &mut Device<Vault>, ambient: &mut Ambient<'_>, request: Request) -> Outcome<Json> {
    Ok(match request {
        Request::CaseCreate { fields, edits, team } => {
            let team = team.as_deref().map(|team| device.find_team(team)).transpose()?;
            let answers = PlainEdit { set: fields.into_iter().collect(), edits, ..PlainEdit::default() };
            json!({"case": device.create_case(ambient, &CreateCase { team, answers })?})
        }
        Request::CaseEdit(edit) => {
            let (case, edit) = edit.take_apart();
            let case = device.find_case(&case)?;
            json!(device.edit_case(ambient, &case, &edit)?)
        }
        Request::CaseShow { case } => {
            let case = device.find_case(&case)?;
            json!(device.show_case(&case)?)
        }
        Request::CaseList { filter } => json!({"cases": device.list_cases(filter.as_deref())?}),
        Request::CaseHistory { case, field } => {
            let case = device.find_case(&case)?;
            json!({"history": device.case_history(&case, field.as_deref())?})
        }
        Request::CaseConflicts { case: Some(case) } => {
            let case = device.find_case(&case)?;
            json!({"conflicts": device.conflicts_of(&case)?})
        }
        Request::CaseConflicts { case: None } => json!({"conflicts": device.conflicts()?}),
        Request::CaseResolve { case, field, value } => {
            let case = device.find_case(&case)?;
            json!(device.resolve_conflict(ambient, &case, &field, &value)?)
        }
        // All others were carried out before.
        _ => Json::Null,
    })
}
