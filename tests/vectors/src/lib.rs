//! Golden bytes of every format that is signed, sealed, stored or sent.
//!
//! `v1/*.json` holds, for each format, some inputs and the bytes that they give. Two things are checked of each file:
//! the code makes exactly these bytes again, and today's decoders read the committed ones. The second holds for the
//! files of every older version too: bytes once written stay readable.
//!
//! Nothing here writes those files but [`regenerate`], which is a reviewed act.

pub mod check;
pub mod file;
pub mod formats;
pub mod story;
pub mod vector;
pub mod world;

pub use check::{Breach, check, regenerate};
pub use formats::{FORMATS, Format};
pub use vector::{Part, Vector};

use std::path::{Path, PathBuf};

/// The version whose bytes the code makes now: the folder that its files stand in.
pub const VERSION: &str = "v1";

/// Every version whose bytes must be readable, oldest first.
pub const VERSIONS: &[&str] = &[VERSION];

/// Tells where the committed files stand.
pub fn committed() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_path_buf()
}
