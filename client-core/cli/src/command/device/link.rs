//! `vereda device link`, `answer` and `confirm`.

use std::{
    io::{BufRead, IsTerminal},
    path::PathBuf,
    time::Duration,
};

use clap::Args;
use serde_json::json;
use vereda_client_core::{
    devices::{LinkingCode, OFFER_LASTS},
    link::{DeviceAnswer, DeviceOffer},
};

use crate::{
    command::Common,
    contact::{exchange, exchange_until},
    fault::{Fault, Outcome},
    link_source::{self, LinkFile},
    opened::Opened,
    output::{note, print, print_json, print_line},
    qr,
    views::short,
};

/// Offers to link a new device: shows the link that it has to read
///
/// The link holds no secret. It can be answered once, for ten minutes; a new one
/// takes its place.
///
/// Examples:
///   vereda device link
///   vereda device link --qr
///   vereda device link --out /media/stick/link.txt
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Link {
    #[command(flatten)]
    shown: Shown,
}

/// How a link is shown.
#[derive(Debug, Args)]
struct Shown {
    /// Also draws the link as a QR code in the terminal
    #[arg(long)]
    qr: bool,
    /// Writes the link into this new file instead, for the other device's --link-file
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

impl Link {
    pub(super) fn run(self, common: &Common) -> Outcome {
        let opened = Opened::open(common)?;
        let offer = opened.device().with(vereda_client_core::device::Device::offer_link)?;
        opened.close()?;
        let link = offer.text();
        if common.json {
            return print_json(&json!({"offer": link, "seconds": OFFER_LASTS.as_secs()}));
        }
        note("On the new device, within ten minutes: vereda device answer LINK --name NAME");
        show(&link, &self.shown)
    }
}

/// Answers an offer on the new device: shows the link that the old one has to
/// read, and the code to compare
///
/// The vault must be a new one, that belongs to nobody yet. The link shown is long, for it holds
/// the keys of this device, which are no secret: as a picture (--qr) or in a file (--out) it
/// travels best.
///
/// Examples:
///   vereda device answer 'vereda://link?…' --name Tablet --qr
///   vereda device answer --link-file link.txt --name Tablet --out answer.txt
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Answer {
    /// The old device's link, in quotes; - reads it from standard input
    #[arg(conflicts_with = "link_file", required_unless_present = "link_file")]
    link: Option<String>,
    #[command(flatten)]
    file: LinkFile,
    /// A name for this device, which colleagues see too
    #[arg(long)]
    name: String,
    #[command(flatten)]
    shown: Shown,
}

impl Answer {
    pub(super) fn run(self, common: &Common) -> Outcome {
        let offer: DeviceOffer = obtain(self.link, &self.file)?.parse()?;
        link_source::check_address(&offer.relay, common.allow_plain)?;
        let opened = Opened::open(common)?;
        let linking = opened.device().with(|device, ambient| device.answer_link(ambient, &offer, &self.name))?;
        opened.close()?;
        if common.json {
            return print_json(&json!({"answer": linking.answer, "code": linking.code.to_string(), "by": linking.by}));
        }
        note("On the old device: vereda device confirm LINK");
        show(&linking.answer, &self.shown)?;
        note(&format!("Code: {}", linking.code));
        note("If the old device shows the same code, here too: vereda device confirm");
        Ok(())
    }
}

/// Compares the codes and links, on the old device with the new one's link, then
/// on the new one
///
/// Both devices show the same code of twelve letters and digits, unless somebody
/// exchanged a link on its way. Say so only after you looked at both screens.
///
/// Examples:
///   vereda device confirm 'vereda://linked?…'      on the old device
///   vereda device confirm                          on the new device
///   vereda device confirm --code 7K3D-0QXM-ZN41    the code that the other shows
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Confirm {
    /// On the old device: the new device's link, in quotes; - reads it from standard input
    #[arg(conflicts_with = "link_file")]
    link: Option<String>,
    #[command(flatten)]
    file: LinkFile,
    /// The code that the other device shows, instead of asking
    #[arg(long)]
    code: Option<String>,
    /// How long to wait for the relay, in seconds
    #[arg(long, default_value_t = 20, value_name = "SECONDS")]
    wait: u64,
}

impl Confirm {
    pub(super) fn run(self, common: &Common) -> Outcome {
        let given = self.code.as_deref().map(str::parse::<LinkingCode>).transpose().map_err(Fault::usage)?;
        let is_old = self.link.is_some() || self.file.link_file.is_some();
        let wait = Duration::from_secs(self.wait);
        if is_old {
            let answer: DeviceAnswer = obtain(self.link, &self.file)?.parse()?;
            return confirm_on_old(common, &answer, given, wait);
        }
        confirm_on_new(common, given, wait)
    }
}

fn confirm_on_old(common: &Common, answer: &DeviceAnswer, given: Option<LinkingCode>, wait: Duration) -> Outcome {
    let opened = Opened::open(common)?;
    let shown = opened.device().with(|device, ambient| device.check_answer(ambient.now.wall, answer))?;
    let code = compared(&opened, shown, given)?;
    let device = opened.device().with(|device, ambient| device.confirm_answer(ambient, answer, code))?;
    let exchanged = exchange(&opened, wait);
    let is_added = opened.device().with(|own, _| own.has_device(&device));
    opened.close()?;
    if common.json {
        print_json(&json!({"device": device, "added": is_added}))?;
    } else if is_added {
        print_line(&format!("Device {} is added. On it: vereda device confirm", short(&device)))?;
    }
    exchanged
}

fn confirm_on_new(common: &Common, given: Option<LinkingCode>, wait: Duration) -> Outcome {
    let opened = Opened::open(common)?;
    let linking = opened.device().with(|device, _| device.linking())?;
    let linking = linking.ok_or_else(|| Fault::not_found("no answer waits here: vereda device answer LINK"))?;
    let code = compared(&opened, linking.code, given)?;
    let user = opened.device().with(|device, _| device.confirm_offer(code))?;
    let exchanged =
        exchange_until(&opened, wait, |device| device.status().is_ok_and(|status| status.membership == "member"));
    let status = opened.device().with(|device, _| device.status())?;
    opened.close()?;
    if common.json {
        print_json(&json!({"user": user, "membership": status.membership}))?;
    } else {
        print_line(match status.membership {
            "member" => "This device is linked. Cases appear with: vereda case list",
            "waiting_for_key" => "This device is linked. Its keys come from the old one: vereda sync on both",
            _ => "This device is linked once the old one has added it: vereda sync",
        })?;
    }
    exchanged
}

/// Obtains the code that a person saw on the other device: the one given, or after asking whether both are the same.
fn compared(opened: &Opened, shown: LinkingCode, given: Option<LinkingCode>) -> Outcome<LinkingCode> {
    if let Some(given) = given {
        return Ok(given);
    }
    let stdin = std::io::stdin();
    if !stdin.is_terminal() {
        return Err(Fault::usage("no terminal to ask on: give the code that the other device shows with --code"));
    }
    note(&format!("Code: {shown}"));
    note("Does the other device show the same code? Look at both, then type yes or no:");
    let mut line = String::new();
    stdin.lock().read_line(&mut line)?;
    match line.trim().to_lowercase().as_str() {
        "yes" | "y" => Ok(shown),
        "no" | "n" => {
            opened.device().with(|device, _| device.drop_linking())?;
            Err(Fault::failed(
                "the codes differ: somebody may have exchanged a link on its way; nothing was linked, begin again",
            ))
        }
        _ => Err(Fault::usage("yes or no; nothing was linked yet")),
    }
}

fn obtain(link: Option<String>, file: &LinkFile) -> Outcome<String> {
    let text = link_source::obtain(link.map(vereda_base::Sensitive::new), file.link_file.as_deref())?;
    Ok(text.expose().clone())
}

fn show(link: &str, shown: &Shown) -> Outcome {
    if let Some(path) = &shown.out {
        let file = std::fs::File::create_new(path);
        let written = file.and_then(|mut file| std::io::Write::write_all(&mut file, format!("{link}\n").as_bytes()));
        written.map_err(|error| Fault::unusable(format!("{}: {error}", path.display())))?;
        note(&format!("The link is in {}. It holds no secret.", path.display()));
    } else {
        print_line(link)?;
    }
    if shown.qr {
        print(&qr::draw(link).ok_or_else(|| Fault::failed("the link is too long for a QR code"))?)?;
    }
    Ok(())
}
