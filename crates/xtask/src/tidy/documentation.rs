//! Rule: every public item of the libraries is documented.
//!
//! The compiler denies `missing_docs` too; this rule also sees items that a module re-exports by another path, cannot
//! be lifted by an attribute, and speaks before anything compiles. What a macro writes only the compiler sees.

use syn::{Attribute, Expr, Fields, File, ImplItem, Item, Lit, Meta, TraitItem, Visibility};

use super::{
    breach::Breach,
    tree::{Tree, is_test_file},
};

/// Sources of the libraries that others build on.
const LIBRARIES: &[&str] = &[
    "crates/base/src/",
    "crates/crypto/src/",
    "crates/policy/src/",
    "crates/protocol/src/",
    "crates/sync/src/",
    "crates/document/src/",
    "crates/records/src/",
    "crates/interchange/src/",
    "client-core/src/",
    "sync-server/src/",
];

/// Checks the sources of the libraries.
pub(crate) fn check(tree: &Tree) -> Vec<Breach> {
    let mut breaches = Vec::new();
    for (path, text) in tree.with_ending("rs") {
        if is_test_file(path) || !LIBRARIES.iter().any(|library| path.starts_with(library)) {
            continue;
        }
        let Ok(file) = syn::parse_file(text) else { continue };
        let mut items = Undocumented { path, breaches: &mut breaches };
        items.file(&file);
    }
    breaches
}

struct Undocumented<'a> {
    path: &'a str,
    breaches: &'a mut Vec<Breach>,
}

impl Undocumented<'_> {
    fn file(&mut self, file: &File) {
        if !is_documented(&file.attrs) {
            let remedy = "open the file with `//!`: what it is, in one line";
            self.breaches.push(Breach::new(self.path, 1, "no documentation of the module", remedy));
        }
        self.items(&file.items);
    }

    fn items(&mut self, items: &[Item]) {
        for item in items {
            self.item(item);
        }
    }

    fn item(&mut self, item: &Item) {
        match item {
            Item::Const(it) => self.require(&it.vis, &it.attrs, &it.ident, "constant"),
            Item::Static(it) => self.require(&it.vis, &it.attrs, &it.ident, "static"),
            Item::Type(it) => self.require(&it.vis, &it.attrs, &it.ident, "type"),
            Item::Fn(it) => self.require(&it.vis, &it.attrs, &it.sig.ident, "function"),
            Item::Union(it) => self.require(&it.vis, &it.attrs, &it.ident, "union"),
            Item::Struct(it) => {
                self.require(&it.vis, &it.attrs, &it.ident, "struct");
                if is_public(&it.vis) {
                    self.fields(&it.fields, false);
                }
            }
            Item::Enum(it) => {
                self.require(&it.vis, &it.attrs, &it.ident, "enum");
                if is_public(&it.vis) {
                    for variant in &it.variants {
                        self.require_documented(&variant.attrs, &variant.ident, "variant");
                        self.fields(&variant.fields, true);
                    }
                }
            }
            Item::Trait(it) => {
                self.require(&it.vis, &it.attrs, &it.ident, "trait");
                if is_public(&it.vis) {
                    self.trait_items(&it.items);
                }
            }
            Item::Impl(it) if it.trait_.is_none() => self.impl_items(&it.items),
            // A module in a file of its own opens with `//!`, which `file` requires.
            Item::Mod(it) => {
                if let Some((_, items)) = it.content.as_ref().filter(|_| !is_test(&it.attrs)) {
                    if !items.is_empty() && !it.attrs.iter().any(is_doc) {
                        self.require(&it.vis, &it.attrs, &it.ident, "module");
                    }
                    self.items(items);
                }
            }
            _ => {}
        }
    }

    fn fields(&mut self, fields: &Fields, of_variant: bool) {
        let Fields::Named(fields) = fields else { return };
        for field in fields.named.iter().filter(|field| of_variant || is_public(&field.vis)) {
            if let Some(name) = &field.ident {
                self.require_documented(&field.attrs, name, "field");
            }
        }
    }

    fn trait_items(&mut self, items: &[TraitItem]) {
        for item in items {
            match item {
                TraitItem::Const(it) => self.require_documented(&it.attrs, &it.ident, "constant"),
                TraitItem::Fn(it) => self.require_documented(&it.attrs, &it.sig.ident, "method"),
                TraitItem::Type(it) => self.require_documented(&it.attrs, &it.ident, "type"),
                _ => {}
            }
        }
    }

    fn impl_items(&mut self, items: &[ImplItem]) {
        for item in items {
            match item {
                ImplItem::Const(it) => self.require(&it.vis, &it.attrs, &it.ident, "constant"),
                ImplItem::Fn(it) => self.require(&it.vis, &it.attrs, &it.sig.ident, "method"),
                ImplItem::Type(it) => self.require(&it.vis, &it.attrs, &it.ident, "type"),
                _ => {}
            }
        }
    }

    fn require(&mut self, visibility: &Visibility, attributes: &[Attribute], name: &syn::Ident, kind: &str) {
        if is_public(visibility) {
            self.require_documented(attributes, name, kind);
        }
    }

    fn require_documented(&mut self, attributes: &[Attribute], name: &syn::Ident, kind: &str) {
        if !is_documented(attributes) && !is_test(attributes) {
            let remedy = "say what it does, verb first; units, invariants, errors; or make it `pub(crate)`";
            let line = name.span().start().line;
            self.breaches.push(Breach::new(self.path, line, format!("public {kind} `{name}` is undocumented"), remedy));
        }
    }
}

