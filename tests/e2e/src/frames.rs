//! What a websocket connection carried, with the mask taken off that clients put on every byte: without this, a search
//! through captured traffic would find nothing even where everything stood in the clear.

/// Returns the payloads of all frames of one direction of a connection, headers and masks taken off. What stands before
/// the frames (the request or answer of the handshake) is left out; a stream that was cut ends where it was cut.
pub fn payloads(stream: &[u8]) -> Vec<u8> {
    const END_OF_HEAD: &[u8] = b"\r\n\r\n";
    let head = stream.windows(END_OF_HEAD.len()).position(|window| window == END_OF_HEAD);
    let mut rest = head.and_then(|at| stream.get(at + END_OF_HEAD.len()..)).unwrap_or_default();
    let mut payloads = Vec::with_capacity(rest.len());
    while let Some(frame) = Frame::read(rest) {
        payloads.extend(frame.payload.iter().zip(frame.mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
        rest = frame.rest;
    }
    payloads
}

/// A frame as it stands in the stream (RFC 6455, section 5.2).
struct Frame<'a> {
    mask: [u8; 4],
    payload: &'a [u8],
    rest: &'a [u8],
}

impl<'a> Frame<'a> {
    fn read(stream: &'a [u8]) -> Option<Self> {
        let (&[_, second], rest) = stream.split_first_chunk()?;
        let (len, rest) = match second & 0x7f {
            126 => {
                let (len, rest) = rest.split_first_chunk()?;
                (u64::from(u16::from_be_bytes(*len)), rest)
            }
            127 => {
                let (len, rest) = rest.split_first_chunk()?;
                (u64::from_be_bytes(*len), rest)
            }
            short => (u64::from(short), rest),
        };
        let (mask, rest) = match second & 0x80 {
            0 => ([0; 4], rest),
            _ => {
                let (mask, rest) = rest.split_first_chunk()?;
                (*mask, rest)
            }
        };
        let len = usize::try_from(len).ok()?.min(rest.len());
        let (payload, rest) = rest.split_at(len);
        Some(Self { mask, payload, rest })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(payload: &[u8], mask: Option<[u8; 4]>) -> Vec<u8> {
        let flag = if mask.is_some() { 0x80 } else { 0 };
        let mut frame = vec![0x82];
        match u16::try_from(payload.len()) {
            Ok(len @ 0..126) => frame.push(flag | len as u8),
            Ok(len) => {
                frame.push(flag | 126);
                frame.extend(len.to_be_bytes());
            }
            Err(_) => {
                frame.push(flag | 127);
                frame.extend((payload.len() as u64).to_be_bytes());
            }
        }
        frame.extend(mask.iter().flatten());
        let mask = mask.unwrap_or_default();
        frame.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
        frame
    }

    #[test]
    fn payloads_of_every_length_come_out_without_their_masks() {
        for mask in [None, Some([1, 2, 3, 4])] {
            let mut stream = b"GET /sync HTTP/1.1\r\nHost: x\r\n\r\n".to_vec();
            let mut expected = Vec::new();
            for len in [0, 5, 125, 126, 65_535, 65_536] {
                let payload: Vec<u8> = (0..len).map(|index| index as u8).collect();
                stream.extend(frame(&payload, mask));
                expected.extend(payload);
            }
            assert_eq!(payloads(&stream), expected);
            stream.truncate(stream.len() - 10);
            assert_eq!(payloads(&stream).len(), expected.len() - 10);
        }
        assert_eq!(payloads(b"no head"), b"");
    }
}
