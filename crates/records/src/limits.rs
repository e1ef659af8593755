//! Bounds on what one record may hold. Validation reports what passes them; decoding refuses it.

/// The name of a field, form, lookup or subform, in bytes.
pub const MAX_NAME_BYTES: usize = 128;
/// The code of a choice or location, in bytes.
pub const MAX_CODE_BYTES: usize = 256;
/// A one-line text, in characters.
pub const MAX_TEXT_CHARS: usize = 1_000;
/// A long text, in characters.
pub const MAX_LONG_TEXT_CHARS: usize = 50_000;
/// Choices picked in one answer.
pub const MAX_CHOICES: usize = 500;
/// Groups counted by one tally.
pub const MAX_TALLY_GROUPS: usize = 100;
/// Entries of one subform in one record.
pub const MAX_ENTRIES: usize = 1_000;
/// Attachments of one record.
pub const MAX_ATTACHMENTS: usize = 100;
/// One attachment, in bytes.
pub const MAX_ATTACHMENT_BYTES: u64 = 20 << 20;
/// An entry's order key, in bytes.
pub const MAX_ORDER_BYTES: usize = 256;
/// Depth of one expression tree.
pub const MAX_EXPRESSION_DEPTH: usize = 32;

/// Tells whether a text may name a field, form, subform or lookup: 1 to [`MAX_NAME_BYTES`] bytes of ASCII letters,
/// digits, `_` or `-`. So a name never needs escaping in a path, a key or a file.
pub fn is_name(text: &str) -> bool {
    (1..=MAX_NAME_BYTES).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b))
}

/// Tells whether a text may be the code of a choice, location, agency or user: 1 to [`MAX_CODE_BYTES`] bytes without
/// control characters.
pub fn is_code(text: &str) -> bool {
    (1..=MAX_CODE_BYTES).contains(&text.len()) && !text.chars().any(char::is_control)
}
