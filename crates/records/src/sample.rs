//! Plausible cases out of a seed, for demonstrations, tests and measurements: people of several languages and scripts,
//! families, services, long notes. Equal seeds give equal cases on every machine. None of the people exist.
//!
//! With the starter configuration a case has the shape that the measurements are defined by: identification 22 answers,
//! consent 8, incident 16, four family members of 8, four services of 5, six notes of 3 with about 180 words each, and
//! its status: 117 in all.

mod draw;
mod plan;
mod speech;

use jiff::{ToSpan, civil::Date};
use vereda_base::Timestamp;

use self::{
    draw::Draw,
    plan::{Plan, Repeated},
    speech::Speech,
};
use crate::{
    configuration::Configuration,
    edit::Edit,
    entry::{Entry, EntryId},
    field::{Field, FieldType},
    form::Form,
    options, order,
    path::FieldPath,
    record::{Record, RecordType},
    value::{DateRange, Value, ValueKind},
    visibility::{Scope, displays_field},
};

/// The day before which everything in the samples happens.
pub const LATEST_DAY: Date = jiff::civil::date(2025, 6, 1);

/// Draws cases and edits out of a seed.
#[derive(Debug)]
pub struct Generator {
    draw: Draw,
    speeches: Vec<Speech>,
}

impl Generator {
    /// Makes a generator; equal seeds draw equal cases.
    pub fn new(seed: u64) -> Self {
        Self { draw: Draw::new(seed), speeches: Speech::all() }
    }

    /// Draws a case: a family of one language, with the answers that [the plan](self) names where the configuration has
    /// those forms, and otherwise with about as many answers to the forms that it has. The case breaks no rule of
    /// [`validate`](crate::validate).
    pub fn case(&mut self, configuration: &Configuration) -> Record {
        let speech = self.draw.below(self.speeches.len());
        let plan = Plan::of(configuration);
        let mut record = Record::new(RecordType::Case);
        for (form, answers) in &plan.forms {
            if let Some(form) = configuration.form(form) {
                self.fill_form(configuration, &mut record, form, *answers, speech);
            }
        }
        for repeated in &plan.repeated {
            self.fill_entries(configuration, &mut record, repeated, speech);
        }
        self.fill_required(configuration, &mut record, speech);
        record
    }

    /// Draws an edit of a case: in 70 of 100 the answer to a field, in 15 one of a family member, in 10 a sentence at
    /// the end of a note, in 5 another service. Where a case lacks what is drawn, the answer to a field.
    pub fn edit(&mut self, configuration: &Configuration, record: &Record) -> Edit {
        let plan = Plan::of(configuration);
        let speech = self.draw.below(self.speeches.len());
        let drawn = match self.draw.below(100) {
            0..70 => None,
            70..85 => self.edit_entry(configuration, record, plan.family(), speech),
            85..95 => self.append_to_note(configuration, record, plan.notes(), speech),
            _ => self.add_entry(configuration, record, plan.services(), speech),
        };
        drawn.unwrap_or_else(|| self.edit_field(configuration, record, &plan, speech))
    }

    fn fill_form(
        &mut self,
        configuration: &Configuration,
        record: &mut Record,
        form: &Form,
        answers: usize,
        speech: usize,
    ) {
        let mut left = answers;
        for field in &form.fields {
            if left == 0 {
                break;
            }
            if record.fields.contains_key(&field.name) || !displays_field(field, Scope::of(record)) {
                continue;
            }
            if let Some(value) = self.value(configuration, field, Scope::of(record), speech) {
                record.fields.insert(field.name.clone(), value);
                left -= 1;
            }
        }
        record.form_versions.insert(form.id.clone(), form.version);
    }

    fn fill_entries(&mut self, configuration: &Configuration, record: &mut Record, repeated: &Repeated, speech: usize) {
        let Some((form, _)) = configuration.field(RecordType::Case, &repeated.field) else { return };
        let mut entries: Vec<Entry> = Vec::new();
        for _ in 0..repeated.entries {
            let key = order::after(entries.last().map(|entry| entry.order.as_str()));
            entries.extend(self.entry(configuration, record, repeated, key, speech));
        }
        record.fields.insert(repeated.field.clone(), Value::Subform(entries));
        record.form_versions.insert(form.id.clone(), form.version);
    }

