//! `vereda join`.

use std::time::Duration;

use clap::Args;
use serde_json::json;
use vereda_base::Sensitive;
use vereda_client_core::link::InviteLink;

use super::Common;
use crate::{
    contact::{exchange, exchange_until},
    fault::Outcome,
    link_source::{self, LinkFile},
    opened::Opened,
    output::{print_json, print_line},
};

/// Joins a team or agency by an invite link
///
/// The relay has to be reached before the invite's time is over; until then
/// joining waits. What the agency has can be read once a colleague's device has
/// passed the key on, which happens by itself when one is online.
///
/// Example: vereda join 'vereda://join?…' --name Berta
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Join {
    /// The link, in quotes; - reads it from standard input
    #[arg(value_parser = link_source::secret, conflicts_with = "link_file", required_unless_present = "link_file")]
    link: Option<Sensitive<String>>,
    #[command(flatten)]
    file: LinkFile,
    /// Your name
    #[arg(long)]
    name: String,
    /// How long to wait for the relay, in seconds
    #[arg(long, default_value_t = 20, value_name = "SECONDS")]
    wait: u64,
    /// How long to wait for a colleague's device to pass the key on, in seconds
    #[arg(long, default_value_t = 5, value_name = "SECONDS")]
    wait_for_key: u64,
}

impl Join {
    pub(super) fn run(self, common: &Common) -> Outcome {
        let link: InviteLink = link_source::obtain(self.link, self.file.link_file.as_deref())?.expose().parse()?;
        link_source::check_address(&link.relay, common.allow_plain)?;
        let opened = Opened::open(common)?;
        let user = opened.device().with(|device, ambient| device.join(ambient, &link, &self.name))?;
        let is_member = |device: &vereda_client_core::device::Device<_>| {
            device.status().is_ok_and(|status| status.membership == "member")
        };
        let exchanged = exchange(&opened, Duration::from_secs(self.wait));
        if exchanged.is_ok() && self.wait_for_key > 0 {
            // No colleague being there is no failure: the state says so.
            drop(exchange_until(&opened, Duration::from_secs(self.wait_for_key), is_member));
        }
        let status = opened.device().with(|device, _| device.status())?;
        opened.close()?;
        if common.json {
            print_json(&json!({"user": user, "membership": status.membership}))?;
        } else if exchanged.is_ok() || status.membership != "pending" {
            print_line(match status.membership {
                "member" => "You are in. Cases appear with: vereda case list",
                "waiting_for_key" => {
                    "You are in. Waiting for a colleague's device to pass the key on: vereda sync, when one is online."
                }
                _ => "Your acceptance is stored and completes when the relay is reached: vereda sync",
            })?;
        }
        exchanged
    }
}