fn is_public(visibility: &Visibility) -> bool {
    matches!(visibility, Visibility::Public(_))
}

fn is_doc(attribute: &Attribute) -> bool {
    attribute.path().is_ident("doc")
}

/// Tells whether a doc comment says something, or the item is hidden from the documentation.
fn is_documented(attributes: &[Attribute]) -> bool {
    attributes.iter().filter(|attribute| is_doc(attribute)).any(|attribute| match &attribute.meta {
        Meta::NameValue(pair) => match &pair.value {
            Expr::Lit(literal) => matches!(&literal.lit, Lit::Str(text) if !text.value().trim().is_empty()),
            // As in `#[doc = include_str!("page.md")]`.
            _ => true,
        },
        Meta::List(_) => true,
        Meta::Path(_) => false,
    })
}

fn is_test(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg")
            && attribute.parse_args::<syn::Ident>().is_ok_and(|argument| argument == "test")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<String> {
        let text = format!("//! A module.\n{text}");
        check(&Tree::of(&[("crates/sync/src/a.rs", &text)])).into_iter().map(|breach| breach.found).collect()
    }

    #[test]
    fn an_undocumented_public_item_is_a_breach() {
        let check = |text: &str, name: &str| {
            assert_eq!(found(text), [format!("public {name} is undocumented")], "{text}");
        };
        check("pub fn f() {}", "function `f`");
        check("pub const A: u8 = 1;", "constant `A`");
        check("pub type A = u8;", "type `A`");
        check("pub struct A;", "struct `A`");
        check("/// A.\npub struct A { pub b: u8, c: u8 }", "field `b`");
        check("/// A.\npub enum A { B }", "variant `B`");
        check("/// A.\npub enum A {\n/// B.\nB { c: u8 } }", "field `c`");
        check("/// A.\npub trait A { fn f(); }", "method `f`");
        check("struct A;\nimpl A { pub fn f() {} }", "method `f`");
        check("pub mod a { fn f() {} }", "module `a`");
        check("mod a { pub fn f() {} }", "function `f`");
        check("#[allow(missing_docs)]\npub fn f() {}", "function `f`");
        check("///\npub fn f() {}", "function `f`");
    }

    #[test]
    fn what_others_cannot_name_needs_no_documentation() {
        let check = |text: &str| assert_eq!(found(text), [""; 0], "{text}");
        check("pub(crate) fn f() {}\nfn g() {}");
        check("/// Does.\npub fn f() {}");
        check("#[doc(hidden)]\npub fn f() {}");
        check("struct A { pub b: u8 }");
        check("/// A.\npub trait A { /// F.\nfn f(); }\nimpl A for u8 { fn f() {} }");
        check("pub mod b;\npub use b::C;");
        check("#[cfg(test)]\nmod tests { pub fn f() {} }");
        check("#[doc = include_str!(\"a.md\")]\npub fn f() {}");
    }

    #[test]
    fn a_file_without_a_first_line_that_says_what_it_is_is_a_breach() {
        let breaches = check(&Tree::of(&[("crates/sync/src/a.rs", "fn f() {}")]));
        assert_eq!(breaches[0].found, "no documentation of the module");
    }

    #[test]
    fn tests_and_tools_are_not_held_to_it() {
        assert_eq!(check(&Tree::of(&[("crates/sync/src/a/tests.rs", "pub fn f() {}")])), []);
        assert_eq!(check(&Tree::of(&[("crates/sync/tests/a.rs", "pub fn f() {}")])), []);
        assert_eq!(check(&Tree::of(&[("crates/xtask/src/a.rs", "pub fn f() {}")])), []);
    }
}