    fn entry(
        &mut self,
        configuration: &Configuration,
        record: &Record,
        repeated: &Repeated,
        key: String,
        speech: usize,
    ) -> Option<Entry> {
        let subform = configuration.subform_of(RecordType::Case, &repeated.field)?;
        let mut entry = Entry::new(EntryId(self.draw.bytes()), key);
        for field in &subform.fields {
            let full = entry.fields.len() >= repeated.answers;
            if (full && !field.required) || !displays_field(field, Scope::within(record, &entry)) {
                continue;
            }
            if let Some(value) = self.value(configuration, field, Scope::within(record, &entry), speech) {
                entry.fields.insert(field.name.clone(), value);
            }
        }
        Some(entry)
    }

    /// Answers required fields that the plan left out; an answer may display another required field.
    fn fill_required(&mut self, configuration: &Configuration, record: &mut Record, speech: usize) {
        for _ in 0..4 {
            let violations = crate::validate(configuration, record, LATEST_DAY);
            let missing = violations.into_iter().filter(|violation| violation.rule == crate::Rule::Required);
            let missing: Vec<FieldPath> = missing.map(|violation| violation.path).collect();
            for path in missing.iter().filter(|path| path.entry.is_none()) {
                let Some((form, field)) = configuration.field(record.record_type, &path.field) else { continue };
                if let Some(value) = self.value(configuration, field, Scope::of(record), speech) {
                    record.fields.insert(path.field.clone(), value);
                    record.form_versions.insert(form.id.clone(), form.version);
                }
            }
            if missing.is_empty() {
                return;
            }
        }
    }

    fn edit_field(&mut self, configuration: &Configuration, record: &Record, plan: &Plan, speech: usize) -> Edit {
        let forms = plan.forms.iter().filter_map(|(form, _)| configuration.form(form));
        let fields: Vec<&Field> = forms.flat_map(|form| &form.fields).collect();
        let displayed = |field: &&&Field| displays_field(field, Scope::of(record));
        let fields: Vec<&&Field> = fields.iter().filter(displayed).collect();
        for _ in 0..64 {
            let Some(field) = self.draw.pick(&fields).copied() else { break };
            // The status of a sample stays what it is: closing a case asks for more answers than one edit gives.
            if field.name == "status" {
                continue;
            }
            let value = self.value(configuration, field, Scope::of(record), speech);
            if let Some(value) = value.filter(|value| record.fields.get(&field.name) != Some(value)) {
                return Edit::Set { path: FieldPath::field(&field.name), value };
            }
        }
        // A configuration without a field that can be drawn still has an edit: a text that the record did not have.
        let text = self.words(speech, 3);
        Edit::Set { path: FieldPath::field("remark"), value: Value::Text(text) }
    }

    fn edit_entry(
        &mut self,
        configuration: &Configuration,
        record: &Record,
        repeated: Option<&Repeated>,
        speech: usize,
    ) -> Option<Edit> {
        let repeated = repeated?;
        let subform = configuration.subform_of(RecordType::Case, &repeated.field)?;
        let entry = self.draw.pick(record.entries(&repeated.field))?;
        for _ in 0..32 {
            let field = self.draw.pick(&subform.fields)?;
            let scope = Scope::within(record, entry);
            if !displays_field(field, scope) {
                continue;
            }
            let value = self.value(configuration, field, scope, speech);
            if let Some(value) = value.filter(|value| entry.fields.get(&field.name) != Some(value)) {
                return Some(Edit::Set { path: FieldPath::within(&repeated.field, entry.id, &field.name), value });
            }
        }
        None
    }

    fn append_to_note(
        &mut self,
        configuration: &Configuration,
        record: &Record,
        repeated: Option<&Repeated>,
        speech: usize,
    ) -> Option<Edit> {
        let repeated = repeated?;
        let subform = configuration.subform_of(RecordType::Case, &repeated.field)?;
        let field = subform.fields.iter().find(|field| field.field_type == FieldType::LongText)?;
        let entry = self.draw.pick(record.entries(&repeated.field))?;
        let words = self.draw.between(6, 18);
        let text = format!(" {}", self.prose(speech, words));
        Some(Edit::Append { path: FieldPath::within(&repeated.field, entry.id, &field.name), text })
    }

    fn add_entry(
        &mut self,
        configuration: &Configuration,
        record: &Record,
        repeated: Option<&Repeated>,
        speech: usize,
    ) -> Option<Edit> {
        let repeated = repeated?;
        let key = order::after(record.entries(&repeated.field).last().map(|entry| entry.order.as_str()));
        let entry = self.entry(configuration, record, repeated, key, speech)?;
        Some(Edit::AddEntry { field: repeated.field.clone(), entry })
    }

