//! Rule: what must not be there. The relay's code names no key; tests neither sleep nor are ignored; no `unsafe`, no
//! `todo!`.

use std::collections::BTreeSet;

use syn::{Item, Visibility};

use super::{
    breach::Breach,
    exceptions::{Exception, SLEEPING_TESTS, UNSAFE_FILES, excepts},
    tokens::{Token, find, group, starts_with, tokens},
    tree::{Tree, is_test_file},
};

/// The relay's own sources: its program and its half of the state machines.
const RELAY: &[&str] = &["sync-server/src/", "crates/sync/src/relay"];
/// The modules of `vereda_crypto` that hold, make or use secret keys.
const SECRET_MODULES: &[&str] = &["keys", "passphrase", "sealed", "wrap"];
/// What those modules define that is public material: the relay checks it without any key.
const PUBLIC_MATERIAL: &[&str] = &[
    "GROUP_WRAP_BYTES",
    "LinkParts",
    "Nonce24",
    "TAG_BYTES",
    "WRAP_BYTES",
    "WRAP_PUBLIC_KEY_BYTES",
    "WrapPublicKey",
    "link",
];

/// Checks every Rust file.
pub(crate) fn check(tree: &Tree) -> Vec<Breach> {
    check_with(tree, UNSAFE_FILES, SLEEPING_TESTS)
}

fn check_with(tree: &Tree, unsafe_files: &[Exception], sleeping: &[Exception]) -> Vec<Breach> {
    let secrets = secret_names(tree);
    let mut breaches = Vec::new();
    let mut used = BTreeSet::new();
    for (path, text) in tree.with_ending("rs") {
        let Some(tokens) = tokens(text) else { continue };
        if RELAY.iter().any(|folder| path.starts_with(folder)) && !is_test_file(path) {
            breaches.extend(keys_named(path, &tokens, &secrets));
        }
        for token in tokens.iter().filter(|token| token.text == "unsafe") {
            if excepts(unsafe_files, path) {
                used.insert(path.to_owned());
            } else {
                let remedy = "write it in safe Rust; or list the file in exceptions.rs (UNSAFE_FILES) with the reason";
                breaches.push(Breach::new(path, token.line, "`unsafe`", remedy));
            }
        }
        breaches.extend(unfinished(path, &tokens));
        for token in sleeps(path, &tokens) {
            if excepts(sleeping, path) {
                used.insert(path.to_owned());
            } else {
                let remedy = "wait for what the test is about: a message, a line of output, a state; never for time";
                breaches.push(Breach::new(path, token.line, format!("`{}` in a test", token.text), remedy));
            }
        }
    }
    let listed = unsafe_files.iter().chain(sleeping).filter(|entry| !used.contains(entry.path));
    breaches.extend(listed.map(|entry| Breach::new(entry.path, 1, "is excepted for nothing", "remove the entry")));
    breaches
}

/// Collects the names by which `vereda_crypto` offers secret keys and their use.
fn secret_names(tree: &Tree) -> BTreeSet<String> {
    let mut names: BTreeSet<String> = SECRET_MODULES.iter().map(|&module| module.to_owned()).collect();
    for module in SECRET_MODULES {
        let Some(text) = tree.text(&format!("crates/crypto/src/{module}.rs")) else { continue };
        let Ok(file) = syn::parse_file(text) else { continue };
        names.extend(file.items.iter().filter_map(public_name));
    }
    names.retain(|name| !PUBLIC_MATERIAL.contains(&name.as_str()));
    names
}

fn public_name(item: &Item) -> Option<String> {
    let (visibility, name) = match item {
        Item::Const(it) => (&it.vis, &it.ident),
        Item::Enum(it) => (&it.vis, &it.ident),
        Item::Fn(it) => (&it.vis, &it.sig.ident),
        Item::Struct(it) => (&it.vis, &it.ident),
        Item::Trait(it) => (&it.vis, &it.ident),
        Item::Type(it) => (&it.vis, &it.ident),
        _ => return None,
    };
    matches!(visibility, Visibility::Public(_)).then(|| name.to_string())
}

fn keys_named(path: &str, tokens: &[Token], secrets: &BTreeSet<String>) -> Vec<Breach> {
    let remedy = "the relay holds no key and opens nothing: verify signatures, compare hashes, pass on bytes";
    let breach = |token: &Token, name: &str| {
        Breach::new(path, token.line, format!("the relay names `vereda_crypto::{name}`"), remedy)
    };
    let mut breaches = Vec::new();
    for rest in find(tokens, &["vereda_crypto"]) {
        let Some(first) = rest.first().filter(|token| !token.in_test) else { continue };
        if !starts_with(rest.get(1..).unwrap_or_default(), &[":", ":"]) {
            breaches.push(breach(first, "* (under another name)"));
            continue;
        }
        let named = rest.get(3..).unwrap_or_default();
        match named.first() {
            Some(token) if token.text == "{" => {
                // Only what follows `{` or `,` is named from the root; deeper names follow an allowed module.
                let mut depth = 0_i32;
                let mut names_next = true;
                for token in group(named) {
                    let is_root = depth == 0 && names_next;
                    if is_root && (is_secret(token, secrets) || ["*", "self"].contains(&token.text.as_str())) {
                        breaches.push(breach(token, &token.text));
                    }
                    names_next = token.text == ",";
                    depth += i32::from(token.text == "{") - i32::from(token.text == "}");
                }
            }
            Some(token) if is_secret(token, secrets) || token.text == "*" => breaches.push(breach(token, &token.text)),
            _ => {}
        }
    }
    breaches
}

fn is_secret(token: &Token, secrets: &BTreeSet<String>) -> bool {
    secrets.contains(&token.text)
}

