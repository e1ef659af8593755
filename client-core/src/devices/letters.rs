//! Bits as letters and digits that people read, say and type: Crockford's base32, in groups of four. It has no I, L, O or
//! U; the first three are read as the digits they look like.

const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const GROUP: usize = 4;

/// Writes the first `count` values of five bits, the highest bits first; missing bits count as zero.
pub(super) fn write(bytes: &[u8], count: usize) -> String {
    let bit = |at: usize| bytes.get(at / 8).is_some_and(|byte| byte >> (7 - at % 8) & 1 == 1);
    let mut text = String::with_capacity(count.saturating_add(count / GROUP));
    for place in 0..count {
        if place > 0 && place % GROUP == 0 {
            text.push('-');
        }
        let value = (0..5).fold(0_usize, |value, offset| value << 1 | usize::from(bit(place * 5 + offset)));
        text.extend(ALPHABET.get(value).copied().map(char::from));
    }
    text
}

/// Reads `count` values of five bits into whole bytes, zeros behind; `None` if it is another text. Case, blanks and
/// hyphens do not count.
pub(super) fn read(text: &str, count: usize) -> Option<Vec<u8>> {
    let letters =
        text.chars().filter(|letter| !letter.is_whitespace() && !matches!(letter, '-' | '\u{2010}'..='\u{2014}'));
    let values: Vec<u8> = letters.map(value_of).collect::<Option<_>>()?;
    if values.len() != count {
        return None;
    }
    let mut bytes = vec![0_u8; (count * 5).div_ceil(8)];
    for (place, value) in values.into_iter().enumerate() {
        for offset in (0..5).filter(|offset| value >> (4 - offset) & 1 == 1) {
            let at = place * 5 + offset;
            if let Some(byte) = bytes.get_mut(at / 8) {
                *byte |= 1 << (7 - at % 8);
            }
        }
    }
    Some(bytes)
}

fn value_of(letter: char) -> Option<u8> {
    let letter = match letter.to_ascii_uppercase() {
        'O' => '0',
        'I' | 'L' => '1',
        other => other,
    };
    let place = ALPHABET.iter().position(|known| char::from(*known) == letter)?;
    u8::try_from(place).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn look_alikes_case_blanks_and_hyphens_do_not_matter() {
        let bytes = read("01AB-CDEF", 8).unwrap();
        assert_eq!(read(" o1ab cdef", 8), Some(bytes.clone()));
        assert_eq!(read("OlAB\u{2013}CDEF", 8), Some(bytes));
        assert_eq!(read("01ABCDE", 8), None);
        assert_eq!(read("01ABCDEU", 8), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn what_is_written_reads_back(bytes: [u8; 25]) {
            let text = write(&bytes, 40);
            prop_assert_eq!(text.len(), 49);
            prop_assert_eq!(read(&text, 40), Some(bytes.to_vec()));
        }
    }
}
