//! Writes the golden seeds of every target to `corpus/<target>`, where `cargo fuzz` looks for them.

use std::{fs, io, path::Path};

fn main() -> io::Result<()> {
    for target in vereda_fuzz_targets::TARGETS {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target.name);
        fs::create_dir_all(&folder)?;
        for (index, seed) in vereda_fuzz_targets::seeds::seeds(target.name).iter().enumerate() {
            fs::write(folder.join(format!("golden-{index}")), seed)?;
        }
    }
    Ok(())
}
