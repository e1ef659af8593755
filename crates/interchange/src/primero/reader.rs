//! Objects of the source, read key by key: what was not read is a loss.

use std::collections::BTreeSet;

use serde_json::{Map, Value as Json};
use vereda_records::{Translated, condition::Literal};

use super::ImportError;
use crate::report::Loss;

/// An object of the source.
#[derive(Debug)]
pub(super) struct Object<'a> {
    map: &'a Map<String, Json>,
    path: String,
    taken: BTreeSet<&'a str>,
}

impl<'a> Object<'a> {
    pub(super) fn new(json: &'a Json, path: String) -> Result<Self, ImportError> {
        match json.as_object() {
            Some(map) => Ok(Self { map, path, taken: BTreeSet::new() }),
            None => Err(ImportError::Shape { path, expected: "an object" }),
        }
    }

    /// Returns the path of a key.
    pub(super) fn at(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    pub(super) fn path(&self) -> String {
        self.path.clone()
    }

    /// Lets paths begin with another text from here on.
    pub(super) fn begin_path(&mut self, path: &str) {
        path.clone_into(&mut self.path);
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.map.contains_key(key)
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        self.map.keys().map(String::as_str)
    }

    /// Returns the value of a key without taking it.
    pub(super) fn get(&self, key: &str) -> Option<&'a Json> {
        self.map.get(key)
    }

    /// Takes a key; nothing where it is absent or null.
    pub(super) fn value(&mut self, key: &str) -> Option<&'a Json> {
        let (key, json) = self.map.get_key_value(key)?;
        self.taken.insert(key);
        Some(json).filter(|json| !json.is_null())
    }

    fn shape<T>(&self, key: &str, expected: &'static str) -> Result<T, ImportError> {
        Err(ImportError::Shape { path: self.at(key), expected })
    }

    pub(super) fn text(&mut self, key: &str) -> Result<Option<String>, ImportError> {
        match self.value(key) {
            None => Ok(None),
            Some(Json::String(text)) => Ok(Some(text.clone()).filter(|text| !text.trim().is_empty())),
            Some(_) => self.shape(key, "a text"),
        }
    }

    pub(super) fn required_text(&mut self, key: &str) -> Result<String, ImportError> {
        match self.text(key)? {
            Some(text) => Ok(text),
            None => self.shape(key, "a text"),
        }
    }

    pub(super) fn flag(&mut self, key: &str, default: bool) -> Result<bool, ImportError> {
        match self.value(key) {
            None => Ok(default),
            Some(Json::Bool(flag)) => Ok(*flag),
            Some(_) => self.shape(key, "true or false"),
        }
    }

    pub(super) fn integer(&mut self, key: &str) -> Result<Option<i64>, ImportError> {
        match self.value(key).map(Json::as_i64) {
            None => Ok(None),
            Some(Some(number)) => Ok(Some(number)),
            Some(None) => self.shape(key, "a whole number"),
        }
    }

    pub(super) fn list(&mut self, key: &str) -> Result<&'a [Json], ImportError> {
        match self.value(key) {
            None => Ok(&[]),
            Some(Json::Array(list)) => Ok(list),
            Some(_) => self.shape(key, "a list"),
        }
    }

    pub(super) fn texts(&mut self, key: &str) -> Result<Vec<String>, ImportError> {
        let texts: Option<Vec<String>> = self.list(key)?.iter().map(|json| json.as_str().map(str::to_owned)).collect();
        texts.map_or_else(|| self.shape(key, "a list of texts"), Ok)
    }

    /// Takes a text by language; languages without a text say nothing.
    pub(super) fn translated(&mut self, key: &str) -> Result<Translated, ImportError> {
        match self.value(key) {
            None => Ok(Translated::default()),
            Some(json) => translated(json, &self.at(key)),
        }
    }

    pub(super) fn object(&mut self, key: &str) -> Result<Option<Self>, ImportError> {
        let path = self.at(key);
        self.value(key).map(|json| Self::new(json, path)).transpose()
    }

    /// Takes a list of objects; paths name each by its id where it has one.
    pub(super) fn objects(&mut self, key: &str, id: &str) -> Result<Vec<Self>, ImportError> {
        let path = self.at(key);
        let mut names = BTreeSet::new();
        let objects = self.list(key)?.iter().enumerate().map(|(index, json)| {
            let name = match json.get(id) {
                Some(Json::String(name)) if !name.is_empty() && names.insert(name) => name.clone(),
                Some(Json::String(name)) if !name.is_empty() => format!("{name}#{index}"),
                _ => index.to_string(),
            };
            Self::new(json, format!("{path}[{name}]"))
        });
        objects.collect()
    }

    /// Takes a switch that the product does not have; said to be lost where it is not at its default.
    pub(super) fn unknown_switch(&mut self, key: &str, default: bool, reason: &str, losses: &mut Vec<Loss>) {
        match self.value(key) {
            None => {}
            Some(Json::Bool(flag)) if *flag == default => {}
            Some(_) => losses.push(Loss { path: self.at(key), reason: reason.into() }),
        }
    }

    /// Lists every key that nobody took and that says something. The moments at which a server wrote its rows, and the
    /// numbers of those rows, say nothing.
    pub(super) fn finish(self, losses: &mut Vec<Loss>) {
        for (key, json) in self.map.iter().filter(|(key, _)| !self.taken.contains(key.as_str())) {
            let says_nothing = match json {
                Json::String(_) if matches!(key.as_str(), "created_at" | "updated_at") => true,
                Json::Number(_) if key == "id" || key.ends_with("_section_id") => true,
                Json::Null => true,
                Json::String(text) => text.trim().is_empty(),
                Json::Array(list) => list.is_empty(),
                Json::Object(map) => map.is_empty(),
                Json::Bool(_) | Json::Number(_) => false,
            };
            if !says_nothing {
                losses.push(Loss { path: self.at(key), reason: "not read by this version".into() });
            }
        }
    }
}

/// Reads a text by language.
pub(super) fn translated(json: &Json, path: &str) -> Result<Translated, ImportError> {
    let shape = |path: &str| ImportError::Shape { path: path.to_owned(), expected: "a text by language" };
    let mut text = Translated::default();
    for (language, json) in json.as_object().ok_or_else(|| shape(path))? {
        match json {
            Json::Null => {}
            Json::String(found) if found.trim().is_empty() => {}
            Json::String(found) => {
                text.0.insert(language.clone(), found.clone());
            }
            _ => return Err(shape(&format!("{path}.{language}"))),
        }
    }
    Ok(text)
}

/// Reads a constant: a scalar, or a list of them.
pub(super) fn literal(json: &Json) -> Option<Literal> {
    Some(match json {
        Json::Bool(flag) => Literal::Boolean(*flag),
        Json::String(text) => Literal::Text(text.clone()),
        Json::Number(number) => match number.as_i64() {
            Some(number) => Literal::Integer(number),
            None => Literal::Text(number.to_string().parse::<vereda_records::Decimal>().ok()?.to_string()),
        },
        Json::Array(list) => Literal::List(list.iter().map(literal).collect::<Option<_>>()?),
        Json::Null | Json::Object(_) => return None,
    })
}
