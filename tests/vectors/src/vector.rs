//! One golden example: a name, what goes in, and what comes out.

use anyhow::{Context as _, Result, ensure};

/// One example of a format.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vector {
    /// Names it within its file.
    pub name: String,
    /// Says what it is.
    pub about: String,
    /// Inputs and outputs, by name.
    pub parts: Vec<(String, Part)>,
}

/// An input or an output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// Bytes; in the file as hexadecimal digits, 32 bytes a line.
    Bytes(Vec<u8>),
    /// A number.
    Number(u64),
    /// Text.
    Text(String),
}

impl Vector {
    /// Begins an example.
    pub fn new(name: impl Into<String>, about: impl Into<String>) -> Self {
        Self { name: name.into(), about: about.into(), parts: Vec::new() }
    }

    /// Adds bytes.
    #[must_use]
    pub fn with(self, part: impl Into<String>, bytes: impl AsRef<[u8]>) -> Self {
        self.with_part(part, Part::Bytes(bytes.as_ref().to_vec()))
    }

    /// Adds a number.
    #[must_use]
    pub fn with_number(self, part: impl Into<String>, number: u64) -> Self {
        self.with_part(part, Part::Number(number))
    }

    /// Adds text.
    #[must_use]
    pub fn with_text(self, part: impl Into<String>, text: impl Into<String>) -> Self {
        self.with_part(part, Part::Text(text.into()))
    }

    fn with_part(mut self, name: impl Into<String>, part: Part) -> Self {
        self.parts.push((name.into(), part));
        self
    }

    /// Finds bytes.
    ///
    /// # Errors
    /// If there are none of this name.
    pub fn bytes(&self, name: &str) -> Result<&[u8]> {
        match self.part(name) {
            Some(Part::Bytes(bytes)) => Ok(bytes),
            _ => self.lacks(name, "bytes"),
        }
    }

    /// Finds a fixed number of bytes.
    ///
    /// # Errors
    /// If there are none of this name and length.
    pub fn array<const N: usize>(&self, name: &str) -> Result<[u8; N]> {
        self.bytes(name)?.try_into().with_context(|| format!("part {name:?} of {:?} has not {N} bytes", self.name))
    }

    /// Finds a number.
    ///
    /// # Errors
    /// If there is none of this name.
    pub fn number(&self, name: &str) -> Result<u64> {
        match self.part(name) {
            Some(Part::Number(number)) => Ok(*number),
            _ => self.lacks(name, "number"),
        }
    }

    /// Finds text.
    ///
    /// # Errors
    /// If there is none of this name.
    pub fn text(&self, name: &str) -> Result<&str> {
        match self.part(name) {
            Some(Part::Text(text)) => Ok(text),
            _ => self.lacks(name, "text"),
        }
    }

    /// Lists the bytes of all parts whose name begins so, in order.
    pub fn all_bytes<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = &'a [u8]> {
        self.parts.iter().filter_map(move |(name, part)| match part {
            Part::Bytes(bytes) if name.starts_with(prefix) => Some(bytes.as_slice()),
            _ => None,
        })
    }

    /// Holds what was computed against a part.
    ///
    /// # Errors
    /// If they differ.
    pub fn expect(&self, name: &str, found: impl AsRef<[u8]>) -> Result<()> {
        let (expected, found) = (self.bytes(name)?, found.as_ref());
        ensure!(expected == found, "vector {:?}, part {name:?}: {}", self.name, difference(expected, found));
        Ok(())
    }

    /// Holds a computed number against a part.
    ///
    /// # Errors
    /// If they differ.
    pub fn expect_number(&self, name: &str, found: u64) -> Result<()> {
        let expected = self.number(name)?;
        ensure!(expected == found, "vector {:?}, part {name:?}: committed {expected}, now {found}", self.name);
        Ok(())
    }

    /// Finds the first difference to what the code makes now; none where all is equal.
    pub fn difference(&self, made: &Self) -> Option<String> {
        if (&self.name, &self.about) != (&made.name, &made.about) {
            return Some(format!("committed {:?} ({}), now {:?} ({})", self.name, self.about, made.name, made.about));
        }
        let names = |vector: &Self| vector.parts.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
        if names(self) != names(made) {
            return Some(format!("vector {:?}: committed parts {:?}, now {:?}", self.name, names(self), names(made)));
        }
        self.parts.iter().zip(&made.parts).find(|((_, a), (_, b))| a != b).map(|((name, old), (_, new))| {
            let what = match (old, new) {
                (Part::Bytes(old), Part::Bytes(new)) => difference(old, new),
                (old, new) => format!("committed {old:?}, now {new:?}"),
            };
            format!("vector {:?}, part {name:?}: {what}", self.name)
        })
    }

    fn part(&self, name: &str) -> Option<&Part> {
        self.parts.iter().find(|(known, _)| known == name).map(|(_, part)| part)
    }

    fn lacks<T>(&self, name: &str, kind: &str) -> Result<T> {
        anyhow::bail!("vector {:?} has no {kind} {name:?}", self.name)
    }
}

fn difference(committed: &[u8], now: &[u8]) -> String {
    let at = committed.iter().zip(now).take_while(|(a, b)| a == b).count();
    let byte = |bytes: &[u8]| bytes.get(at).map_or_else(|| "none".to_owned(), |byte| format!("{byte:02x}"));
    format!(
        "byte {at} differs: committed {} (of {}), now {} (of {})",
        byte(committed),
        committed.len(),
        byte(now),
        now.len()
    )
}
