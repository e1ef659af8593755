//! `vereda policy`, `refer`, `withdraw`, `assign`, `revoke`, `leave`: who has access, and what changes it.

mod decided;
mod policy;

use std::time::Duration;

use clap::Args;
use serde::Deserialize;
use vereda_base::ChainId;
use vereda_client_core::{
    access::{AssignRequest, LowerRequest, ReferRequest, RevokeRequest, Role, WithdrawRequest},
    device::{Ambient, Device},
    vault::Vault,
    words,
};

use super::{Common, invite::RoleWord};
use crate::fault::{Fault, Outcome};

pub(super) use decided::{Told, decide_and_tell};
pub(crate) use decided::{Wait, answer_of, decide, decided_after, newest};
pub(crate) use policy::{Policy, What, set_retention};
/// Gives a team or a person access to a case, for a time and a purpose
///
/// Stored at once, final when the relay is reached. Purpose and consent are sealed: whoever reads
/// the case reads them. Sections of the case stay closed but for those that are named.
///
/// Examples:
///   vereda refer 5f0c South --role reader --days 30 --purpose 'Medical care' --consent 'Form 12'
///   vereda refer 5f0c Carmen --section 77ab --section 91cd
#[derive(Debug, Args, Deserialize)]
#[command(verbatim_doc_comment)]
#[serde(deny_unknown_fields)]
pub(crate) struct Refer {
    /// The case, or a section by itself
    case: String,
    /// The team or person, by name or id
    to: String,
    /// What they may do
    #[arg(long, value_enum, default_value_t = RoleWord::Reader)]
    #[serde(default = "RoleWord::reader")]
    role: RoleWord,
    /// For how many days; without it until it is withdrawn
    #[arg(long, value_name = "DAYS")]
    days: Option<u64>,
    /// Why
    #[arg(long, value_name = "TEXT")]
    purpose: Option<String>,
    /// Where the consent to it is recorded
    #[arg(long, value_name = "TEXT")]
    consent: Option<String>,
    /// Also opens this section of the case; may be given several times
    #[arg(long, value_name = "SECTION")]
    #[serde(default, rename = "sections")]
    section: Vec<String>,
    #[command(flatten)]
    #[serde(skip)]
    wait: Wait,
}

impl Refer {
    pub(super) fn run(self, common: &Common) -> Outcome {
        decide(common, &self.wait, |device, ambient| self.act(device, ambient))
    }

    /// Refers, as far as this device knows what is named.
    pub(crate) fn act(&self, device: &mut Device<Vault>, ambient: &mut Ambient<'_>) -> Outcome {
        let request = ReferRequest {
            document: find_file(device, &self.case)?,
            to: device.find_subject(&self.to)?,
            role: read_role(self.role)?,
            expires: self.days.map(|days| ambient.now.wall.saturating_add(of_days(days))),
            purpose: self.purpose.clone(),
            consent: self.consent.clone(),
            sections: find_sections(device, &self.section)?,
        };
        Ok(device.refer(ambient, &request)?)
    }
}

/// Ends what a team or person was given in a case and its sections
///
/// Example: vereda withdraw 5f0c South
#[derive(Debug, Args, Deserialize)]
#[command(verbatim_doc_comment)]
#[serde(deny_unknown_fields)]
pub(crate) struct Withdraw {
    /// The case, or a section by itself
    case: String,
    /// The team or person, by name or id
    from: String,
    #[command(flatten)]
    #[serde(skip)]
    wait: Wait,
}

impl Withdraw {
    pub(super) fn run(self, common: &Common) -> Outcome {
        decide(common, &self.wait, |device, ambient| self.act(device, ambient))
    }

    /// Withdraws, as far as this device knows what is named.
    pub(crate) fn act(&self, device: &mut Device<Vault>, ambient: &mut Ambient<'_>) -> Outcome {
        let document = find_file(device, &self.case)?;
        Ok(device.withdraw(ambient, WithdrawRequest { document, from: device.find_subject(&self.from)? })?)
    }
}

/// Assigns a case to a worker or a team, or transfers it to another team
///
/// To a worker: he gets it, the worker before loses it, the team keeps it. With --transfer, the
/// team becomes the owner and everybody who had the case without an end loses it. Sections stay
/// with those who hold them but for those named.
///
/// Examples:
///   vereda assign 5f0c Berta
///   vereda assign 5f0c South --transfer --section 77ab
#[derive(Debug, Args, Deserialize)]
#[command(verbatim_doc_comment)]
#[serde(deny_unknown_fields)]
pub(crate) struct Assign {
    /// The case
    case: String,
    /// The worker or team, by name or id
    to: String,
    /// What they may do in it
    #[arg(long, value_enum, default_value_t = RoleWord::Editor)]
    #[serde(default = "RoleWord::editor")]
    role: RoleWord,
    /// The team becomes the owner
    #[arg(long)]
    #[serde(default)]
    transfer: bool,
    /// This section goes with the case; may be given several times
    #[arg(long, value_name = "SECTION")]
    #[serde(default, rename = "sections")]
    section: Vec<String>,
    #[command(flatten)]
    #[serde(skip)]
    wait: Wait,
}

