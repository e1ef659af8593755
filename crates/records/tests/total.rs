//! No input panics, and what is written reads back: arbitrary records and JSON against the starter configuration.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;

use jiff::civil::date;
use proptest::prelude::*;
use serde_json::Value as Json;
use vereda_base::{Digest, Timestamp};
use vereda_records::{
    Attachment, Configuration, DateRange, Edit, Entry, EntryId, FieldPath, Record, RecordType, Value,
    calculation::calculate,
    edit::{self, changes},
    json, starter, summarize, validate,
    validation::{incomplete, validate_change},
};

fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        prop::sample::select(vec![
            "name_first",
            "sex",
            "date_of_birth",
            "household",
            "family_members",
            "follow_ups",
            "status",
            "score_care",
            "photo",
            "consent_period",
            "age",
            "member_age",
            "follow_up_date",
            "unknown",
        ])
        .prop_map(str::to_owned),
        "[a-z]{1,8}",
    ]
}

fn scalar() -> impl Strategy<Value = Value> {
    let day = (1i16..3000, 1i8..13, 1i8..29).prop_map(|(year, month, day)| date(year, month, day));
    prop_oneof![
        any::<String>().prop_map(Value::Text),
        any::<String>().prop_map(Value::LongText),
        any::<i64>().prop_map(Value::Integer),
        "-?[0-9]{1,12}\\.[0-9]{1,9}".prop_map(|text| Value::Decimal(text.parse().unwrap())),
        any::<bool>().prop_map(Value::Boolean),
        day.clone().prop_map(Value::Date),
        any::<i64>().prop_map(|ms| Value::DateTime(Timestamp(ms))),
        (prop::option::of(day.clone()), prop::option::of(day))
            .prop_map(|(from, to)| Value::DateRange(DateRange { from, to })),
        any::<String>().prop_map(Value::Choice),
        prop::collection::btree_set(any::<String>(), 0..4).prop_map(Value::Choices),
        prop::collection::btree_map(any::<String>(), any::<i64>(), 0..4).prop_map(Value::Tally),
        any::<String>().prop_map(Value::Location),
        (any::<[u8; 16]>(), any::<u64>()).prop_map(|(id, size_bytes)| {
            let attachment = Attachment {
                content: Digest([7; 32]),
                media_type: "image/png".into(),
                size_bytes,
                name: "x".into(),
                attached_at: Timestamp(1),
                note: String::new(),
            };
            Value::Attachments([(EntryId(id), attachment)].into())
        }),
        Just(Value::Deleted),
    ]
}

fn entries() -> impl Strategy<Value = Value> {
    let fields = prop::collection::btree_map(name(), scalar(), 0..4);
    let entries = prop::collection::btree_map(any::<[u8; 16]>(), ("[0-9a-z]{0,3}", fields), 0..4);
    entries.prop_map(|entries| {
        let entry = |(id, (order, fields))| Entry { id: EntryId(id), order, fields };
        let mut entries: Vec<Entry> = entries.into_iter().map(entry).collect();
        entries.sort_by(|a, b| (&a.order, a.id).cmp(&(&b.order, b.id)));
        Value::Subform(entries)
    })
}

fn record() -> impl Strategy<Value = Record> {
    let value = prop_oneof![3 => scalar(), 1 => entries()];
    prop::collection::btree_map(name(), value, 0..10).prop_map(|fields| Record {
        record_type: RecordType::Case,
        form_versions: BTreeMap::new(),
        fields,
    })
}

fn any_json() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        any::<i64>().prop_map(Json::from),
        any::<f64>().prop_map(Json::from),
        any::<String>().prop_map(Json::from),
    ];
    let key = prop_oneof![
        name(),
        prop::sample::select(vec!["record_type", "fields", "type", "value", "id", "order"]).prop_map(str::to_owned),
    ];
    leaf.prop_recursive(4, 32, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Json::Array),
            prop::collection::vec((key.clone(), inner), 0..5)
                .prop_map(|pairs| Json::Object(pairs.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn rules_and_projections_hold_over_any_record(before in record(), after in record()) {
        let configuration = starter::child_protection();
        let today = date(2025, 6, 1);
        validate(configuration, &after, today);
        incomplete(configuration, &after);
        validate_change(configuration, &before, &after);
        summarize(configuration, &after);
        let mut computed = after.clone();
        for (path, value) in calculate(configuration, &after, today) {
            edit::apply(&mut computed, &Edit::Set { path, value }).unwrap();
        }
        prop_assert_eq!(calculate(configuration, &computed, today), []);
    }

    #[test]
    fn any_record_reads_back_from_both_json_forms(record in record()) {
        let configuration = starter::child_protection();
        let plain = json::write(configuration, &record);
        prop_assert_eq!(json::read(configuration, &plain), Ok(record.clone()));
        let tagged = serde_json::to_string(&record).unwrap();
        prop_assert_eq!(serde_json::from_str::<Record>(&tagged).unwrap(), record);
    }

    #[test]
    fn edits_lead_from_any_record_to_any_other(before in record(), after in record()) {
        let mut edited = before.clone();
        for edit in changes(&before, &after) {
            edit::apply(&mut edited, &edit).unwrap();
        }
        let answered = |record: &Record| -> BTreeMap<String, Value> {
            let kept = |(_, value): &(&String, &Value)| !matches!(value, Value::Deleted);
            let fields = record.fields.iter().filter(kept).map(|(name, value)| (name.clone(), value.clone()));
            fields.collect()
        };
        prop_assert_eq!(answered(&edited), answered(&after));
    }

    #[test]
    fn any_json_is_read_or_refused(value in any_json()) {
        let configuration = starter::child_protection();
        let wrapped = serde_json::json!({"record_type": "case", "fields": value});
        if let Ok(record) = json::read(configuration, &wrapped) {
            prop_assert_eq!(json::read(configuration, &json::write(configuration, &record)), Ok(record));
        }
        let _ = json::read(configuration, &value);
        let _ = Configuration::from_json(value.to_string().as_bytes());
    }

    #[test]
    fn any_text_is_a_path_or_refused(text in "[a-f0-9\\[\\]/_]{0,60}") {
        if let Ok(path) = text.parse::<FieldPath>() {
            prop_assert_eq!(path.to_string(), text);
        }
    }
}
