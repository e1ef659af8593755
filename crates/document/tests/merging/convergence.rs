//! Three replicas edit at random and hear of one another in any order.

use proptest::prelude::*;
use vereda_base::ActorBytes;
use vereda_document::{
    Edit, Expect, ParsedChunk, Replica,
    frame::{Compression, decode, encode},
};
use vereda_records::{EntryId, FieldPath, Value};

use crate::{
    AT,
    device::{Device, devices},
};

/// One random edit.
fn edits() -> impl Strategy<Value = Edit> {
    let text = "[abم👧 ]{0,6}";
    let field = prop::sample::select(vec!["name", "age", "notes", "concerns", "members"]);
    (field, text, 0u8..4, any::<bool>(), 0usize..4).prop_map(|(field, text, number, flag, at)| {
        let path = FieldPath::field(field);
        let entry = EntryId([number; 16]);
        match field {
            "notes" if flag => Edit::Set { path, value: Value::LongText(text) },
            "notes" => Edit::Rewrite { path, before: text.chars().skip(at).collect(), after: text },
            "concerns" => Edit::Pick { path, choice: number.to_string(), picked: flag },
            "members" if at == 0 => Edit::RemoveEntry { field: field.into(), entry },
            "members" if at == 1 => {
                Edit::Set { path: FieldPath::within(field, entry, "name"), value: Value::text(text) }
            }
            "members" => Edit::PutEntry { field: field.into(), entry, order: format!("{}", number + 1) },
            _ if flag => Edit::Set { path, value: Value::text(text) },
            _ => Edit::Set { path, value: Value::Deleted },
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn three_replicas_meet_in_one_state_in_whatever_order_they_hear_of_one_another(
        rounds in prop::collection::vec(prop::array::uniform3(prop::collection::vec(edits(), 0..6)), 1..4),
        order in prop::collection::vec((0usize..3, 0usize..3), 0..6),
    ) {
        let mut devices: [Device; 3] = devices(|_| {});
        for round in rounds {
            for (device, edits) in devices.iter_mut().zip(round) {
                for edit in edits {
                    // An edit in an entry that is not there is refused, and that is part of the game.
                    device.made.extend(device.replica.edit(&[edit], AT).into_iter().flatten());
                }
            }
            // Some hear of others, each of the whole of what the other made, where all it builds on is known.
            for (to, from) in &order {
                exchange(&mut devices, *to, *from);
            }
        }
        // Then everyone hears everything, repeatedly, since what builds on others has to wait for them.
        for _ in 0..3 {
            for (to, from) in [(0, 2), (1, 0), (2, 1), (0, 1), (1, 2), (2, 0)] {
                exchange(&mut devices, to, from);
            }
        }
        let [a, b, c] = &devices;
        prop_assert_eq!(a.replica.heads(), b.replica.heads());
        prop_assert_eq!(b.replica.heads(), c.replica.heads());
        prop_assert_eq!(a.record(), b.record());
        prop_assert_eq!(b.record(), c.record());
        prop_assert_eq!(a.replica.conflicts(), c.replica.conflicts());
        // So does a newcomer who gets what each made in chunks as long as can be.
        let newcomer = in_long_chunks(&devices);
        prop_assert_eq!(newcomer.heads(), c.replica.heads());
        prop_assert_eq!(newcomer.hydrate(), c.replica.hydrate());
        // And what was saved reads back the same.
        let reloaded = Replica::load(&a.replica.save(), ActorBytes([7; 16])).unwrap();
        prop_assert_eq!(reloaded.hydrate(), c.replica.hydrate());
        prop_assert_eq!(reloaded.conflicts(), c.replica.conflicts());
    }
}

/// Applies everything to a new replica, each time the longest run of one author that builds on nothing missing.
fn in_long_chunks(devices: &[Device; 3]) -> Replica {
    let [a, ..] = devices;
    let created = a.replica.changes()[0].hash;
    let creating = a.replica.change_bytes(&created).unwrap();
    let mut replica = Replica::empty(ActorBytes([8; 16]));
    let apply = |replica: &mut Replica, actor: ActorBytes, first_seq: u64, raw: &[&Vec<u8>]| {
        let sender = Replica::load(&a.replica.save(), actor).unwrap();
        let body = encode(raw, &sender.context(actor, first_seq), Compression::Smallest).unwrap();
        let context = replica.context(actor, first_seq);
        let count = u32::try_from(raw.len()).unwrap();
        let chunk = ParsedChunk::parse(&body, &Expect { context, first_seq, count, closure: &|_| true }).unwrap();
        match replica.apply(&chunk) {
            Ok(applied) => applied.new == raw.len(),
            Err(vereda_document::Refusal::MissingDependency { .. }) => false,
            Err(refusal) => panic!("an honest chunk was refused: {refusal:?}"),
        }
    };
    assert!(apply(&mut replica, ActorBytes([1; 16]), 1, &[&creating]));
    let mut sent = [0; 3];
    while devices.iter().zip(sent).any(|(device, sent)| sent < device.made.len()) {
        for (device, sent) in devices.iter().zip(&mut sent) {
            let rest: Vec<&Vec<u8>> = device.made[*sent..].iter().map(|change| &change.bytes).collect();
            let seq = device.made.get(*sent).map_or(0, |change| change.seq);
            let actor = device.replica.actor();
            *sent +=
                (1..=rest.len()).rev().find(|length| apply(&mut replica, actor, seq, &rest[..*length])).unwrap_or(0);
        }
    }
    replica
}

/// Sends changes one by one, each as a chunk; one that builds on what is missing ends it.
fn exchange(devices: &mut [Device; 3], to: usize, from: usize) {
    if to == from {
        return;
    }
    let (actor, made) = (devices[from].replica.actor(), devices[from].made.clone());
    let raw: Vec<_> = made.iter().map(|change| &change.bytes).collect();
    if !raw.is_empty() {
        let context = devices[from].replica.context(actor, made[0].seq);
        let body = encode(&raw, &context, Compression::Smallest).unwrap();
        let back = decode(&body, &context).unwrap();
        assert!(back.iter().eq(raw.iter().copied()), "the frame is not lossless");
    }
    for change in made {
        let context = devices[from].replica.context(actor, change.seq);
        let body = encode(&[&change.bytes], &context, Compression::Smallest).unwrap();
        let context = devices[to].replica.context(actor, change.seq);
        if context.previous.is_none() && change.seq > 1 && actor != ActorBytes([1; 16]) {
            break;
        }
        let expect = Expect { context, first_seq: change.seq, count: 1, closure: &|_| true };
        let chunk = ParsedChunk::parse(&body, &expect).unwrap();
        match devices[to].replica.apply(&chunk) {
            Ok(_) => {}
            Err(vereda_document::Refusal::MissingDependency { .. }) => break,
            Err(refusal) => panic!("an honest change was refused: {refusal:?}"),
        }
    }
}
