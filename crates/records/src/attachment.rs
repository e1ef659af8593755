//! Attachments as a record sees them: references, never bytes.

use serde::{Deserialize, Serialize};
use vereda_base::{Digest, Timestamp};

/// A reference to one photo, audio recording, document or signature. The bytes, their key and thumbnail live elsewhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Attachment {
    /// Hash of the content.
    pub content: Digest,
    /// Media type, such as `image/jpeg`.
    pub media_type: String,
    /// Size of the content, in bytes.
    pub size_bytes: u64,
    /// File name or title, as shown.
    pub name: String,
    /// When it was attached, by the clock of the device.
    pub attached_at: Timestamp,
    /// What a person wrote about it; for a signature, who signed.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub note: String,
}
