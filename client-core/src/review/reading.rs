//! Reading what is in review: on a copy of the document, which is dropped afterwards.

use serde::Serialize;
use serde_json::Value as Json;
use vereda_base::{Link, Timestamp};
use vereda_crypto::derive_actor;
use vereda_document::{HistoryEntry, Place};
use vereda_protocol::Header;
use vereda_records::{Record, Value};
use vereda_sync::device::{DeviceStore, Review};

use crate::{
    cases::{place_text, plain_at, plain_written},
    device::{Device, read_header},
    directory::AuthorView,
    document::{ChunkFault, ChunkKeys, OpenDocument},
};

/// One chunk in review.
#[derive(Debug, Clone, Serialize)]
pub struct WorkView {
    /// Names it.
    pub link: Link,
    /// Whose it is: proven.
    pub author: AuthorView,
    /// The device that wrote it was removed: whoever holds it may not be its person.
    pub is_device_removed: bool,
    /// When its newest change was made, in milliseconds since 1970 by its author's clock; `None` where it does not open.
    pub made: Option<Timestamp>,
    /// When the relay received it, in milliseconds since 1970 by the relay's clock.
    pub received: Timestamp,
    /// What it writes.
    pub changes: Vec<ReviewedChange>,
    /// Why it cannot be read here.
    pub unreadable: Option<String>,
}

/// One value that would be written.
#[derive(Debug, Clone, Serialize)]
pub struct ReviewedChange {
    /// Where: an answer, `answer/choice`, or an entry of a subform.
    pub place: String,
    /// What stands there now, in plain form.
    pub from: Json,
    /// What would stand there, in plain form; `null` where it is taken away.
    pub to: Json,
    /// When, in milliseconds since 1970 by the author's clock.
    pub time: Timestamp,
}

/// A chunk as far as it was read.
struct Read {
    header: Option<Header>,
    fault: Option<String>,
}

impl<S: DeviceStore> Device<S> {
    /// Reads chunks in review over a copy of their document.
    pub(super) fn view_works(
        &self,
        scratch: OpenDocument,
        works: &[Review],
        keys: impl Fn(&Self, u64) -> Option<ChunkKeys>,
    ) -> Vec<WorkView> {
        self.view_works_and_record(scratch, works, keys).0
    }

    /// Reads chunks in review, and the record as it would be with all of them.
    pub(super) fn view_works_and_record(
        &self,
        mut scratch: OpenDocument,
        works: &[Review],
        keys: impl Fn(&Self, u64) -> Option<ChunkKeys>,
    ) -> (Vec<WorkView>, Option<Record>) {
        let before = scratch.replica.is_created().then(|| scratch.replica.hydrate().ok()).flatten();
        let read = self.take_all(&mut scratch, works, keys);
        let history = scratch.replica.full_history();
        let views = works.iter().zip(read).map(|(work, read)| self.view_work(work, read, &history, before.as_ref()));
        let views = views.collect();
        (views, scratch.replica.is_created().then(|| scratch.replica.hydrate().ok()).flatten())
    }

    /// Takes in what opens. Chunks of several authors may build on one another, so it is tried until nothing more does.
    fn take_all(
        &self,
        scratch: &mut OpenDocument,
        works: &[Review],
        keys: impl Fn(&Self, u64) -> Option<ChunkKeys>,
    ) -> Vec<Read> {
        let mut read: Vec<Read> = works.iter().map(|_| Read { header: None, fault: None }).collect();
        loop {
            let mut took = false;
            for (work, read) in works.iter().zip(&mut read).filter(|(_, read)| read.header.is_none()) {
                match self.take_one(scratch, work, &keys) {
                    Ok(header) => {
                        *read = Read { header: Some(header), fault: None };
                        took = true;
                    }
                    Err(fault) => read.fault = Some(fault),
                }
            }
            if !took {
                return read;
            }
        }
    }

    fn take_one(
        &self,
        scratch: &mut OpenDocument,
        work: &Review,
        keys: impl Fn(&Self, u64) -> Option<ChunkKeys>,
    ) -> Result<Header, String> {
        let header = read_header(&work.chunk).map_err(|error| error.to_string())?;
        let no_key = || "the key that it was sealed under is not on this device".to_owned();
        let keys = keys(self, header.epoch).ok_or_else(no_key)?;
        let actor = derive_actor(header.device, header.incarnation, header.document);
        let taken = scratch.take_chunk(&work.chunk, &header, actor, &keys);
        taken.map_err(|fault: ChunkFault| fault.to_string())?;
        Ok(header)
    }

    fn view_work(&self, work: &Review, read: Read, history: &[HistoryEntry], before: Option<&Record>) -> WorkView {
        let device = read_header(&work.chunk).ok().map(|header| header.device);
        let mut view = WorkView {
            link: work.link,
            author: self.author_view(device),
            is_device_removed: device.is_some_and(|device| self.was_device_removed(&device)),
            made: None,
            received: work.received,
            changes: Vec::new(),
            unreadable: read.fault,
        };
        let Some(header) = read.header else { return view };
        let actor = derive_actor(header.device, header.incarnation, header.document);
        let end = header.first_change.saturating_add(u64::from(header.change_count));
        let within = |entry: &&HistoryEntry| entry.actor == actor && (header.first_change..end).contains(&entry.seq);
        for entry in history.iter().filter(within) {
            view.made = view.made.max(Some(entry.time));
            let Some(to) = plain_written(&self.books.configuration, &entry.place, &entry.value) else { continue };
            let from = before.map_or(Json::Null, |before| self.plain_standing(&entry.place, before));
            view.changes.push(ReviewedChange { place: place_text(&entry.place), from, to, time: entry.time });
        }
        view
    }

    /// Writes what stands at a place, in plain form.
    fn plain_standing(&self, place: &Place, record: &Record) -> Json {
        match place {
            Place::Answer(path) => {
                record.at(path).map_or(Json::Null, |value| plain_at(&self.books.configuration, path, value))
            }
            Place::Member { answer, member } => match record.at(answer) {
                Some(Value::Choices(choices)) => Json::from(choices.contains(member)),
                Some(Value::Tally(tally)) => tally.get(member).map_or(Json::Null, |count| Json::from(*count)),
                Some(Value::Attachments(held)) => {
                    Json::from(held.keys().any(|attachment| attachment.to_string() == *member))
                }
                _ => Json::Null,
            },
            Place::Entry { field, entry } => record.entry(field, *entry).map_or(Json::Null, |_| Json::from(true)),
            Place::FormVersion { .. } => Json::Null,
        }
    }
}
