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
    let mut out = format!("Case {}\nChanged {}\n{}\n", short(&view.case), moment(view.changed), view.sync.sentence);
    let Some(fields) = view.fields.as_object() else { return out };
    let languages = || configuration.languages.iter().map(String::as_str);
    let mut shown = Vec::new();
    for form in configuration.forms_of(RecordType::Case) {
        let mut table = Table::new(&["FIELD", "ANSWER"]);
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
    let mut others = Table::new(&["FIELD", "ANSWER"]);
    for (field, value) in fields.iter().filter(|(field, value)| !shown.contains(field) && !value.is_null()) {
        add(&mut others, field, value);
    }
    if !others.is_empty() {
        out.push_str(&format!("\nWithout a form\n{}", others.render()));
    }
    if !view.conflicts.is_empty() {
        out.push_str(&format!("\nIn conflict\n{}", table_of(&view.conflicts, false).render()));
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
    let mut table = Table::new(&["WHEN", "WHO", "FIELD", "VALUE"]);
    for entry in history {
        table.row([moment(entry.time), name(entry.author.name), short_place(&entry.place), plain(&entry.value)]);
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
    print(&table_of(&conflicts, true).render())
}

fn table_of(conflicts: &[ConflictView], with_case: bool) -> Table {
    let mut table = Table::new(&["CASE", "FIELD", "VALUE", "BY", "WHEN", "SHOWN"]);
    for conflict in conflicts {
        for (index, value) in conflict.values.iter().enumerate() {
            let first = index == 0;
            table.row([
                if first && with_case { short(&conflict.case) } else { String::new() },
                if first { short_place(&conflict.place) } else { String::new() },
                plain(&value.value),
                name(value.author.name.clone()),
                moment(value.time),
                if value.is_shown { "yes".to_owned() } else { String::new() },
            ]);
        }
    }
    table
}
