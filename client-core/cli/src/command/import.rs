//! `vereda import`.

use std::path::PathBuf;

use clap::Subcommand;
use serde_json::{Value as Json, json};
use vereda_client_core::interchange::{primero, report::Report};

use super::{Common, config};
use crate::{
    fault::{Fault, Outcome},
    opened::Opened,
    output::{note, print, print_json},
    table::Table,
};

/// Takes over what another program exported
#[derive(Debug, Subcommand)]
pub(crate) enum Import {
    /// Reads Primero's configuration export and makes it the agency's
    ///
    /// Ends with an account: what was taken, and each loss or doubt with its path and
    /// reason. A file that cannot be read as a whole changes nothing. With --dry-run
    /// only the account is made, and no vault is needed.
    ///
    /// Examples:
    ///   vereda import primero export.json --dry-run --json
    ///   vereda import primero export.json
    #[command(verbatim_doc_comment)]
    Primero {
        /// The export: one JSON file
        file: PathBuf,
        /// Only gives the account
        #[arg(long)]
        dry_run: bool,
    },
}

impl Import {
    pub(super) fn run(self, common: &Common) -> Outcome {
        let Self::Primero { file, dry_run } = self;
        let imported = read_primero(&file)?;
        if dry_run {
            return account(common, &imported.report, None);
        }
        let opened = Opened::open(common)?;
        let applied =
            opened.device().with(|device, ambient| device.apply_configuration(ambient, imported.configuration))?;
        opened.close()?;
        account(common, &imported.report, Some(json!(applied.version)))?;
        if common.json { Ok(()) } else { config::report(common, &applied) }
    }
}

/// Reads a Primero export from a file.
pub(crate) fn read_primero(file: &std::path::Path) -> Outcome<primero::Import> {
    let bytes = std::fs::read(file).map_err(|error| Fault::unusable(format!("{}: {error}", file.display())))?;
    primero::import(&bytes).map_err(|error| Fault::unusable(format!("nothing was taken: {error}")))
}

fn account(common: &Common, report: &Report, version: Option<Json>) -> Outcome {
    if common.json {
        let mut object = json!(report);
        if let (Some(object), Some(version)) = (object.as_object_mut(), version) {
            object.insert("version".into(), version);
        }
        return print_json(&object);
    }
    let mut taken = Table::new(&["TAKEN", "COUNT"]);
    for (what, count) in [
        ("forms", report.forms),
        ("fields", report.fields),
        ("lists of options", report.lookups),
        ("roles", report.roles),
        ("agencies", report.agencies),
        ("user groups", report.user_groups),
        ("reports", report.reports),
        ("contacts", report.contacts),
    ] {
        taken.row([what.to_owned(), count.to_string()]);
    }
    print(&taken.render())?;
    if report.losses.is_empty() {
        note("Nothing was lost.");
        return Ok(());
    }
    print(&format!("\n{} losses or doubts:\n", report.losses.len()))?;
    let lines: String = report.losses.iter().map(|loss| format!("{}\n    {}\n", loss.path, loss.reason)).collect();
    print(&lines)
}
