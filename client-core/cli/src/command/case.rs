//! `vereda case`.

mod erase;
mod show;

pub(crate) use erase::tell_erasure;
pub(super) use show::describe_answers;

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::{Map, Value as Json, json};
use vereda_client_core::{
    cases::{
        CreateCase, EditedCase,
        plain::{PlainEdit, from_text, read_path},
    },
    device::{Ambient, Device},
    vault::Vault,
};
use vereda_records::{Record, RecordType};

use super::{Common, access::Wait};
use crate::{
    fault::{Fault, FaultKind, Outcome},
    opened::Opened,
    output::{note, print_json, print_line},
    views::short,
};

/// Works with cases; all of it works offline
///
/// A field is named by its path: `name_first`, or `family_members[3fa]/member_age` within the entry whose id begins with
/// 3fa. A value is written as the field asks: a text, a number, a day (2026-11-24), yes or no, a code, several codes
/// separated by commas. With `:=` instead of `=` the value is read as JSON. `vereda config show --form ID` lists fields.
#[derive(Debug, Subcommand)]
pub(crate) enum Case {
    /// Registers a case
    ///
    /// Examples:
    ///   vereda case create --set name_first=Samir --set sex=male
    ///   vereda case create --from case.json --team North
    #[command(verbatim_doc_comment)]
    Create(Create),
    /// Changes a case
    ///
    /// Examples:
    ///   vereda case edit 5f0c --set name_first=Samira --clear telephone
    ///   vereda case edit 5f0c --add 'notes_written={"note_text":"Visited at home."}'
    ///   vereda case edit 5f0c --set 'family_members[3fa]/member_age=7'
    #[command(verbatim_doc_comment)]
    Edit(Edit),
    /// Shows a case
    ///
    /// Example: vereda case show 5f0c
    Show {
        /// The case
        id: String,
    },
    /// Erases a case with its sections, for everybody and for good
    ///
    /// Once the relay is reached nothing stands in it any more, and every device that holds it deletes it. This takes
    /// a Manager of the case, or of a team or agency that governs it; he erases sections closed to him too. What
    /// is left of it, and who can erase that, is listed.
    ///
    /// Example: vereda case erase 5f0c --yes
    Erase {
        /// The case, or a section by itself
        id: String,
        /// Confirms that this cannot be undone
        #[arg(long)]
        yes: bool,
        #[command(flatten)]
        wait: Wait,
    },
    /// Lists the cases, those changed last first
    ///
    /// Examples:
    ///   vereda case list
    ///   vereda case list --filter 'amina high'
    ///   vereda case list --filter munoz
    #[command(verbatim_doc_comment)]
    List {
        /// Only cases whose name or listed fields contain every one of these words, with or without accents
        #[arg(long, value_name = "WORDS")]
        filter: Option<String>,
    },
    /// Shows who wrote what, and when; proven by signatures
    ///
    /// Examples:
    ///   vereda case history 5f0c
    ///   vereda case history 5f0c name_first
    #[command(verbatim_doc_comment)]
    History {
        /// The case
        id: String,
        /// One field only, and what is within it
        field: Option<String>,
    },
    /// Lists what people set differently without having seen one another's values
    ///
    /// Examples:
    ///   vereda case conflicts
    ///   vereda case conflicts 5f0c --json
    #[command(verbatim_doc_comment)]
    Conflicts {
        /// One case only
        id: Option<String>,
    },
    /// Settles a conflict with one of its values, or another
    ///
    /// Examples:
    ///   vereda case resolve 5f0c name_first --value Samira
    ///   vereda case resolve 5f0c sex --json-value null
    #[command(verbatim_doc_comment)]
    Resolve {
        /// The case
        id: String,
        /// The place in conflict, as `case conflicts` names it
        field: String,
        /// The value that shall stand
        #[arg(long, required_unless_present = "json_value")]
        value: Option<String>,
        /// The value that shall stand, as JSON
        #[arg(long, value_name = "JSON", conflicts_with = "value")]
        json_value: Option<String>,
    },
}

