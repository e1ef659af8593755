//! The files that vectors stand in: JSON that a person can read and `git diff` can show.

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Map, Value, json};

use crate::vector::{Part, Vector};

const LINE_BYTES: usize = 32;

/// Writes a file.
///
/// # Errors
/// If a name is taken twice, which would lose one of both.
pub fn write(about: &str, vectors: &[Vector]) -> Result<String> {
    let vectors = vectors.iter().map(write_vector).collect::<Result<Vec<_>>>()?;
    let file = json!({ "about": about, "vectors": vectors });
    Ok(serde_json::to_string_pretty(&file)? + "\n")
}

/// Reads a file.
///
/// # Errors
/// If it is not as [`write`] writes it.
pub fn read(text: &str) -> Result<Vec<Vector>> {
    let file: Value = serde_json::from_str(text)?;
    let vectors = file.get("vectors").and_then(Value::as_array).context("the file has no vectors")?;
    vectors.iter().map(read_vector).collect()
}

fn write_vector(vector: &Vector) -> Result<Value> {
    let mut object = Map::new();
    object.insert("name".into(), vector.name.clone().into());
    object.insert("about".into(), vector.about.clone().into());
    for (name, part) in &vector.parts {
        let value = match part {
            Part::Bytes(bytes) if bytes.len() <= LINE_BYTES => hex::encode(bytes).into(),
            Part::Bytes(bytes) => bytes.chunks(LINE_BYTES).map(hex::encode).collect(),
            Part::Number(number) => (*number).into(),
            Part::Text(text) => json!({ "text": text }),
        };
        ensure!(object.insert(name.clone(), value).is_none(), "vector {:?} has part {name:?} twice", vector.name);
    }
    Ok(Value::Object(object))
}

fn read_vector(value: &Value) -> Result<Vector> {
    let object = value.as_object().context("a vector is no object")?;
    let text = |name: &str| object.get(name).and_then(Value::as_str).with_context(|| format!("a vector has no {name}"));
    let mut vector = Vector::new(text("name")?, text("about")?);
    for (name, value) in object.iter().filter(|(name, _)| *name != "name" && *name != "about") {
        let part = read_part(value).with_context(|| format!("vector {:?}, part {name:?}", vector.name))?;
        vector.parts.push((name.clone(), part));
    }
    Ok(vector)
}

fn read_part(value: &Value) -> Result<Part> {
    Ok(match value {
        Value::String(digits) => Part::Bytes(hex::decode(digits)?),
        Value::Array(lines) => {
            let lines = lines.iter().map(|line| line.as_str().context("a line of bytes is no string"));
            Part::Bytes(hex::decode(lines.collect::<Result<String>>()?)?)
        }
        Value::Number(number) => Part::Number(number.as_u64().context("a number is out of range")?),
        Value::Object(object) => {
            Part::Text(object.get("text").and_then(Value::as_str).context("no text in an object")?.to_owned())
        }
        Value::Null | Value::Bool(_) => bail!("neither bytes, number nor text"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_reads_back_as_it_was_written() {
        let vectors = [
            Vector::new("short", "one line").with("bytes", [1, 2]).with_number("n", u64::MAX).with_text("t", "é\n"),
            Vector::new("long", "several lines").with("bytes", [7; 100]).with("empty", []),
        ];
        let text = write("about", &vectors).unwrap();
        assert_eq!(read(&text).unwrap(), vectors);
    }

    #[test]
    fn a_part_that_would_be_lost_is_refused() {
        assert!(write("about", &[Vector::new("a", "").with("bytes", []).with("bytes", [1])]).is_err());
    }
}
