//! Frames of a session, one after the other.

use vereda_protocol::{Packer, Unpacker, decode_chunk, decode_down, decode_up, encode_chunk, encode_down, encode_up};

use crate::sequence;

/// Reads frames from a device until one is refused: each has one form only.
pub fn up_session(data: &[u8]) {
    let (mut unpacker, mut packer) = (Unpacker::new(), Packer::new());
    for frame in sequence::split(data) {
        let Ok(message) = decode_up(frame, &mut unpacker) else { return };
        assert_eq!(encode_up(&message, &mut packer).as_deref(), Ok(frame), "accepted what would be packed otherwise");
    }
}

/// Reads frames from a relay until one is refused.
pub fn down_session(data: &[u8]) {
    let (mut unpacker, mut packer) = (Unpacker::new(), Packer::new());
    for frame in sequence::split(data) {
        let Ok(message) = decode_down(frame, &mut unpacker) else { return };
        assert_eq!(encode_down(&message, &mut packer).as_deref(), Ok(frame), "accepted what would be packed otherwise");
    }
}

/// Reads a chunk as stores keep it.
pub fn stored_chunk(data: &[u8]) {
    if let Ok(chunk) = decode_chunk(data) {
        assert_eq!(encode_chunk(&chunk), data);
        let _ = chunk.header.verify();
    }
}
