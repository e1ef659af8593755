//! Definitions of fields.

use serde::{Deserialize, Serialize};

use crate::{
    arithmetic::Calculation,
    condition::{Condition, Literal},
    decimal::Decimal,
    record::RecordType,
    text::Translated,
    value::ValueKind,
};

/// The types of field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FieldType {
    /// One line of text.
    Text,
    /// Text of several lines.
    LongText,
    /// One of a few options, all in sight.
    Radio,
    /// One option of a list.
    SelectOne,
    /// Several options of a list.
    SelectMany,
    /// A number, whole or with a fraction.
    Number,
    /// Photos.
    Photo,
    /// Recordings.
    Audio,
    /// Documents.
    Document,
    /// A day; a moment with [`Field::with_time`].
    Date,
    /// From one day to another.
    DateRange,
    /// Entries of a subform.
    Subform,
    /// A heading. Has no answer.
    Separator,
    /// Yes, or nothing.
    TickBox,
    /// A number per group.
    Tally,
    /// A number computed from other answers.
    Calculated,
    /// A signature.
    Signature,
    /// A button to another form. Has no answer.
    LinkToForm,
}

/// A field of a form or subform.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Field {
    /// Name: the identity, together with the record type or the subform.
    pub name: String,
    /// Type.
    #[serde(rename = "type")]
    pub field_type: FieldType,
    /// Label.
    pub label: Translated,
    /// Help beside the field.
    #[serde(default, skip_serializing_if = "Translated::is_empty")]
    pub help: Translated,
    /// Questions that guide the conversation.
    #[serde(default, skip_serializing_if = "Translated::is_empty")]
    pub guiding_questions: Translated,
    /// Label of the tick box itself.
    #[serde(default, skip_serializing_if = "Translated::is_empty")]
    pub tick_box_label: Translated,
    /// Label of who signs.
    #[serde(default, skip_serializing_if = "Translated::is_empty")]
    pub signed_by_label: Translated,
    /// No record is valid without an answer, where the field is displayed.
    #[serde(default, skip_serializing_if = "is_default")]
    pub required: bool,
    /// A form is complete only with an answer.
    #[serde(default, skip_serializing_if = "is_default")]
    pub mandatory_for_completion: bool,
    /// Shown at all.
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub visible: bool,
    /// Shown on small screens.
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub mobile_visible: bool,
    /// Shown when editing, not when viewing.
    #[serde(default, skip_serializing_if = "is_default")]
    pub hide_on_view: bool,
    /// Shown in the short view of a record that one may not open.
    #[serde(default, skip_serializing_if = "is_default")]
    pub show_in_brief: bool,
    /// The text is hidden until asked for.
    #[serde(default, skip_serializing_if = "is_default")]
    pub hidden_text: bool,
    /// Filled by the product, not by people.
    #[serde(default, skip_serializing_if = "is_default")]
    pub disabled: bool,
    /// The definition may be changed by administrators.
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub editable: bool,
    /// Compared when matching.
    #[serde(default, skip_serializing_if = "is_default")]
    pub matchable: bool,
    /// The text is a telephone number.
    #[serde(default, skip_serializing_if = "is_default")]
    pub phone_number: bool,
    /// The date must not be after today.
    #[serde(default, skip_serializing_if = "is_default")]
    pub not_in_future: bool,
    /// The date has a time.
    #[serde(default, skip_serializing_if = "is_default")]
    pub with_time: bool,
    /// Smallest number allowed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minimum: Option<Decimal>,
    /// Largest number allowed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub maximum: Option<Decimal>,
    /// Answer of a new record or entry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<DefaultAnswer>,
    /// Where the options come from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub options: Option<OptionSource>,
    /// Narrows the options: those with a tag whose condition holds; all where none holds.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub option_conditions: Vec<OptionCondition>,
    /// Groups of a tally.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<Choice>,
    /// A tally shows its total; a number counts into the total of its group of sums.
    #[serde(default, skip_serializing_if = "is_default")]
    pub sum_total: bool,
    /// The group of sums that a number counts into.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sum_group: Option<String>,
    /// Displayed only when this holds over the record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display_if_record: Option<Condition>,
    /// Displayed only when this holds over the entry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display_if_entry: Option<Condition>,
    /// What a calculated field shows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calculation: Option<Calculation>,
    /// Copies an answer out of a subform's entries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub summary: Option<EntrySummary>,
    /// The subform, where the type is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subform: Option<SubformUse>,
    /// Where the answer or button leads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<Link>,
    /// Shown in the list of entries as one with its neighbours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub collapse: Option<String>,
    /// Shows the id of the option beside its label.
    #[serde(default, skip_serializing_if = "is_default")]
    pub expose_unique_id: bool,
    /// Free tags of the agency.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
}

/// One option of a list or group of a tally.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Choice {
    /// Code that answers hold.
    pub code: String,
    /// Label.
    pub label: Translated,
    /// No longer offered; answers that have it stay valid.
    #[serde(default, skip_serializing_if = "is_default")]
    pub disabled: bool,
    /// Tags for [`Field::option_conditions`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
}

