//! Several messages in one input: each after its length, 24 bits, little endian.

/// Splits an input into messages; the last may be cut short.
pub fn split(mut data: &[u8]) -> Vec<&[u8]> {
    let mut messages = Vec::new();
    while let Some(([a, b, c], rest)) = data.split_first_chunk::<3>() {
        let length = usize::from(*a) | usize::from(*b) << 8 | usize::from(*c) << 16;
        let (message, rest) = rest.split_at(length.min(rest.len()));
        messages.push(message);
        data = rest;
    }
    messages
}

/// Joins messages into one input.
pub fn join<'a>(messages: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut data = Vec::new();
    for message in messages {
        data.extend(message.len().to_le_bytes().iter().take(3));
        data.extend_from_slice(message);
    }
    data
}
