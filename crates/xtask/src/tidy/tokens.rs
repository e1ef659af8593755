//! Rust sources as a flat list of tokens: comments and the insides of strings cannot be mistaken for code.

use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// One word or sign of a source file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Token {
    /// The identifier, the sign, or the empty text for a literal.
    pub(crate) text: String,
    /// Line, from 1.
    pub(crate) line: usize,
    /// Whether it stands in a `#[cfg(test)]` module.
    pub(crate) in_test: bool,
}

/// Splits a source file into tokens; `None` where it is not Rust.
pub(crate) fn tokens(text: &str) -> Option<Vec<Token>> {
    let stream: TokenStream = text.parse().ok()?;
    let mut tokens = Vec::new();
    flatten(stream, &mut tokens);
    mark_tests(&mut tokens);
    Some(tokens)
}

/// Finds every place where these texts follow one another, and returns the rest of the file from there.
pub(crate) fn find<'a>(tokens: &'a [Token], pattern: &'a [&str]) -> impl Iterator<Item = &'a [Token]> {
    (0..tokens.len()).filter_map(move |at| tokens.get(at..)).filter(move |rest| starts_with(rest, pattern))
}

/// Tells whether these texts come first.
pub(crate) fn starts_with(tokens: &[Token], pattern: &[&str]) -> bool {
    tokens.len() >= pattern.len() && tokens.iter().zip(pattern).all(|(token, &text)| token.text == text)
}

/// Returns what stands between the opening delimiter that comes first and the one that closes it.
pub(crate) fn group(tokens: &[Token]) -> &[Token] {
    let mut depth = 0_usize;
    for (at, token) in tokens.iter().enumerate() {
        match token.text.as_str() {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" | "}" => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth == 0 {
            return tokens.get(1..at).unwrap_or_default();
        }
    }
    tokens.get(1..).unwrap_or_default()
}

fn flatten(stream: TokenStream, tokens: &mut Vec<Token>) {
    for tree in stream {
        let line = tree.span().start().line;
        match tree {
            TokenTree::Ident(ident) => push(tokens, ident.to_string().trim_start_matches("r#"), line),
            TokenTree::Punct(punct) => push(tokens, punct.as_char().encode_utf8(&mut [0; 4]), line),
            TokenTree::Literal(_) => push(tokens, "", line),
            TokenTree::Group(group) => {
                let (open, close) = match group.delimiter() {
                    Delimiter::Parenthesis => ("(", ")"),
                    Delimiter::Brace => ("{", "}"),
                    Delimiter::Bracket => ("[", "]"),
                    Delimiter::None => ("", ""),
                };
                push(tokens, open, line);
                flatten(group.stream(), tokens);
                push(tokens, close, group.span_close().start().line);
            }
        }
    }
}

fn push(tokens: &mut Vec<Token>, text: &str, line: usize) {
    tokens.push(Token { text: text.to_owned(), line, in_test: false });
}

fn mark_tests(tokens: &mut [Token]) {
    const MARK: &[&str] = &["#", "[", "cfg", "(", "test", ")", "]"];
    let starts: Vec<usize> =
        (0..tokens.len()).filter(|&at| tokens.get(at..).is_some_and(|rest| starts_with(rest, MARK))).collect();
    for start in starts {
        let Some(rest) = tokens.get_mut(start..) else { continue };
        // The item ends with the first group in braces, or with a semicolon before one.
        let body = rest.iter().position(|token| token.text == "{" || token.text == ";").unwrap_or(0);
        let length = body + rest.get(body..).map_or(0, |rest| group(rest).len()) + 2;
        for token in rest.iter_mut().take(length) {
            token.in_test = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_strings_are_not_code() {
        let tokens = tokens("// unsafe\n/// unsafe\nfn f() { let _ = \"unsafe\"; }").unwrap();
        assert_eq!(find(&tokens, &["unsafe"]).count(), 0);
    }

    #[test]
    fn a_pattern_is_found_with_its_line() {
        let tokens = tokens("fn f() {\n    std::thread::sleep(x);\n}").unwrap();
        let lines: Vec<_> = find(&tokens, &["thread", ":", ":", "sleep"]).map(|rest| rest[0].line).collect();
        assert_eq!(lines, [2]);
    }

    #[test]
    fn only_the_test_module_is_test_code() {
        let tokens = tokens("fn a() {}\n#[cfg(test)]\nmod tests { fn b() { c(); } }\nfn d() {}").unwrap();
        let check = |name: &str, expected: bool| {
            assert_eq!(tokens.iter().find(|token| token.text == name).unwrap().in_test, expected, "{name}");
        };
        check("a", false);
        check("b", true);
        check("c", true);
        check("d", false);
    }

    #[test]
    fn a_group_ends_where_its_delimiter_closes() {
        let tokens = tokens("{ a { b } c } d").unwrap();
        let texts: Vec<_> = group(&tokens).iter().map(|token| token.text.as_str()).collect();
        assert_eq!(texts, ["a", "{", "b", "}", "c"]);
    }

    #[test]
    fn what_is_not_rust_is_said_to_be_none() {
        assert_eq!(tokens("fn f( {"), None);
    }
}