/// Where options come from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OptionSource {
    /// Written in the field.
    List(Vec<Choice>),
    /// A lookup, by id.
    Lookup(String),
    /// All locations.
    Locations,
    /// Locations of the level that reports count by.
    ReportingLocations,
    /// Agencies.
    Agencies,
    /// Users, as far as the device knows them.
    Users,
    /// User groups.
    UserGroups,
    /// A source that this version cannot list; any code is accepted.
    Other(String),
}

/// Options with this tag are offered when the condition holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OptionCondition {
    /// Tag of options.
    pub tag: String,
    /// Over the entry's answers and, behind them, the record's.
    pub condition: Condition,
}

/// The answer of a new record or entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DefaultAnswer {
    /// The day it is made.
    Today,
    /// The moment it is made.
    Now,
    /// A constant.
    Value(Literal),
}

/// How a field uses a subform.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SubformUse {
    /// Id of the subform.
    pub id: String,
    /// Shows entries in the order of this field.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sort_by: Option<String>,
    /// Shows entries grouped by this field.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group_by: Option<String>,
    /// Shows only these fields; all where empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<String>,
    /// Shows only entries for which this holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entries_if: Option<Condition>,
}

/// Takes an answer from the first entry of a subform in some order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EntrySummary {
    /// The record's field that holds the entries.
    pub subform_field: String,
    /// The field in the entry whose answer is taken.
    pub field: String,
    /// The field in the entry that orders.
    pub order_by: String,
    /// The greatest first.
    #[serde(default, skip_serializing_if = "is_default")]
    pub descending: bool,
}

/// Where an answer or button leads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Link {
    /// The form with this id, in the same record.
    Form(String),
    /// The record of this type whose id is the answer.
    Record(RecordType),
    /// A path or address outside the product.
    Outside(String),
}

impl FieldType {
    /// Tells whether a field of this type is answered at all.
    pub const fn has_answer(self) -> bool {
        !matches!(self, Self::Separator | Self::LinkToForm)
    }

    /// Tells whether the answer is one or several of a list of options.
    pub const fn has_options(self) -> bool {
        matches!(self, Self::Radio | Self::SelectOne | Self::SelectMany)
    }

    /// Tells whether the answer is attachments.
    pub const fn has_attachments(self) -> bool {
        matches!(self, Self::Photo | Self::Audio | Self::Document | Self::Signature)
    }
}

impl Field {
    /// Makes a field with the usual attributes.
    pub fn new(name: impl Into<String>, field_type: FieldType, label: Translated) -> Self {
        Self {
            name: name.into(),
            field_type,
            label,
            help: Translated::default(),
            guiding_questions: Translated::default(),
            tick_box_label: Translated::default(),
            signed_by_label: Translated::default(),
            required: false,
            mandatory_for_completion: false,
            visible: true,
            mobile_visible: true,
            hide_on_view: false,
            show_in_brief: false,
            hidden_text: false,
            disabled: false,
            editable: true,
            matchable: false,
            phone_number: false,
            not_in_future: false,
            with_time: false,
            minimum: None,
            maximum: None,
            default: None,
            options: None,
            option_conditions: vec![],
            groups: vec![],
            sum_total: false,
            sum_group: None,
            display_if_record: None,
            display_if_entry: None,
            calculation: None,
            summary: None,
            subform: None,
            link: None,
            collapse: None,
            expose_unique_id: false,
            tags: vec![],
        }
    }

    /// Returns the kind of value that answers the field, where it has answers. Numbers may also be
    /// [`ValueKind::Decimal`].
    pub const fn value_kind(&self) -> Option<ValueKind> {
        Some(match self.field_type {
            FieldType::Text => ValueKind::Text,
            FieldType::LongText => ValueKind::LongText,
            FieldType::Radio | FieldType::SelectOne => match self.options {
                Some(OptionSource::Locations | OptionSource::ReportingLocations) => ValueKind::Location,
                _ => ValueKind::Choice,
            },
            FieldType::SelectMany => ValueKind::Choices,
            FieldType::Number | FieldType::Calculated => ValueKind::Integer,
            FieldType::Photo | FieldType::Audio | FieldType::Document | FieldType::Signature => ValueKind::Attachments,
            FieldType::Date if self.with_time => ValueKind::DateTime,
            FieldType::Date => ValueKind::Date,
            FieldType::DateRange => ValueKind::DateRange,
            FieldType::Subform => ValueKind::Subform,
            FieldType::TickBox => ValueKind::Boolean,
            FieldType::Tally => ValueKind::Tally,
            FieldType::Separator | FieldType::LinkToForm => return None,
        })
    }
}

pub(crate) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

pub(crate) const fn yes() -> bool {
    true
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference")]
pub(crate) const fn is_yes(value: &bool) -> bool {
    *value
}
