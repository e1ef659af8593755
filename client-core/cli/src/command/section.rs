//! `vereda section`.

use clap::{Args, Subcommand, ValueEnum};
use serde::Deserialize;
use serde_json::json;
use vereda_base::ChainId;
use vereda_client_core::{
    access::{Member, Role},
    cases::plain::PlainEdit,
    device::{Ambient, Device},
    sections::{CreateSection, Noted, SectionState},
    vault::Vault,
};
use vereda_records::{Record, RecordType};

use super::{
    Common,
    case::{Edit, describe_answers, read_sets},
};
use crate::{
    fault::{Fault, Outcome},
    opened::Opened,
    output::{print, print_json, print_line},
    table::{Table, one_line},
    views::{moment, short},
};

/// Works with restricted sections of cases; all of it works offline
///
/// A section is read by its members only, whoever reads the case. The managers of the team that owns the case may end
/// access to it and read nothing of it. Name those who shall read it when you begin it: only its managers may add
/// others later, and an editor of the team who begins one is its editor.
#[derive(Debug, Subcommand)]
pub(crate) enum Section {
    /// Begins a section of a case
    ///
    /// Examples:
    ///   vereda section create 5f0c Health --set disability=yes
    ///   vereda section create 5f0c Health --member Dora --editor South --note existence
    #[command(verbatim_doc_comment)]
    Create(Create),
    /// Lists the sections of a case as you see them
    ///
    /// Example: vereda section list 5f0c
    List {
        /// The case
        case: String,
    },
    /// Shows a section
    ///
    /// Example: vereda section show 77ab
    Show {
        /// The section
        id: String,
    },
    /// Changes a section, as `case edit` does
    ///
    /// Example: vereda section edit 77ab --set name_first=Samira
    Edit(Edit),
}

/// Begins a section of a case
#[derive(Debug, Args)]
pub(crate) struct Create {
    /// The case
    case: String,
    /// The section's title
    title: String,
    /// A person or team that reads it; may be given several times
    #[arg(long, value_name = "WHO")]
    member: Vec<String>,
    /// A person or team that reads and writes it; may be given several times
    #[arg(long, value_name = "WHO")]
    editor: Vec<String>,
    /// What the case's record says of it, which whoever reads the case reads
    #[arg(long, value_enum, default_value_t = Note::Nothing)]
    note: Note,
    /// A first answer: `path=value`, or `path:=JSON`
    #[arg(long, value_name = "PATH=VALUE")]
    set: Vec<String>,
}

/// What the case's record says of a section.
#[derive(Debug, Clone, Copy, Default, ValueEnum, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Note {
    /// Nothing
    #[default]
    Nothing,
    /// That there is one
    Existence,
    /// That there is one, and its title
    Title,
}

impl Section {
    pub(super) fn run(self, common: &Common) -> Outcome {
        match self {
            Self::Create(create) => create.run(common),
            Self::List { case } => list(common, &case),
            Self::Show { id } => show(common, &id),
            Self::Edit(edit) => edit.run_with(common, |device, ambient, id, read| {
                let section = device.find_section(id)?;
                let record = device.show_section(&section)?.content.record;
                let edit = read(device, &record)?;
                Ok(device.edit_section(ambient, &section, &edit)?)
            }),
        }
    }
}

impl Create {
    fn run(self, common: &Common) -> Outcome {
        let opened = Opened::open(common)?;
        let section = opened.device().with(|device, ambient| {
            let mut answers = PlainEdit::default();
            read_sets(device, &Record::new(RecordType::Case), &self.set, &mut answers)?;
            create(device, ambient, &self.case, self.title, (&self.member, &self.editor), self.note, answers)
        })?;
        opened.close()?;
        if common.json {
            return print_json(&json!({"section": section}));
        }
        print_line(&format!("Section {} is saved on this device.", short(&section)))
    }
}

/// Begins a section; `readers` and `editors` are people and teams by name or id.
pub(crate) fn create(
    device: &mut Device<Vault>,
    ambient: &mut Ambient<'_>,
    case: &str,
    title: String,
    (readers, editors): (&[String], &[String]),
    note: Note,
    answers: PlainEdit,
) -> Outcome<ChainId> {
    let mut members = Vec::new();
    for (names, role) in [(readers, Role::Reader), (editors, Role::Editor)] {
        for name in names {
            members.push(Member { subject: device.find_subject(name)?, role });
        }
    }
    let noted = match note {
        Note::Nothing => Noted::Nothing,
        Note::Existence => Noted::Existence,
        Note::Title => Noted::Title,
    };
    let case = device.find_case(case)?;
    Ok(device.create_section(ambient, &CreateSection { case, title, members, noted, answers })?)
}

fn list(common: &Common, case: &str) -> Outcome {
    let opened = Opened::open(common)?;
    let sections = opened.device().with(|device, ambient| {
        let case = device.find_case(case)?;
        Ok::<_, Fault>(device.list_sections(&case, ambient.now.wall)?)
    })?;
    opened.close()?;
    if common.json {
        return print_json(&json!({"sections": sections}));
    }
    if sections.is_empty() {
        return print_line("No section of this case is known here.");
    }
    let mut table = Table::new(&["SECTION", "TITLE", "YOU", "THE CASE SAYS SO"]);
    for line in &sections {
        let standing = match line.state {
            SectionState::Open => line.role.unwrap_or("member"),
            SectionState::OnItsWay => "on its way",
            SectionState::Closed => "closed to you",
        };
        let title = line.title.as_deref().map_or_else(|| "(not told)".to_owned(), one_line);
        let noted = if line.is_noted { "yes" } else { "no" };
        table.row([short(&line.section), title, standing.to_owned(), noted.to_owned()]);
    }
    print(&table.render())
}

fn show(common: &Common, id: &str) -> Outcome {
    let opened = Opened::open(common)?;
    let (view, configuration) = opened.device().with(|device, _| {
        let section = device.find_section(id)?;
        Ok::<_, Fault>((device.show_section(&section)?, device.configuration().clone()))
    })?;
    opened.close()?;
    if common.json {
        return print_json(&json!(view));
    }
    let title = view.title.as_deref().map(one_line).unwrap_or_default();
    let case = view.of_case.map(|case| format!(" of case {}", short(&case))).unwrap_or_default();
    print(&format!(
        "Section {}{case}: {title}\nChanged {}\n{}\n{}",
        short(&view.section),
        moment(view.content.changed),
        view.content.sync.sentence,
        describe_answers(&view.content, &configuration)
    ))
}
