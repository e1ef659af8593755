//! What people write: edits of every kind, with what must be found of them later.

use serde_json::{Value as Json, json};
use vereda_client_core::cases::plain::PlainEdit;
use vereda_records::{
    Configuration, Field, FieldType, Form, Record, RecordType, Translated, Value,
    field::{Choice, OptionSource, SubformUse},
};

use crate::draw::Draw;

/// What an acknowledged edit must have left behind.
#[derive(Debug, Clone, PartialEq)]
pub enum Expected {
    /// A place got a value: in plain form, `null` where it was taken away.
    Set {
        /// The place.
        place: String,
        /// The value.
        value: Json,
    },
    /// Of a list of choices those that differed were picked or let go.
    Choices {
        /// The answer.
        place: String,
        /// All that are picked.
        picked: Vec<String>,
    },
    /// A text ends so.
    Ends {
        /// The answer.
        place: String,
        /// The end.
        end: String,
    },
    /// An entry with this text was added.
    Added {
        /// The subform.
        place: String,
        /// A text in it.
        text: String,
    },
    /// An entry was taken out.
    Removed {
        /// The entry.
        place: String,
    },
    /// A conflict was settled: a place got a value, of whatever kind stands there.
    Settled {
        /// The place.
        place: String,
        /// The value, in plain form.
        value: Json,
    },
    /// A case was registered with this name.
    Created {
        /// The name.
        name: String,
    },
}

/// An edit and what to expect of it.
#[derive(Debug, Clone)]
pub struct Intent {
    /// The request.
    pub edit: PlainEdit,
    /// What it must leave.
    pub expected: Expected,
}

/// Draws values that can be found again: each begins with a mark that stands nowhere else.
#[derive(Debug)]
pub struct Pen {
    draw: Draw,
    mark: String,
    written: u64,
}

const NEEDS: [&str; 4] = ["food", "shelter", "school", "family"];

impl Pen {
    /// Takes up a pen.
    pub fn new(seed: u64) -> Self {
        let mut draw = Draw::new(seed, 2);
        let mark = format!("Ω{:08x}", draw.below(u64::from(u32::MAX)));
        Self { draw, mark, written: 0 }
    }

    /// The mark that every planted text bears.
    pub fn mark(&self) -> &str {
        &self.mark
    }

    /// Writes a text of its own.
    pub fn text(&mut self) -> String {
        self.written += 1;
        format!("{}-{}", self.mark, self.written)
    }

    /// A small configuration with a field of every kind of merge; its labels are planted too.
    pub fn configuration(&mut self) -> Configuration {
        let text = |pen: &mut Self| Translated::new("en", pen.text());
        let mut field = |name: &str, kind| Field::new(name, kind, text(self));
        let choices = |codes: &[&str], labels: &Translated| {
            let choice =
                |code: &&str| Choice { code: (*code).to_owned(), label: labels.clone(), disabled: false, tags: vec![] };
            Some(OptionSource::List(codes.iter().map(choice).collect()))
        };
        let mut sex = field("sex", FieldType::SelectOne);
        sex.options = choices(&["female", "male", "other"], &sex.label);
        let mut needs = field("needs", FieldType::SelectMany);
        needs.options = choices(&NEEDS, &needs.label);
        let mut members = field("members", FieldType::Subform);
        members.subform =
            Some(SubformUse { id: "member".into(), sort_by: None, group_by: None, fields: vec![], entries_if: None });
        let mut fields = vec![sex, needs, members];
        for (name, kind) in [
            ("name", FieldType::Text),
            ("place", FieldType::Text),
            ("age", FieldType::Number),
            ("alone", FieldType::TickBox),
            ("story", FieldType::LongText),
        ] {
            fields.push(field(name, kind));
        }
        let inner = vec![field("first", FieldType::Text), field("years", FieldType::Number)];
        let mut form = Form::new("identity", RecordType::Case, text(self));
        form.fields = fields;
        let mut subform = Form::new("member", RecordType::Case, text(self));
        subform.fields = inner;
        let mut configuration = Configuration::new(text(self), vec!["en".into()]);
        configuration.forms = vec![form];
        configuration.subforms = vec![subform];
        configuration
    }

    /// Writes the first answers of a case.
    pub fn first_answers(&mut self) -> Intent {
        let name = self.text();
        Intent { edit: plain(&json!({"set": {"name": name}})), expected: Expected::Created { name } }
    }

    /// Writes an edit of a case as it stands.
    pub fn edit(&mut self, record: &Record) -> Intent {
        match self.draw.below(100) {
            // Few values, so that one comes again after another: A, B, A.
            0..25 => {
                let which = self.one_of(&["A", "B"]);
                let value = format!("{}-{which}", self.mark);
                set("name", Json::from(value))
            }
            25..38 => {
                let text = self.text();
                set("place", Json::from(text))
            }
            38..46 => set("age", Json::from(self.draw.below(18))),
            46..52 => set("sex", Json::from(self.one_of(&["female", "male", "other"]))),
            52..57 => set("alone", Json::from(self.draw.chance(500))),
            57..65 => clear(self.one_of(&["name", "place", "age", "sex"])),
            65..73 => self.choices(),
            73..85 => self.story(record),
            _ => self.member(record),
        }
    }