fn unfinished(path: &str, tokens: &[Token]) -> Vec<Breach> {
    let mut breaches = Vec::new();
    for name in ["todo", "unimplemented"] {
        for token in find(tokens, &[name, "!"]).filter_map(<[Token]>::first) {
            breaches.push(Breach::new(path, token.line, format!("`{name}!`"), "finish it, or leave it out"));
        }
    }
    for rest in find(tokens, &["#", "["]) {
        let attribute = group(rest.get(1..).unwrap_or_default());
        let ignores = attribute.first().is_some_and(|token| token.text == "ignore")
            || (attribute.first().is_some_and(|token| token.text == "cfg_attr")
                && attribute.iter().any(|token| token.text == "ignore"));
        if let Some(token) = attribute.first().filter(|_| ignores) {
            let remedy = "make the test pass every time, or delete it with what it tests";
            breaches.push(Breach::new(path, token.line, "an ignored test", remedy));
        }
    }
    breaches
}

/// Finds the functions that sleep. A method or function of ours with such a name turns a clock of the test, which is right.
fn sleeps<'a>(path: &str, tokens: &'a [Token]) -> impl Iterator<Item = &'a Token> {
    const SLEEPS: &[&str] = &["sleep", "sleep_until", "sleep_ms"];
    let all = is_test_file(path);
    let pairs = tokens.windows(2).filter_map(|pair| Some((pair.first()?, pair.get(1)?)));
    pairs
        .filter(|(before, _)| before.text != "." && before.text != "fn")
        .map(|(_, token)| token)
        .filter(move |token| (all || token.in_test) && SLEEPS.contains(&token.text.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEALED: (&str, &str) = (
        "crates/crypto/src/sealed.rs",
        "/// K.\npub struct Key32;\n/// N.\npub struct Nonce24;\n/// O.\npub fn open() {}\nfn inner() {}",
    );

    fn found(path: &str, text: &str) -> Vec<String> {
        let tree = Tree::of(&[SEALED, (path, text)]);
        check_with(&tree, &[], &[]).into_iter().map(|breach| format!("{}: {}", breach.line, breach.found)).collect()
    }

    #[test]
    fn the_relay_never_names_a_key() {
        let check = |text: &str, name: &str| {
            let expected = format!("1: the relay names `vereda_crypto::{name}`");
            assert_eq!(found("sync-server/src/store.rs", text), [expected.as_str()], "{text}");
            assert_eq!(found("crates/sync/src/relay/push.rs", text), [expected.as_str()], "{text}");
        };
        check("use vereda_crypto::sealed::open;", "sealed");
        check("use vereda_crypto::{hash, sealed::{open}};", "sealed");
        check("use vereda_crypto::open;", "open");
        check("use vereda_crypto::{Signed, Key32};", "Key32");
        check("fn f() { vereda_crypto::keys::derive(); }", "keys");
        check("use vereda_crypto::*;", "*");
        check("use vereda_crypto::{self};", "self");
        check("use vereda_crypto as c;", "* (under another name)");
    }

    #[test]
    fn the_relay_may_name_what_needs_no_key() {
        let check = |path: &str, text: &str| assert_eq!(found(path, text), [""; 0], "{text}");
        check("sync-server/src/a.rs", "use vereda_crypto::{Nonce24, hash, merkle::{leaf, verify}, signed::Signed};");
        check("sync-server/src/a.rs", "#[cfg(test)]\nmod tests { use vereda_crypto::sealed::seal; }");
        check("client-core/src/a.rs", "use vereda_crypto::sealed::open;");
        check("crates/sync/src/device.rs", "use vereda_crypto::{Key32, keys};");
    }

    #[test]
    fn unsafe_and_unfinished_code_and_ignored_tests_are_breaches() {
        let check = |text: &str, expected: &str| assert_eq!(found("bench/src/a.rs", text), [expected], "{text}");
        check("fn f() {\n unsafe { g() } }", "2: `unsafe`");
        check("fn f() { todo!() }", "1: `todo!`");
        check("fn f() { unimplemented!(\"later\") }", "1: `unimplemented!`");
        check("#[ignore]\nfn f() {}", "1: an ignored test");
        check("#[ignore = \"slow\"]\nfn f() {}", "1: an ignored test");
        check("#[cfg_attr(miri, ignore)]\nfn f() {}", "1: an ignored test");
    }

    #[test]
    fn a_test_that_sleeps_is_a_breach() {
        let text = "fn f() { std::thread::sleep(x); }";
        assert_eq!(found("client-core/tests/a.rs", text), ["1: `sleep` in a test"]);
        assert_eq!(found("tests/e2e/src/a.rs", text), ["1: `sleep` in a test"]);
        assert_eq!(found("sync-server/src/a.rs", text), [""; 0]);
        assert_eq!(found("client-core/tests/a.rs", "fn sleep() {} fn f() { rig.sleep(x); }"), [""; 0]);
        let unit = format!("#[cfg(test)]\nmod tests {{\n use tokio::time::sleep;\n {text} }}");
        assert_eq!(found("sync-server/src/a.rs", &unit), ["3: `sleep` in a test", "4: `sleep` in a test"]);
    }

    #[test]
    fn an_exception_holds_for_its_file_and_must_be_needed() {
        let listed = [Exception { path: "bench/src/a.rs", reason: "measured here" }];
        let check = |text: &str| check_with(&Tree::of(&[("bench/src/a.rs", text)]), &listed, &[]).len();
        assert_eq!(check("fn f() { unsafe { g() } }"), 0);
        assert_eq!(check("fn f() {}"), 1);
    }
}
