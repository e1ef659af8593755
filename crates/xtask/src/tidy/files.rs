//! Rule: one noun a file and one verb a function: no `mod.rs`, no file and no function longer than its limit.

use super::{
    breach::Breach,
    exceptions::{Exception, LONG_FILES, LONG_FUNCTIONS, excepts},
    tokens::{Token, group, tokens},
    tree::{Tree, is_test_file},
};

const MAX_LINES: usize = 500;
const MAX_FUNCTION_LINES: usize = 70;

/// Checks every Rust file.
pub(crate) fn check(tree: &Tree) -> Vec<Breach> {
    check_with(tree, LONG_FILES, LONG_FUNCTIONS)
}

fn check_with(tree: &Tree, long: &[Exception], long_functions: &[Exception]) -> Vec<Breach> {
    let mut breaches = Vec::new();
    for (path, text) in tree.with_ending("rs") {
        if path.rsplit('/').next() == Some("mod.rs") {
            breaches.push(Breach::new(
                path,
                1,
                "a file named mod.rs",
                "name it after its noun: `foo.rs` beside `foo/`",
            ));
        }
        let length = text.lines().count();
        if length > MAX_LINES && !excepts(long, path) {
            let found = format!("{length} lines, over {MAX_LINES}");
            let remedy = "find the second noun and give it a file; or list it in exceptions.rs with the reason";
            breaches.push(Breach::new(path, MAX_LINES, found, remedy));
        }
        let Some(tokens) = tokens(text) else {
            breaches.push(Breach::new(path, 1, "is not Rust", "repair the syntax: no rule can read it"));
            continue;
        };
        if !is_test_file(path) && !excepts(long_functions, path) {
            breaches.extend(functions_too_long(path, &tokens));
        }
    }
    for entry in long {
        if tree.text(entry.path).is_none_or(|text| text.lines().count() <= MAX_LINES) {
            breaches.push(Breach::new(entry.path, 1, "is listed as long but is not", "remove the entry"));
        }
    }
    for entry in long_functions {
        let tokens = tree.text(entry.path).and_then(tokens).unwrap_or_default();
        if functions_too_long(entry.path, &tokens).is_empty() {
            breaches.push(Breach::new(entry.path, 1, "is listed for long functions but has none", "remove the entry"));
        }
    }
    breaches
}

/// Finds functions outside of tests whose lines, from `fn` to the closing brace, are too many.
fn functions_too_long(path: &str, tokens: &[Token]) -> Vec<Breach> {
    let mut breaches = Vec::new();
    for (at, keyword) in tokens.iter().enumerate().filter(|(_, token)| token.text == "fn" && !token.in_test) {
        let rest = tokens.get(at + 1..).unwrap_or_default();
        // A type like `fn(u8) -> u8` has no name.
        let Some(name) = rest.first().filter(|name| name.text != "(") else { continue };
        let Some(body) = body(rest) else { continue };
        let end = body.get(group(body).len() + 1).map_or(keyword.line, |token| token.line);
        let length = end.saturating_sub(keyword.line) + 1;
        if length > MAX_FUNCTION_LINES {
            let found = format!("`{}` has {length} lines, over {MAX_FUNCTION_LINES}", name.text);
            let remedy = "give its parts names; or list the file in exceptions.rs (LONG_FUNCTIONS) with the reason";
            breaches.push(Breach::new(path, keyword.line, found, remedy));
        }
    }
    breaches
}

/// Returns what begins with the opening brace of a function's body; a function of a trait may have none.
fn body(signature: &[Token]) -> Option<&[Token]> {
    let mut depth = 0_usize;
    for (at, token) in signature.iter().enumerate() {
        match token.text.as_str() {
            "(" | "[" => depth += 1,
            ")" | "]" => depth = depth.saturating_sub(1),
            "{" if depth == 0 => return signature.get(at..),
            ";" if depth == 0 => return None,
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(path: &str, text: &str, long: &[Exception]) -> Vec<String> {
        check_with(&Tree::of(&[(path, text)]), long, &[]).into_iter().map(|breach| breach.found).collect()
    }

    #[test]
    fn a_file_named_mod_is_a_breach() {
        assert_eq!(found("crates/sync/src/relay/mod.rs", "", &[]), ["a file named mod.rs"]);
    }

    #[test]
    fn a_long_file_is_a_breach_unless_it_is_listed() {
        let long = "fn f() {}\n".repeat(501);
        assert_eq!(found("a.rs", &long, &[]), ["501 lines, over 500"]);
        assert_eq!(found("a.rs", &long, &[Exception { path: "a.rs", reason: "one table" }]), [""; 0]);
        assert_eq!(found("a.rs", &"fn f() {}\n".repeat(500), &[]), [""; 0]);
    }

    #[test]
    fn a_long_function_is_a_breach_outside_of_tests() {
        let long = format!("fn f(a: [u8; 2]) {{\n{}}}\n", "    g();\n".repeat(69));
        assert_eq!(found("a.rs", &long, &[]), ["`f` has 71 lines, over 70"]);
        assert_eq!(found("a.rs", &format!("#[cfg(test)]\nmod tests {{ {long} }}"), &[]), [""; 0]);
        assert_eq!(found("tests/a.rs", &long, &[]), [""; 0]);
        let short = format!("trait A {{ fn f(); fn g(h: fn(u8)); }}\nfn f() {{\n{}}}\n", "    g();\n".repeat(68));
        assert_eq!(found("a.rs", &short, &[]), [""; 0]);
    }

    #[test]
    fn a_stale_entry_is_a_breach() {
        let listed = [Exception { path: "a.rs", reason: "one table" }];
        assert_eq!(found("a.rs", "fn f() {}", &listed), ["is listed as long but is not"]);
    }

    #[test]
    fn a_file_that_is_not_rust_is_a_breach() {
        assert_eq!(found("a.rs", "fn f( {", &[]), ["is not Rust"]);
    }
}
