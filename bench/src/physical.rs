//! What no design could do without, computed from the same cases and edits: replicas saved, replicas loaded, changes
//! made as small as we know how, before anything is padded, sealed, signed or framed.

use anyhow::{Context, Result};
use vereda_base::{ActorBytes, Timestamp};
use vereda_document::{Replica, frame};
use vereda_records::{Edit, Record, RecordType, edit::apply, sample::Generator};

use crate::{
    fixture::{Cases, Drawn, draw_edits, edited, seed_of_edits},
    stopwatch::Stopwatch,
};

/// The moment of every change; only its size matters.
const AT: Timestamp = Timestamp(1_795_000_000_000);

/// Of a set of cases.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Whole {
    /// Loading each replica as Automerge saved it, in seconds.
    pub(crate) load: f64,
    /// All changes of each case as the body of one chunk, in bytes.
    pub(crate) bodies: u64,
}

/// Of the edits of W1, sent by one device and received by another.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Exchanged {
    /// As the body of one chunk for each device and case, in bytes.
    pub(crate) bodies: u64,
    /// As raw changes, in bytes.
    pub(crate) raw: u64,
}

/// Computes what cases take.
pub(crate) fn whole(cases: usize, drawn: Drawn) -> Result<Whole> {
    let begun = begin(cases, drawn)?;
    let saved: Vec<Vec<u8>> = begun.iter().map(|(replica, _)| replica.save()).collect();
    let watch = Stopwatch::start();
    for bytes in &saved {
        Replica::load(bytes, ActorBytes([9; 16]))?;
    }
    let load = watch.seconds();
    let bodies: Vec<u64> = begun.iter().map(|(replica, _)| Ok(made(replica)?.bodies)).collect::<Result<_>>()?;
    Ok(Whole { load, bodies: bodies.iter().sum() })
}

/// Computes what the edits of W1 take.
pub(crate) fn exchanged(cases: usize, drawn: Drawn, edits: usize) -> Result<Exchanged> {
    let begun = begin(cases, drawn)?;
    let (first, second) = edited(cases);
    let mut exchanged = Exchanged::default();
    for (device, range) in [(1, first), (2, second)] {
        let mut generator = Generator::new(seed_of_edits(drawn.seed, device));
        for index in range {
            let (begun, record) = begun.get(index).context("a case that was drawn")?;
            let actor = ActorBytes([u8::try_from(device).unwrap_or_default(); 16]);
            let mut replica = Replica::load(&begun.save(), actor)?;
            let edits = draw_edits(&mut generator, &mut record.clone(), edits)?;
            write(&mut replica, record.clone(), &edits)?;
            let made = made(&replica)?;
            // Up from one device, down to the other.
            exchanged.bodies += 2 * made.bodies;
            exchanged.raw += 2 * made.raw;
        }
    }
    Ok(exchanged)
}

/// Adds up what a replica's own changes take.
fn made(replica: &Replica) -> Result<Exchanged> {
    let changes: Vec<Vec<u8>> = replica.own_changes(1).into_iter().map(|change| change.bytes).collect();
    let body = frame::encode(&changes, &replica.context(replica.actor(), 1), frame::Compression::default())?;
    let raw = changes.iter().map(|change| change.len() as u64).sum();
    Ok(Exchanged { bodies: body.len() as u64, raw })
}

/// Makes the replicas of cases with their history.
fn begin(cases: usize, drawn: Drawn) -> Result<Vec<(Replica, Record)>> {
    let mut draw = Cases::new(drawn);
    let mut begun = Vec::new();
    for _ in 0..cases {
        let (record, history) = draw.draw()?;
        let (mut replica, _) = Replica::create(ActorBytes([8; 16]), RecordType::Case, AT)?;
        replica.reconcile(&Record::new(RecordType::Case), &record, AT)?;
        let record = write(&mut replica, record, &history)?;
        begun.push((replica, record));
    }
    Ok(begun)
}

/// Writes edits, one change each.
fn write(replica: &mut Replica, mut before: Record, edits: &[Edit]) -> Result<Record> {
    for edit in edits {
        let mut after = before.clone();
        apply(&mut after, edit)?;
        replica.reconcile(&before, &after, AT)?;
        before = after;
    }
    Ok(before)
}