impl Assign {
    pub(super) fn run(self, common: &Common) -> Outcome {
        decide(common, &self.wait, |device, ambient| self.act(device, ambient))
    }

    /// Assigns, as far as this device knows what is named.
    pub(crate) fn act(&self, device: &mut Device<Vault>, ambient: &mut Ambient<'_>) -> Outcome {
        let request = AssignRequest {
            case: device.find_case(&self.case)?,
            to: device.find_subject(&self.to)?,
            role: read_role(self.role)?,
            transfer: self.transfer,
            sections: find_sections(device, &self.section)?,
        };
        Ok(device.assign(ambient, &request)?)
    }
}

/// Ends or lowers somebody's role in a team, the agency, a case or a section
///
/// Once the relay has it, what the person's devices wrote before and the relay has stands; what
/// comes later goes to review, and new keys keep them out. What was given to the person himself,
/// such as a section of a case, is not ended by ending his role in the team.
///
/// Examples:
///   vereda revoke North Berta
///   vereda revoke North Berta --keep reader
///   vereda revoke agency Amina --successor Dora
#[derive(Debug, Args, Deserialize)]
#[command(verbatim_doc_comment)]
#[serde(deny_unknown_fields)]
pub(crate) struct Revoke {
    /// A team's name or id, the word `agency`, a case or a section
    place: String,
    /// The person or team, by name or id
    subject: String,
    /// Lowers to this role instead of ending it
    #[arg(long, value_enum, value_name = "ROLE", conflicts_with = "successor")]
    keep: Option<RoleWord>,
    /// Who becomes manager with it; needed for an agency's last one
    #[arg(long, value_name = "PERSON")]
    successor: Option<String>,
    #[command(flatten)]
    #[serde(skip)]
    wait: Wait,
}

impl Revoke {
    pub(super) fn run(self, common: &Common) -> Outcome {
        decide(common, &self.wait, |device, ambient| self.act(device, ambient))
    }

    /// Ends or lowers a role, as far as this device knows what is named.
    pub(crate) fn act(&self, device: &mut Device<Vault>, ambient: &mut Ambient<'_>) -> Outcome {
        let chain = find_place(device, &self.place)?;
        let subject = device.find_subject(&self.subject)?;
        let successor = self.successor.as_deref().map(|name| device.find_subject(name)).transpose()?;
        match self.keep {
            Some(_) if successor.is_some() => Err(Fault::usage("whoever keeps a role needs no successor")),
            Some(role) => Ok(device.lower(ambient, LowerRequest { chain, subject, to: read_role(role)? })?),
            None => Ok(device.revoke(ambient, RevokeRequest { chain, subject, successor })?),
        }
    }
}

/// Leaves a team, the agency, or a case that was referred to you
///
/// This device then destroys the keys and content of what you leave. Before you leave a team, make
/// sure that somebody else in it has synced: cases of which nobody else holds the key can be read
/// by nobody any more. A team's last manager first makes another one:
/// `vereda invite TEAM --role manager`.
///
/// Examples:
///   vereda leave North
///   vereda leave agency --successor Dora
#[derive(Debug, Args, Deserialize)]
#[command(verbatim_doc_comment)]
#[serde(deny_unknown_fields)]
pub(crate) struct Leave {
    /// A team's name or id, the word `agency`, a case or a section
    place: String,
    /// Who becomes manager with it; needed for an agency's last one
    #[arg(long, value_name = "PERSON")]
    successor: Option<String>,
    #[command(flatten)]
    #[serde(skip)]
    wait: Wait,
}

impl Leave {
    pub(super) fn run(self, common: &Common) -> Outcome {
        decide(common, &self.wait, |device, ambient| self.act(device, ambient))
    }

    /// Leaves, as far as this device knows what is named.
    pub(crate) fn act(&self, device: &mut Device<Vault>, ambient: &mut Ambient<'_>) -> Outcome {
        let chain = find_place(device, &self.place)?;
        let successor = self.successor.as_deref().map(|name| device.find_subject(name)).transpose()?;
        Ok(device.leave(ambient, &chain, successor)?)
    }
}

/// Finds a case or section.
pub(crate) fn find_file(device: &Device<Vault>, text: &str) -> Outcome<ChainId> {
    Ok(device.find_case(text).or_else(|_| device.find_section(text)).or_else(|_| device.find_document(text))?)
}

/// Finds a team, the agency, a case or a section.
pub(crate) fn find_place(device: &Device<Vault>, text: &str) -> Outcome<ChainId> {
    match device.find_group(text) {
        Ok(group) => Ok(group),
        Err(_) => find_file(device, text)
            .map_err(|_| Fault::not_found("there is no team, case or section of this name or id here, or several fit")),
    }
}

fn find_sections(device: &Device<Vault>, texts: &[String]) -> Outcome<Vec<ChainId>> {
    texts.iter().map(|text| Ok(device.find_section(text)?)).collect()
}

fn read_role(word: RoleWord) -> Outcome<Role> {
    words::read_role(word.word()).ok_or_else(|| Fault::usage("no such role"))
}

const fn of_days(days: u64) -> Duration {
    Duration::from_secs(days.saturating_mul(86_400))
}
