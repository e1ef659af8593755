//! Frames as they pass: unchanged, except under a mutation.

use vereda_base::{Digest, OpId};
use vereda_policy::op_id_of_bytes;
use vereda_protocol::{
    Chunk, ChunkOutcome, Down, Packer, PolicyEntry, Unpacker, Up, decode_down, decode_up, encode_down, encode_up,
};

use crate::mutation::Mutation;

/// What a faulty relay or device would have sent instead.
#[derive(Debug, Default)]
pub struct Proxy {
    mutation: Option<Mutation>,
    down: Session,
    lies: Session,
    up: Session,
    passed: u64,
    wraps: Vec<(OpId, Digest, u64)>,
}

#[derive(Debug, Default)]
struct Session {
    packer: Packer,
    unpacker: Unpacker,
}

impl Proxy {
    /// Makes the proxy of one connection.
    pub fn new(mutation: Option<Mutation>) -> Self {
        Self { mutation, ..Self::default() }
    }

    /// Passes a frame of the relay. `others` are chunks that its device may not read.
    pub fn down(&mut self, frame: Vec<u8>, others: &[Chunk]) -> Vec<u8> {
        use Mutation::{ContentFilterOff, CursorRunsAhead, ReviewHidden, ReviewUntold};
        let Ok(mut message) = decode_down(&frame, &mut self.down.unpacker) else { return frame };
        self.note_wraps(&message);
        let mutations = [ContentFilterOff, CursorRunsAhead, ReviewHidden, ReviewUntold];
        let Some(mutation) = self.mutation.filter(|mutation| mutations.contains(mutation)) else { return frame };
        match (&mut message, mutation) {
            (Down::Content { chunks, .. }, ContentFilterOff) => chunks.extend(others.iter().cloned()),
            (Down::Content { chunks, .. }, CursorRunsAhead) => {
                self.passed += 1;
                if self.passed.is_multiple_of(3) {
                    chunks.pop();
                }
            }
            (Down::Policy { entries, .. } | Down::BackfillPart { entries, .. }, ReviewHidden) => {
                entries
                    .retain(|entry| !matches!(entry, PolicyEntry::Review { .. } | PolicyEntry::ReviewDocument { .. }));
            }
            // A frame that tells nothing, in its place.
            (Down::ChunkResult { outcome: ChunkOutcome::InReview, .. }, ReviewUntold) => message = Down::Credit(0),
            _ => {}
        }
        encode_down(&message, &mut self.down.packer).unwrap_or(frame)
    }

    /// Reads a frame of a relay that lies; what is sent instead must go through [`Self::write_down`], all of it.
    pub fn read_down(&mut self, frame: &[u8]) -> Option<Down> {
        decode_down(frame, &mut self.lies.unpacker).ok()
    }

    /// Writes what such a relay sends.
    pub fn write_down(&mut self, message: &Down) -> Option<Vec<u8>> {
        encode_down(message, &mut self.lies.packer).ok()
    }

    /// Reads a frame of a device to a relay that lies.
    pub fn read_up(&mut self, frame: &[u8]) -> Option<Up> {
        decode_up(frame, &mut self.up.unpacker).ok()
    }

    /// Writes what such a relay takes to have been sent.
    pub fn write_up(&mut self, message: &Up) -> Option<Vec<u8>> {
        encode_up(message, &mut self.up.packer).ok()
    }

    fn note_wraps(&mut self, message: &Down) {
        let (Down::Policy { entries, .. } | Down::BackfillPart { entries, .. }) = message else { return };
        for entry in entries {
            match entry {
                PolicyEntry::Wrap { op, wrap, .. } => self.wraps.push((*op, wrap.recipient, wrap.recipient_epoch)),
                PolicyEntry::ReviewDocument { create, wraps, .. } => {
                    let op = op_id_of_bytes(create.bytes());
                    self.wraps.extend(wraps.iter().map(|(wrap, _)| (op, wrap.recipient, wrap.recipient_epoch)));
                }
                _ => {}
            }
        }
    }

    /// Takes the wraps that were in what passed down: operation, recipient and its epoch.
    pub fn take_wraps(&mut self) -> Vec<(OpId, Digest, u64)> {
        std::mem::take(&mut self.wraps)
    }

    /// Passes a frame of a device. `bare` is what it wrote last, unsealed.
    pub fn up(&mut self, frame: Vec<u8>, bare: Option<&[u8]>) -> Vec<u8> {
        if self.mutation != Some(Mutation::SealingSkipped) {
            return frame;
        }
        let Ok(mut message) = decode_up(&frame, &mut self.up.unpacker) else { return frame };
        if let (Up::PutChunk(chunk), Some(bare)) = (&mut message, bare) {
            chunk.ciphertext = bare.to_vec();
        }
        encode_up(&message, &mut self.up.packer).unwrap_or(frame)
    }
}