/// Registers a case
#[derive(Debug, Args)]
pub(crate) struct Create {
    /// A first answer: `path=value`, or `path:=JSON`
    #[arg(long, value_name = "PATH=VALUE")]
    set: Vec<String>,
    /// Reads first answers from a JSON file: `{"fields": {…}}` or the fields alone
    #[arg(long, value_name = "FILE")]
    from: Option<PathBuf>,
    /// The team that holds the case, by name or id; may be left out where you are in one team
    #[arg(long)]
    team: Option<String>,
}

/// Changes a case
#[derive(Debug, Args)]
pub(crate) struct Edit {
    /// The case
    id: String,
    /// A new answer: `path=value`, or `path:=JSON`
    #[arg(long, value_name = "PATH=VALUE")]
    set: Vec<String>,
    /// Takes an answer away
    #[arg(long, value_name = "PATH")]
    clear: Vec<String>,
    /// Adds an entry to a subform: `field={"subfield":"value"}`
    #[arg(long, value_name = "FIELD=JSON")]
    add: Vec<String>,
    /// Adds text at the end of a long text
    #[arg(long, value_name = "PATH=TEXT")]
    append: Vec<String>,
    /// Takes an entry out of a subform: `field[entry]`
    #[arg(long, value_name = "FIELD[ENTRY]")]
    remove: Vec<String>,
}

impl Case {
    pub(super) fn run(self, common: &Common) -> Outcome {
        match self {
            Self::Create(create) => explained(create.run(common)),
            Self::Edit(edit) => explained(edit.run(common)),
            Self::Show { id } => show::case(common, &id),
            Self::Erase { yes: false, .. } => Err(Fault::usage("erasing cannot be undone: say --yes")),
            Self::Erase { id, yes: true, wait } => erase::run(common, &id, &wait),
            Self::List { filter } => show::list(common, filter.as_deref()),
            Self::History { id, field } => show::history(common, &id, field.as_deref()),
            Self::Conflicts { id } => show::conflicts(common, id.as_deref()),
            Self::Resolve { id, field, value, json_value } => {
                explained(resolve(common, &id, &field, value, json_value))
            }
        }
    }
}

/// Says beside an answer that cannot be used where it stands what can.
fn explained(outcome: Outcome) -> Outcome {
    outcome.inspect_err(|fault| {
        if fault.kind == FaultKind::Unusable {
            note("What each field takes: vereda config show --form FORM (without --form: the forms)");
        }
    })
}

impl Create {
    fn run(self, common: &Common) -> Outcome {
        let opened = Opened::open(common)?;
        let case = opened.device().with(|device, ambient| {
            let mut answers = PlainEdit::default();
            if let Some(file) = &self.from {
                answers.set.extend(read_fields(file)?);
            }
            read_sets(device, &Record::new(RecordType::Case), &self.set, &mut answers)?;
            let team = self.team.as_deref().map(|team| device.find_team(team)).transpose()?;
            Ok::<_, Fault>(device.create_case(ambient, &CreateCase { team, answers })?)
        })?;
        opened.close()?;
        if common.json {
            return print_json(&json!({"case": case}));
        }
        print_line(&format!("Case {} is saved on this device.", short(&case)))
    }
}

impl Edit {
    fn run(self, common: &Common) -> Outcome {
        self.run_with(common, |device, ambient, id, read| {
            let case = device.find_case(id)?;
            let record = device.show_case(&case)?.record;
            let edit = read(device, &record)?;
            Ok(device.edit_case(ambient, &case, &edit)?)
        })
    }

