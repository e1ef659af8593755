//! What cases look like.

use serde_json::{Value as Json, json};
use vereda_client_core::cases::{CaseView, ConflictView};
use vereda_records::{Configuration, RecordType};

use super::super::Common;
use crate::{
    fault::{Fault, Outcome},
    opened::Opened,
    output::{note, print, print_json, print_line},
    table::{Table, one_line},
    views::{count, moment, name, plain, short, short_place},
};

/// `vereda case show`.
pub(super) fn case(common: &Common, id: &str) -> Outcome {
    let opened = Opened::open(common)?;
    let (view, configuration) = opened.device().with(|device, _| {
        let case = device.find_case(id)?;
        Ok::<_, Fault>((device.show_case(&case)?, device.configuration().clone()))
    })?;
    opened.close()?;
    if common.json {
        return print_json(&json!(view));
    }
    print(&describe(&view, &configuration))
}

fn describe(view: &CaseView, configuration: &Configuration) -> String {
    let head = format!("Case {}\nChanged {}\n{}\n", short(&view.case), moment(view.changed), view.sync.sentence);
    head + &describe_answers(view, configuration)
}

/// Answers by form, then what is in conflict.
pub(in crate::command) fn describe_answers(view: &CaseView, configuration: &Configuration) -> String {
    let mut out = String::new();
    let Some(fields) = view.fields.as_object() else { return out };
    let languages = || configuration.languages.iter().map(String::as_str);
    let mut shown = Vec::new();
    for form in configuration.forms_of(RecordType::Case) {
        let mut table = Table::folding(&["FIELD", "ANSWER"]);
        for field in &form.fields {
            let Some(value) = fields.get(&field.name).filter(|value| !value.is_null()) else { continue };
            if shown.contains(&&field.name) {
                continue;
            }
            shown.push(&field.name);
            add(&mut table, &field.name, value);
        }
        if !table.is_empty() {
            out.push_str(&format!("\n{}\n{}", one_line(form.name.in_language(languages())), table.render()));
        }
    }
    let mut others = Table::folding(&["FIELD", "ANSWER"]);
    for (field, value) in fields.iter().filter(|(field, value)| !shown.contains(field) && !value.is_null()) {
        add(&mut others, field, value);
    }
    if !others.is_empty() {
        out.push_str(&format!("\nWithout a form\n{}", others.render()));
    }
    if !view.conflicts.is_empty() {
        out.push_str(&format!("\nIn conflict\n{}", describe_conflicts(&view.conflicts)));
    }
    out
}

/// Adds an answer; entries of a subform take a line for each of their answers.
fn add(table: &mut Table, field: &str, value: &Json) {
    let entries = value.as_array().filter(|list| !list.is_empty() && list.iter().all(|item| item.get("id").is_some()));
    let Some(entries) = entries else {
        table.row([field.to_owned(), plain(value)]);
        return;
    };
    for entry in entries {
        let id: String = entry.get("id").and_then(Json::as_str).unwrap_or_default().chars().take(4).collect();
        let answers = entry.get("fields").and_then(Json::as_object).into_iter().flatten();
        for (subfield, value) in answers.filter(|(_, value)| !value.is_null()) {
            table.row([format!("{field}[{id}]/{subfield}"), plain(value)]);
        }
    }
}

/// `vereda case list`.
pub(super) fn list(common: &Common, filter: Option<&str>) -> Outcome {
    let opened = Opened::open(common)?;
    let cases = opened.device().with(|device, _| device.list_cases(filter))?;
    opened.close()?;
    if common.json {
        return print_json(&json!({"cases": cases}));
    }
    if cases.is_empty() {
        return print_line(match filter {
            Some(_) => "No case fits.",
            None => "There is no case here yet.",
        });
    }
    let mut table = Table::new(&["CASE", "NAME", "CHANGED", "STATE"]);
    for case in &cases {
        let title = if case.title.is_empty() { "(no name yet)".to_owned() } else { case.title.clone() };
        let saved = if case.is_pending { "not yet sent" } else { "sent" };
        let state = match case.conflicts {
            0 => saved.to_owned(),
            conflicts => format!("{saved}, {conflicts} in conflict"),
        };
        table.row([short(&case.case), title, moment(case.changed), state]);
    }
    print(&table.render())?;
    note(&count(cases.len(), "case"));
    Ok(())
}

/// `vereda case history`.
pub(super) fn history(common: &Common, id: &str, field: Option<&str>) -> Outcome {
    let opened = Opened::open(common)?;
    let history = opened.device().with(|device, _| {
        let case = device.find_case(id)?;
        Ok::<_, Fault>(device.case_history(&case, field)?)
    })?;
    opened.close()?;
    if common.json {
        return print_json(&json!({"history": history}));
    }
    let mut table = Table::folding(&["WHEN", "WHO", "FIELD", "VALUE"]);
    for entry in history {
        let answer = answer_at(&entry.place, &entry.value);
        table.row([moment(entry.time), name(entry.author.name), short_place(&entry.place), answer]);
    }
    print(&table.render())
}

/// `vereda case conflicts`.
pub(super) fn conflicts(common: &Common, id: Option<&str>) -> Outcome {
    let opened = Opened::open(common)?;
    let conflicts = opened.device().with(|device, _| {
        Ok::<_, Fault>(match id {
            Some(id) => {
                let case = device.find_case(id)?;
                device.conflicts_of(&case)?
            }
            None => device.conflicts()?,
        })
    })?;
    opened.close()?;
    if common.json {
        return print_json(&json!({"conflicts": conflicts}));
    }
    if conflicts.is_empty() {
        return print_line("Nothing is in conflict.");
    }
    print(&describe_conflicts(&conflicts))?;
    note("Settle one with: vereda case resolve CASE FIELD --value VALUE");
    Ok(())
}

/// Each conflict under a line with its case and place, whole, since both are typed to settle it.
fn describe_conflicts(conflicts: &[ConflictView]) -> String {
    let mut out = String::new();
    for conflict in conflicts {
        let mut table = Table::folding(&["", "WHEN", "BY", "VALUE"]);
        for value in &conflict.values {
            let shown = if value.is_shown { "  shown" } else { "" };
            let author = name(value.author.name.clone());
            table.row([shown.to_owned(), moment(value.time), author, answer_at(&conflict.place, &value.value)]);
        }
        out.push_str(&format!("{} {}\n{}", short(&conflict.case), short_place(&conflict.place), table.render()));
    }
    out
}

/// A value as people read it; of a whole entry, whether it is there.
fn answer_at(place: &str, value: &Json) -> String {
    let within = place.strip_suffix(']').and_then(|place| place.rsplit_once('['));
    let is_entry = within.is_some_and(|(_, id)| id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()));
    match value {
        Json::Bool(true) if is_entry => "(entry added)".to_owned(),
        Json::Bool(false) | Json::Null if is_entry => "(entry removed)".to_owned(),
        value => plain(value),
    }
}
