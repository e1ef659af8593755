//! `vereda config`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::json;
use vereda_client_core::configuration::AppliedConfiguration;
use vereda_records::{
    Configuration, Record, RecordType, options::offered, starter::child_protection, visibility::Scope,
};

use super::Common;
use crate::{
    fault::{Fault, Outcome},
    opened::Opened,
    output::{print, print_json, print_line},
    table::Table,
    views::word_of,
};

/// How many codes of a field are listed; `config show --full` has them all.
const MAX_CODES: usize = 30;

/// The agency's configuration: forms, fields, lists of options, roles
#[derive(Debug, Subcommand)]
pub(crate) enum Config {
    /// Makes a configuration the agency's; for its managers
    ///
    /// Examples:
    ///   vereda config apply --starter
    ///   vereda config apply configuration.json
    #[command(verbatim_doc_comment)]
    Apply(Apply),
    /// Shows the configuration in force
    ///
    /// Examples:
    ///   vereda config show
    ///   vereda config show --form identification
    ///   vereda config show --full --json
    #[command(verbatim_doc_comment)]
    Show {
        /// Lists the fields of one form, with the codes or entries that they take
        #[arg(long, value_name = "ID")]
        form: Option<String>,
        /// Prints the whole configuration as JSON, as `config apply` reads it
        #[arg(long)]
        full: bool,
    },
}

/// Makes a configuration the agency's
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct Apply {
    /// A configuration in this product's JSON form; for others see `vereda import`
    file: Option<PathBuf>,
    /// The starter configuration for child protection, in English, Spanish and Arabic
    #[arg(long)]
    starter: bool,
}

impl Config {
    pub(super) fn run(self, common: &Common) -> Outcome {
        match self {
            Self::Apply(Apply { file: Some(file), .. }) => apply(common, read(&file)?),
            Self::Apply(_) => apply(common, child_protection().clone()),
            Self::Show { form, full } => show(common, form.as_deref(), full),
        }
    }
}

/// Reads a configuration in this product's own form; one that contradicts itself is refused.
pub(crate) fn read(file: &std::path::Path) -> Outcome<Configuration> {
    let bytes = std::fs::read(file).map_err(|error| Fault::unusable(format!("{}: {error}", file.display())))?;
    let configuration = Configuration::from_json(&bytes).map_err(Fault::unusable)?;
    match configuration.check().first() {
        None => Ok(configuration),
        Some(problem) => Err(Fault::unusable(format!("the configuration contradicts itself: {problem}"))),
    }
}

fn apply(common: &Common, configuration: Configuration) -> Outcome {
    let opened = Opened::open(common)?;
    let applied = opened.device().with(|device, ambient| device.apply_configuration(ambient, configuration))?;
    opened.close()?;
    report(common, &applied)
}

/// Tells what was applied.
pub(crate) fn report(common: &Common, applied: &AppliedConfiguration) -> Outcome {
    if common.json {
        return print_json(&json!(applied));
    }
    print_line(&format!(
        "Version {} of the configuration is in force here: {} forms with {} fields, {} lists of options, {} roles. It \
         reaches colleagues with the next sync.",
        applied.version, applied.forms, applied.fields, applied.lookups, applied.roles
    ))
}

fn show(common: &Common, form: Option<&str>, full: bool) -> Outcome {
    let opened = Opened::open(common)?;
    let (view, whole) = opened.device().with(|device, _| (device.show_configuration(), device.configuration().clone()));
    opened.close()?;
    let view =
        view.ok_or_else(|| Fault::not_found("there is no configuration yet: `vereda config apply --starter`"))?;
    if full {
        return print_line(&String::from_utf8_lossy(&whole.to_json()));
    }
    if let Some(id) = form {
        let form = view.list.into_iter().find(|form| form.id == id);
        let form =
            form.ok_or_else(|| Fault::not_found("there is no form of this id: `vereda config show` lists them"))?;
        if common.json {
            return print_json(&json!(form));
        }
        let mut table = Table::folding(&["FIELD", "TYPE", "LABEL", "TAKES"]);
        for field in form.fields {
            let takes = takes(&whole, &form.id, &field.name);
            table.row([field.name, word_of(&field.field_type), field.label, takes]);
        }
        return print(&table.render());
    }
    if common.json {
        return print_json(&json!(view));
    }
    let mut table = Table::new(&["FORM", "FIELDS", "OF", "NAME"]);
    for form in &view.list {
        let of = if form.is_subform { format!("{} (entries)", form.record_type) } else { form.record_type.to_owned() };
        table.row([form.id.clone(), form.fields.len().to_string(), of, form.name.clone()]);
    }
    print(&format!("{}, version {}\n\n{}", view.name, view.content.version, table.render()))
}

/// What goes into a field, where that cannot be guessed from its type: the codes of its options, or a subform's form.
fn takes(configuration: &Configuration, form: &str, field: &str) -> String {
    let mut forms = configuration.forms.iter().chain(&configuration.subforms);
    let form = forms.find(|candidate| candidate.id == form);
    let Some(field) = form.and_then(|form| form.fields.iter().find(|candidate| candidate.name == field)) else {
        return String::new();
    };
    if let Some(subform) = &field.subform {
        return format!("entries of {}", subform.id);
    }
    let nothing = Record::new(RecordType::Case);
    let offers = offered(configuration, field, Scope::of(&nothing));
    let mut codes: Vec<&str> = offers.iter().take(MAX_CODES).map(|offer| offer.code).collect();
    let more = format!("and {} more", offers.len().saturating_sub(MAX_CODES));
    if offers.len() > MAX_CODES {
        codes.push(&more);
    }
    codes.join(", ")
}