    fn one_of<'a>(&mut self, words: &[&'a str]) -> &'a str {
        self.draw.pick(words).copied().unwrap_or_default()
    }

    fn choices(&mut self) -> Intent {
        let picked: Vec<String> = NEEDS.iter().filter(|_| self.draw.chance(500)).map(|&need| need.to_owned()).collect();
        Intent {
            edit: plain(&json!({"set": {"needs": picked}})),
            expected: Expected::Choices { place: "needs".into(), picked },
        }
    }

    fn story(&mut self, record: &Record) -> Intent {
        let text = self.text();
        let place = "story".to_owned();
        if self.draw.chance(700) && record.answer("story").is_some() {
            let end = format!(" {text}.");
            let edit = plain(&json!({"append": {"story": end}}));
            return Intent { edit, expected: Expected::Ends { place, end } };
        }
        let long = format!("{text} {}", "and so it went on ".repeat(self.draw.index(12)));
        set("story", Json::from(long.trim_end()))
    }

    fn member(&mut self, record: &Record) -> Intent {
        let entries: Vec<String> = record.entries("members").iter().map(|entry| entry.id.to_string()).collect();
        let text = self.text();
        match (self.draw.below(10), self.draw.pick(&entries).cloned()) {
            (0..6, Some(entry)) => set(&format!("members[{entry}]/first"), Json::from(text)),
            (6, Some(entry)) => {
                let place = format!("members[{entry}]");
                Intent { edit: plain(&json!({"remove": [place]})), expected: Expected::Removed { place } }
            }
            _ => Intent {
                edit: plain(&json!({"add": {"members": {"first": text, "years": self.draw.below(60)}}})),
                expected: Expected::Added { place: "members".into(), text },
            },
        }
    }
}

impl Expected {
    /// Names the place.
    pub fn place(&self) -> &str {
        match self {
            Self::Set { place, .. }
            | Self::Settled { place, .. }
            | Self::Choices { place, .. }
            | Self::Ends { place, .. }
            | Self::Added { place, .. }
            | Self::Removed { place } => place,
            Self::Created { .. } => "the case",
        }
    }

    /// The text that was written as a whole and that no other edit writes; `None` where there is none.
    pub fn own_text(&self) -> Option<&str> {
        let text = match self {
            Self::Set { place, value } if place != "story" => value.as_str()?,
            Self::Added { text, .. } => text,
            Self::Created { name } => name,
            _ => return None,
        };
        let (_, number) = text.rsplit_once('-')?;
        number.parse::<u64>().is_ok().then_some(text)
    }

    /// Says whether what a change wrote, as places and values, is what was acknowledged.
    pub fn is_found_in(&self, written: &[(String, Value)]) -> bool {
        let at = |place: &str| -> Vec<&Value> {
            written.iter().filter(|(found, _)| found == place).map(|(_, value)| value).collect()
        };
        let text_of = |value: &Value| match value {
            Value::Text(text) | Value::LongText(text) => Some(text.clone()),
            _ => None,
        };
        match self {
            Self::Set { place, value } => at(place).into_iter().any(|found| is_same(found, value)),
            Self::Settled { place, value } => at(place).into_iter().any(|found| match found {
                // Whether an entry is there or gone.
                found if place.ends_with(']') => (*found != Value::Deleted) == (value.as_bool() == Some(true)),
                // A device without the definition of a field shows its values with their kinds.
                found if serde_json::to_value(found).is_ok_and(|tagged| tagged == *value) => true,
                Value::Deleted | Value::Text(_) | Value::LongText(_) | Value::Choice(_) => is_same(found, value),
                _ => true,
            }),
            Self::Created { name } => at("name").into_iter().any(|found| text_of(found).as_ref() == Some(name)),
            Self::Ends { place, end } => {
                at(place).into_iter().filter_map(text_of).any(|text| text.ends_with(end.as_str()))
            }
            Self::Choices { place, picked } => written.iter().all(|(found, value)| {
                let member = found.strip_prefix(place.as_str()).and_then(|rest| rest.strip_prefix('/'));
                member.is_none_or(|member| *value == Value::Boolean(picked.iter().any(|code| code == member)))
            }),
            Self::Added { place, text } => {
                let within = written.iter().filter(|(found, _)| found.starts_with(place.as_str()));
                within.into_iter().any(|(_, value)| text_of(value).as_ref() == Some(text))
            }
            Self::Removed { place } => at(place).into_iter().any(|found| *found == Value::Deleted),
        }
    }
}

fn is_same(found: &Value, plain: &Json) -> bool {
    match found {
        Value::Deleted => plain.is_null(),
        Value::Text(text) | Value::LongText(text) | Value::Choice(text) => plain.as_str() == Some(text),
        Value::Integer(number) => plain.as_i64() == Some(*number),
        Value::Boolean(said) => plain.as_bool() == Some(*said),
        _ => false,
    }
}

/// Asks for one answer to be set.
pub fn set(place: &str, value: Json) -> Intent {
    Intent { edit: plain(&json!({"set": {place: value}})), expected: Expected::Set { place: place.to_owned(), value } }
}

fn clear(place: &str) -> Intent {
    Intent {
        edit: plain(&json!({"clear": [place]})),
        expected: Expected::Set { place: place.to_owned(), value: Json::Null },
    }
}

fn plain(json: &Json) -> PlainEdit {
    // The texts above are in the form that is read.
    serde_json::from_value(json.clone()).unwrap_or_default()
}