    /// Edits what `write` finds by the id that was given; what is to change it reads against the record.
    pub(super) fn run_with(
        self,
        common: &Common,
        write: impl FnOnce(&mut Device<Vault>, &mut Ambient<'_>, &str, &ReadEdit<'_>) -> Outcome<EditedCase>,
    ) -> Outcome {
        let opened = Opened::open(common)?;
        let read = |device: &Device<Vault>, record: &Record| self.read(device, record);
        let edited = opened.device().with(|device, ambient| write(device, ambient, &self.id, &read))?;
        opened.close()?;
        if common.json {
            return print_json(&json!(edited));
        }
        print_line(if edited.changed { "Saved on this device." } else { "Nothing differed; nothing was changed." })
    }

    fn read(&self, device: &Device<Vault>, record: &Record) -> Outcome<PlainEdit> {
        let mut edit = PlainEdit { clear: self.clear.clone(), remove: self.remove.clone(), ..PlainEdit::default() };
        read_sets(device, record, &self.set, &mut edit)?;
        for text in &self.add {
            let (field, json) = split(text)?;
            let json = serde_json::from_str(json).map_err(|_| not_json(field))?;
            // Several additions to one subform become a list.
            match edit.add.get_mut(field) {
                Some(Json::Array(list)) => list.push(json),
                _ => drop(edit.add.insert(field.to_owned(), Json::Array(vec![json]))),
            }
        }
        for text in &self.append {
            let (path, text) = split(text)?;
            edit.append.insert(path.to_owned(), text.to_owned());
        }
        if edit.is_empty() {
            return Err(Fault::usage("nothing to change: give --set, --clear, --add, --append or --remove"));
        }
        Ok(edit)
    }
}

/// Reads what is to change against the record.
type ReadEdit<'a> = dyn Fn(&Device<Vault>, &Record) -> Outcome<PlainEdit> + 'a;

fn resolve(common: &Common, id: &str, field: &str, value: Option<String>, json_value: Option<String>) -> Outcome {
    let opened = Opened::open(common)?;
    let edited = opened.device().with(|device, ambient| {
        let case = device.find_case(id)?;
        let json = match (value, json_value) {
            (_, Some(json)) => serde_json::from_str(&json).map_err(|_| not_json(field))?,
            (Some(text), None) => {
                let record = device.show_case(&case)?.record;
                match read_path(&record, field) {
                    Ok(path) => from_text(device.configuration(), &record, &path, &text),
                    Err(_) => Json::from(text),
                }
            }
            (None, None) => Json::Null,
        };
        Ok::<_, Fault>(device.resolve_conflict(ambient, &case, field, &json)?)
    })?;
    opened.close()?;
    if common.json { print_json(&json!(edited)) } else { print_line("Settled and saved on this device.") }
}

/// Reads `path=value` and `path:=JSON`.
pub(super) fn read_sets(device: &Device<Vault>, record: &Record, sets: &[String], edit: &mut PlainEdit) -> Outcome {
    for text in sets {
        let (path, value) = split(text)?;
        let (path, json) = match path.strip_suffix(':') {
            Some(path) => (path, serde_json::from_str(value).map_err(|_| not_json(path))?),
            None => (path, from_text(device.configuration(), record, &read_path(record, path)?, value)),
        };
        edit.set.insert(path.to_owned(), json);
    }
    Ok(())
}

fn split(text: &str) -> Outcome<(&str, &str)> {
    text.split_once('=').ok_or_else(|| Fault::usage("an answer is written as path=value, such as sex=male"))
}

fn not_json(path: &str) -> Fault {
    Fault::unusable(format!("{path}: the value is not JSON"))
}

fn read_fields(file: &std::path::Path) -> Outcome<Map<String, Json>> {
    let bytes = std::fs::read(file).map_err(|error| Fault::unusable(format!("{}: {error}", file.display())))?;
    let json: Json = serde_json::from_slice(&bytes).map_err(|error| {
        Fault::unusable(format!("{}: not JSON, at line {}, column {}", file.display(), error.line(), error.column()))
    })?;
    let fields = json.get("fields").cloned().unwrap_or(json);
    match fields {
        Json::Object(fields) => Ok(fields),
        _ => Err(Fault::unusable(format!("{}: an object of answers belongs there", file.display()))),
    }
}
