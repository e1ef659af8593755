//! Which forms a sample case answers, and how much of each.

use crate::{configuration::Configuration, field::FieldType, record::RecordType};

/// What a case is filled with.
#[derive(Debug)]
pub(super) struct Plan {
    /// Form ids, each with the number of answers.
    pub(super) forms: Vec<(String, usize)>,
    /// Subform fields.
    pub(super) repeated: Vec<Repeated>,
}

/// Entries of a subform field.
#[derive(Debug)]
pub(super) struct Repeated {
    /// The record's field.
    pub(super) field: String,
    /// What it stands for.
    pub(super) role: Role,
    /// Number of entries.
    pub(super) entries: usize,
    /// Number of answers in each.
    pub(super) answers: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Family,
    Service,
    Note,
}

/// Answers to forms of a configuration that is not the starter.
const ANSWERS: usize = 47;

impl Plan {
    pub(super) fn of(configuration: &Configuration) -> Self {
        let starter = [("identification", 22), ("consent", 8), ("incident", 16), ("closure", 1)];
        let case = |id: &str| configuration.form(id).is_some_and(|form| form.record_type == RecordType::Case);
        let forms = if starter.iter().all(|(id, _)| case(id)) {
            starter.iter().map(|(id, answers)| ((*id).to_owned(), *answers)).collect()
        } else {
            let mut left = ANSWERS;
            let visible = configuration.forms_of(RecordType::Case).into_iter().filter(|form| form.visible);
            let share = visible.map(|form| {
                let answers = form.fields.len().min(22).min(left);
                left -= answers;
                (form.id.clone(), answers)
            });
            share.filter(|(_, answers)| *answers > 0).collect()
        };
        let repeated = [(Role::Family, "family", 4, 8), (Role::Service, "service", 4, 5), (Role::Note, "note", 6, 3)];
        let repeated = repeated.into_iter().filter_map(|(role, word, entries, answers)| {
            Some(Repeated { field: subform_field(configuration, word)?, role, entries, answers })
        });
        Self { forms, repeated: repeated.collect() }
    }

    pub(super) fn family(&self) -> Option<&Repeated> {
        self.role(Role::Family)
    }

    pub(super) fn services(&self) -> Option<&Repeated> {
        self.role(Role::Service)
    }

    pub(super) fn notes(&self) -> Option<&Repeated> {
        self.role(Role::Note)
    }

    fn role(&self, role: Role) -> Option<&Repeated> {
        self.repeated.iter().find(|repeated| repeated.role == role)
    }
}

/// Finds a subform field of a case by a word in its name, whose entries people write.
fn subform_field(configuration: &Configuration, word: &str) -> Option<String> {
    let forms = configuration.forms.iter().filter(|form| form.record_type == RecordType::Case && form.visible);
    let mut fields = forms.flat_map(|form| &form.fields).filter(|field| field.field_type == FieldType::Subform);
    let field = fields.find(|field| {
        let subform = field.subform.as_ref().and_then(|usage| configuration.subform(&usage.id));
        field.name.contains(word) && !field.disabled && subform.is_some_and(|subform| !subform.entries.append_only)
    })?;
    Some(field.name.clone())
}
