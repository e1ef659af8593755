//! `vereda vault` and `vereda unlock`.

use clap::{Args, Subcommand};
use serde_json::json;

use super::Common;
use crate::{
    fault::Outcome,
    opened::{Opened, Place},
    output::{print, print_json, print_line},
    table::Table,
};

/// Makes and lists vaults
///
/// A vault holds one user's keys and data on one device, sealed under a passphrase. Several people on one device have a
/// vault each.
#[derive(Debug, Subcommand)]
pub(crate) enum Vault {
    /// Makes a vault
    ///
    /// Example: vereda vault new amina
    New {
        /// A name to tell vaults of this device apart; it can be read without the passphrase
        name: String,
        /// Spends as little time on the passphrase as is safe at all, for tests and slow devices
        #[arg(long)]
        fast: bool,
    },
    /// Lists the vaults of this device
    ///
    /// Example: vereda vault list --json
    List,
    /// Changes the passphrase of a vault
    ///
    /// Example: vereda vault passphrase --vault amina
    Passphrase {
        /// Reads the new passphrase from the first line of a file instead of asking for it
        #[arg(long, value_name = "FILE")]
        new_passphrase_file: Option<std::path::PathBuf>,
    },
}

impl Vault {
    pub(super) fn run(self, common: &Common) -> Outcome {
        let place = Place::of(common)?;
        match self {
            Self::New { name, fast } => {
                let id = place.create(&name, fast, &common.passphrase)?;
                if common.json {
                    return print_json(&json!({"vault": name, "id": id.to_string()}));
                }
                print_line(&format!("Vault {name} is made. There is no way back into it without its passphrase."))
            }
            Self::List => list(&place, common.json),
            Self::Passphrase { new_passphrase_file } => {
                place.change_passphrase(common, new_passphrase_file)?;
                print_line("The passphrase is changed.")
            }
        }
    }
}

fn list(place: &Place, json: bool) -> Outcome {
    let vaults = place.list()?;
    if json {
        let rows: Vec<_> =
            vaults.iter().map(|vault| json!({"vault": vault.label, "id": vault.id.to_string()})).collect();
        return print_json(&json!({"vaults": rows}));
    }
    let mut table = Table::new(&["VAULT", "ID"]);
    for vault in vaults {
        table.row([vault.label.unwrap_or_default(), vault.id.to_string()]);
    }
    if table.is_empty() {
        return print_line("There is no vault here yet. Make one with: vereda vault new NAME");
    }
    print(&table.render())
}

/// Tries the passphrase of a vault and shows whose it is
///
/// Example: vereda unlock --vault amina
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Unlock {}

impl Unlock {
    pub(super) fn run(self, common: &Common) -> Outcome {
        let opened = Opened::open(common)?;
        let status = opened.device().with(|device, _| device.status())?;
        if common.json {
            return print_json(&json!({"ok": true, "vault": opened.label(), "status": status}));
        }
        let whose = status.person.as_deref().map_or_else(|| "nobody yet".to_owned(), |name| format!("of {name}"));
        print_line(&format!("The passphrase is right. Vault {}, {whose}.", opened.label()))
    }
}
