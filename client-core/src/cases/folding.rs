//! Text as people look for it: whatever the case of its letters, their accents, and how they are drawn out.

use unicode_normalization::UnicodeNormalization;

/// Folds a text so that what people type without accents is found in what was written with them: letters in lower case and
/// in their plain form, without accents, without the vowel signs and the tatweel of Arabic, the points of Hebrew.
pub(super) fn fold(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    let plain = text.nfkd().filter(|letter| !is_mark(*letter));
    // Through capitals, for letters of which one has several small forms, or a small one has several.
    let large = plain.flat_map(char::to_lowercase).flat_map(char::to_uppercase);
    let small = large.flat_map(char::to_lowercase).filter(|letter| !is_mark(*letter));
    let mut folded = String::with_capacity(text.len());
    for letter in small {
        match stroked(letter) {
            Some(plain) => folded.push_str(plain),
            None => folded.push(letter),
        }
    }
    folded.nfc().collect()
}

/// Marks that nobody types who looks for something: accents, and what Arabic and Hebrew leave out. In other scripts marks are
/// letters.
const fn is_mark(letter: char) -> bool {
    matches!(
        letter,
        // Latin, Greek, Cyrillic.
        '\u{300}'..='\u{36f}' | '\u{1ab0}'..='\u{1aff}' | '\u{1dc0}'..='\u{1dff}' | '\u{20d0}'..='\u{20ff}'
        // Hebrew.
        | '\u{591}'..='\u{5bd}' | '\u{5bf}' | '\u{5c1}' | '\u{5c2}' | '\u{5c4}' | '\u{5c5}' | '\u{5c7}'
        // Arabic: honorifics, tatweel, vowel signs and hamza, small signs above and below.
        | '\u{610}'..='\u{61a}' | '\u{640}' | '\u{64b}'..='\u{65f}' | '\u{670}' | '\u{6d6}'..='\u{6dc}'
        | '\u{6df}'..='\u{6e8}' | '\u{6ea}'..='\u{6ed}' | '\u{898}'..='\u{89f}' | '\u{8ca}'..='\u{8e1}' | '\u{8e3}'..='\u{8ff}'
    )
}

/// The plain form of letters that Unicode does not take apart.
const fn stroked(letter: char) -> Option<&'static str> {
    Some(match letter {
        '\u{e6}' => "ae",
        '\u{153}' => "oe",
        '\u{f8}' => "o",
        '\u{f0}' | '\u{111}' => "d",
        '\u{127}' => "h",
        '\u{142}' => "l",
        '\u{fe}' => "th",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_typed_plainly_is_what_was_written_with_accents() {
        let check = |written: &str, typed: &str| assert_eq!(fold(written), typed, "{written}");
        check("Mu\u{f1}oz", "munoz");
        check("MUN\u{303}OZ", "munoz");
        check("\u{141}\u{f3}d\u{17a}", "lodz");
        check("S\u{f8}ren \u{c6}gir", "soren aegir");
        check("Stra\u{df}e", "strasse");
        check("\u{130}stanbul", "istanbul");
        check("D\u{131}yarbak\u{131}r", "diyarbakir");
        check("Nguy\u{1ec5}n \u{110}\u{1ee9}c", "nguyen duc");
        check("\u{39d}\u{3af}\u{3ba}\u{3bf}\u{3c2}", "\u{3bd}\u{3b9}\u{3ba}\u{3bf}\u{3c3}");
        check("\u{ff21}\u{ff4d}ina", "amina");
    }

    #[test]
    fn arabic_is_found_without_vowel_signs_tatweel_and_hamza() {
        let plain = "\u{645}\u{62d}\u{645}\u{62f}";
        assert_eq!(fold("\u{645}\u{64f}\u{62d}\u{64e}\u{645}\u{651}\u{64e}\u{62f}"), plain);
        assert_eq!(fold("\u{645}\u{640}\u{640}\u{62d}\u{645}\u{62f}"), plain);
        assert_eq!(fold("\u{623}\u{62d}\u{645}\u{62f}"), "\u{627}\u{62d}\u{645}\u{62f}");
        assert_eq!(fold("\u{622}\u{645}\u{627}\u{644}"), "\u{627}\u{645}\u{627}\u{644}");
    }

    #[test]
    fn signs_that_are_letters_of_their_script_stay() {
        for text in
            ["\u{915}\u{93f}\u{930}\u{923}", "\u{e01}\u{e34}\u{e19}", "\u{ae40}\u{bbfc}", "\u{1019}\u{102d}\u{102f}"]
        {
            assert_eq!(fold(text), text);
        }
    }

    #[test]
    fn folding_once_is_enough() {
        for text in ["Mu\u{f1}oz", "\u{130}\u{df}\u{17f}\u{149}", "\u{fb03}\u{1e9e}", "\u{623}\u{64e}"] {
            assert_eq!(fold(&fold(text)), fold(text));
        }
    }
}
