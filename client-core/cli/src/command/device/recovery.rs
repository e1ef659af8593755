//! `vereda device recovery`.

use std::{path::PathBuf, time::Duration};

use clap::{Args, Subcommand};
use serde_json::json;
use vereda_base::Sensitive;
use vereda_client_core::{devices::RecoveryKey, link::RecoveryLink};

use crate::{
    command::Common,
    contact::{drive_until, exchange, exchange_until},
    fault::{Fault, Outcome},
    link_source,
    opened::Opened,
    output::{note, print_json, print_line},
};

/// Makes a printed key for when all devices are lost, and recovers with one
#[derive(Debug, Subcommand)]
pub(crate) enum Recovery {
    Make(Make),
    Recover(Recover),
}

impl Recovery {
    pub(super) fn run(self, common: &Common) -> Outcome {
        match self {
            Self::Make(make) => make.run(common),
            Self::Recover(recover) => recover.run(common),
        }
    }
}

/// Makes a recovery key: shown this once, stored nowhere
///
/// Write link and key down, or print them, and keep them apart from your devices.
/// Whoever has both can bring a device of his own in as yours. A lost or seen key
/// is removed as a device is: vereda device list, vereda device remove.
///
/// Example: vereda device recovery make
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Make {
    /// How long to wait for the relay, in seconds
    #[arg(long, default_value_t = 20, value_name = "SECONDS")]
    wait: u64,
}

impl Make {
    pub(super) fn run(self, common: &Common) -> Outcome {
        let opened = Opened::open(common)?;
        let sheet = opened.device().with(vereda_client_core::device::Device::make_recovery_key)?;
        let exchanged = exchange(&opened, Duration::from_secs(self.wait));
        let is_good = opened.device().with(|device, _| device.has_device(&sheet.key.device()));
        opened.close()?;
        if exchanged.is_ok() && !is_good {
            return Err(Fault::failed("the recovery key was refused: throw it away"));
        }
        let (link, key) = (sheet.link.text(), sheet.key.expose());
        if common.json {
            print_json(&json!({"link": link, "key": key.expose(), "good": is_good}))?;
        } else {
            note("Write both down. The key is shown this once:");
            print_line(&link)?;
            print_line(key.expose())?;
            if !is_good {
                note("The key is good once the relay was reached: vereda sync");
            }
        }
        exchanged
    }
}

/// Brings this new vault in as a device of yours, with a recovery key
///
/// The vault must be a new one. The key is read from a file, from standard input,
/// or asked for; never from the command line. Remove the lost devices then:
/// vereda device list, vereda device remove.
///
/// Example: vereda device recovery recover 'vereda://recover?…' --name Phone
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Recover {
    /// The link that stands beside the key, in quotes
    link: String,
    /// Reads the key from this file; - for standard input
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
    /// A name for this device, which colleagues see too
    #[arg(long)]
    name: String,
    /// How long to wait for the relay, in seconds
    #[arg(long, default_value_t = 30, value_name = "SECONDS")]
    wait: u64,
}

impl Recover {
    pub(super) fn run(self, common: &Common) -> Outcome {
        let link: RecoveryLink = self.link.parse()?;
        link_source::check_address(&link.relay, common.allow_plain)?;
        let key: RecoveryKey = self.obtain_key()?.expose().trim().parse()?;
        let opened = Opened::open(common)?;
        let wait = Duration::from_secs(self.wait);
        let of_key = opened.device().with(|device, ambient| device.begin_recovery(ambient, &link, &key))?;
        let new = opened.device().with(|device, _| device.id());
        let of_key = opened.share(of_key);
        let driven = drive_until(&opened, &of_key, wait, |device| device.is_done(&new));
        // What is missing is said by itself; else by why the relay was not reached.
        let finished = of_key
            .with(|of_key, _| opened.device().with(|device, _| device.finish_recovery(&link, of_key, &self.name)));
        drop(of_key);
        if finished.is_err() {
            driven?;
        }
        let user = finished?;
        let exchanged =
            exchange_until(&opened, wait, |device| device.status().is_ok_and(|status| status.membership == "member"));
        let status = opened.device().with(|device, _| device.status())?;
        opened.close()?;
        if common.json {
            print_json(&json!({"user": user, "membership": status.membership}))?;
        } else {
            print_line("This device is yours. Remove the lost ones: vereda device list, vereda device remove ID")?;
        }
        exchanged
    }

    fn obtain_key(&self) -> Outcome<Sensitive<String>> {
        match &self.key_file {
            Some(file) => link_source::obtain(None, Some(file)),
            None if std::io::IsTerminal::is_terminal(&std::io::stdin()) => {
                Ok(Sensitive::new(rpassword::prompt_password("Recovery key: ")?))
            }
            None => Err(Fault::usage(
                "no terminal to ask for the recovery key: give --key-file FILE (- for standard input)",
            )),
        }
    }
}