    /// Draws an answer to a field; nothing for fields that people do not answer, attachments, and options of sources
    /// that the configuration does not list.
    fn value(
        &mut self,
        configuration: &Configuration,
        field: &Field,
        scope: Scope<'_>,
        speech: usize,
    ) -> Option<Value> {
        if field.disabled || field.calculation.is_some() || field.summary.is_some() {
            return None;
        }
        if field.name == "status"
            && let Some(value) = crate::calculation::default_answer(field, LATEST_DAY, Timestamp(0))
        {
            return Some(value);
        }
        Some(match field.value_kind()? {
            ValueKind::Text => Value::Text(self.text(field, speech)),
            ValueKind::LongText => {
                let long = field.name.contains("note");
                let words = if long { self.draw.between(160, 200) } else { self.draw.between(10, 22) };
                Value::LongText(self.prose(speech, words))
            }
            ValueKind::Integer => Value::Integer(self.number(field)),
            ValueKind::Boolean => Value::Boolean(self.draw.below(2) == 0),
            ValueKind::Date => Value::Date(self.day(&field.name)),
            ValueKind::DateTime => {
                let day = self.day(&field.name).at(12, 0, 0, 0);
                Value::DateTime(Timestamp(jiff::tz::TimeZone::UTC.to_timestamp(day).ok()?.as_millisecond()))
            }
            ValueKind::DateRange => {
                let (a, b) = (self.day(&field.name), self.day(&field.name));
                Value::DateRange(DateRange { from: Some(a.min(b)), to: Some(a.max(b)) })
            }
            kind @ (ValueKind::Choice | ValueKind::Location | ValueKind::Choices) => {
                let offers = options::offered(configuration, field, scope);
                let code = self.draw.pick(&offers)?.code.to_owned();
                match kind {
                    ValueKind::Choice => Value::Choice(code),
                    ValueKind::Location => Value::Location(code),
                    _ => {
                        let more = self.draw.below(3);
                        let more = (0..more).filter_map(|_| Some(self.draw.pick(&offers)?.code.to_owned()));
                        Value::Choices(more.chain([code.clone()]).collect())
                    }
                }
            }
            ValueKind::Tally => {
                let groups = field.groups.iter();
                Value::Tally(groups.map(|group| (group.code.clone(), self.draw.between(0, 5) as i64)).collect())
            }
            ValueKind::Decimal | ValueKind::Subform | ValueKind::Attachments | ValueKind::Deleted => return None,
        })
    }

    fn number(&mut self, field: &Field) -> i64 {
        let bound = |bound: Option<&crate::Decimal>| bound.and_then(|bound| bound.as_str().parse::<i64>().ok());
        let minimum = bound(field.minimum.as_ref()).unwrap_or(0);
        let maximum = bound(field.maximum.as_ref()).unwrap_or(12).min(minimum.saturating_add(70));
        let width = usize::try_from(maximum.saturating_sub(minimum)).unwrap_or(0);
        minimum.saturating_add(self.draw.between(0, width) as i64)
    }

    fn day(&mut self, name: &str) -> Date {
        let days = if name.contains("birth") { self.draw.between(200, 6_500) } else { self.draw.between(1, 1_000) };
        LATEST_DAY.saturating_sub((days as i64).days())
    }

    fn text(&mut self, field: &Field, speech: usize) -> String {
        let name = field.name.as_str();
        if field.phone_number {
            let digits = self.draw.between(10_000_000, 99_999_999);
            return format!("+99 {digits}");
        }
        let Some(tongue) = self.speeches.get(speech) else { return String::new() };
        let given = |draw: &mut Draw| draw.pick(tongue.given).copied().unwrap_or_default();
        let family = |draw: &mut Draw| draw.pick(tongue.family).copied().unwrap_or_default();
        match name {
            _ if name.contains("number") || name.ends_with("_id") || name.ends_with("_no") => {
                format!("{:08X}", self.draw.below(u32::MAX as usize))
            }
            _ if name.contains("name_last") => family(&mut self.draw).to_owned(),
            _ if name == "name" || name.ends_with("_name") => {
                format!("{} {}", given(&mut self.draw), family(&mut self.draw))
            }
            _ if name.starts_with("name") => given(&mut self.draw).to_owned(),
            _ => {
                let words = self.draw.between(2, 5);
                self.words(speech, words)
            }
        }
    }

    fn words(&mut self, speech: usize, words: usize) -> String {
        let Some(tongue) = self.speeches.get(speech) else { return String::new() };
        let words: Vec<&str> = (0..words).map(|_| tongue.word(&mut self.draw)).collect();
        words.join(" ")
    }

    /// Draws sentences of 6 to 14 words.
    fn prose(&mut self, speech: usize, words: usize) -> String {
        let mut sentences = Vec::new();
        let mut left = words;
        while left > 0 {
            let length = self.draw.between(6, 14).min(left);
            sentences.push(format!("{}.", self.words(speech, length)));
            left -= length;
        }
        sentences.join(" ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{edit, json, starter, validate};

    fn leaves(record: &Record) -> usize {
        let within = |value: &Value| match value {
            Value::Subform(entries) => entries.iter().map(|entry| entry.fields.len()).sum(),
            _ => 1,
        };
        record.fields.values().map(within).sum()
    }

    #[test]
    fn a_case_of_the_starter_has_the_measured_shape() {
        let configuration = starter::child_protection();
        let mut generator = Generator::new(7);
        let mut bytes = 0;
        for _ in 0..40 {
            let case = generator.case(configuration);
            assert_eq!(leaves(&case), 117);
            assert_eq!(validate(configuration, &case, LATEST_DAY), []);
            let notes = case.entries("notes_written");
            let words = |entry: &Entry| match &entry.fields["note_text"] {
                Value::LongText(text) => text.split(' ').count(),
                other => panic!("{other:?}"),
            };
            assert!(notes.len() == 6 && notes.iter().all(|note| (160..=200).contains(&words(note))));
            assert_eq!((case.entries("family_members").len(), case.entries("services_received").len()), (4, 4));
            let json = json::write(configuration, &case);
            bytes += serde_json::to_string(&json["fields"]).unwrap().len();
            assert_eq!(json::read(configuration, &json).unwrap(), case);
        }
        assert!((11_000..13_500).contains(&(bytes / 40)), "{}", bytes / 40);
    }

    #[test]
    fn equal_seeds_draw_equal_cases_and_edits_and_others_do_not() {
        let configuration = starter::child_protection();
        let draw = |seed| {
            let mut generator = Generator::new(seed);
            let case = generator.case(configuration);
            let edit = generator.edit(configuration, &case);
            (case, edit)
        };
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
    }

    #[test]
    fn edits_are_drawn_in_the_measured_shares_and_keep_a_case_valid() {
        let configuration = starter::child_protection();
        let mut generator = Generator::new(3);
        let mut case = generator.case(configuration);
        let (mut set, mut member, mut append, mut add) = (0, 0, 0, 0);
        for _ in 0..1_000 {
            let edit = generator.edit(configuration, &case);
            match &edit {
                Edit::Set { path, .. } if path.entry.is_some() => member += 1,
                Edit::Set { .. } => set += 1,
                Edit::Append { .. } => append += 1,
                Edit::AddEntry { .. } => add += 1,
                other => panic!("{other:?}"),
            }
            edit::apply(&mut case, &edit).unwrap();
        }
        let near = |found: i32, wanted: i32| (found - wanted).abs() < 45;
        assert!(
            near(set, 700) && near(member, 150) && near(append, 100) && near(add, 50),
            "{set} {member} {append} {add}"
        );
        assert_eq!(validate(configuration, &case, LATEST_DAY), []);
    }

    #[test]
    fn the_vocabulary_is_of_thousands_and_of_several_scripts() {
        let configuration = starter::child_protection();
        let mut generator = Generator::new(11);
        let mut words = std::collections::BTreeSet::new();
        for _ in 0..60 {
            for note in generator.case(configuration).entries("notes_written") {
                if let Value::LongText(text) = &note.fields["note_text"] {
                    words.extend(text.split([' ', '.']).map(str::to_owned));
                }
            }
        }
        assert!(words.len() > 5_000, "{}", words.len());
        let has = |from: char, to: char| words.iter().any(|word| word.chars().any(|c| (from..=to).contains(&c)));
        assert!(has('a', 'z') && has('\u{400}', '\u{4ff}') && has('\u{600}', '\u{6ff}'));
    }
}
