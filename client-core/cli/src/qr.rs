//! QR codes for a terminal: two modules a character, light on dark or dark on light alike.

use qrcode::{Color, EcLevel, QrCode};

/// Modules of white around the code. The standard asks for four; two are read by every phone tried and keep an invite
/// within 80 columns.
const QUIET: usize = 2;

/// Draws a text as a QR code of half-block characters, or `None` if it is too long for one.
pub(crate) fn draw(text: &str) -> Option<String> {
    let code = QrCode::with_error_correction_level(text, EcLevel::L).ok()?;
    let width = code.width();
    let is_light = |x: usize, y: usize| {
        let inside = (QUIET..QUIET + width).contains(&x) && (QUIET..QUIET + width).contains(&y);
        !inside || code[(x - QUIET, y - QUIET)] == Color::Light
    };
    let side = width + 2 * QUIET;
    let mut out = String::new();
    for y in (0..side).step_by(2) {
        // White modules are drawn in an explicit white on black, so that the terminal's own colours do not matter.
        out.push_str("\x1b[97;40m");
        for x in 0..side {
            let lower = y + 1 >= side || is_light(x, y + 1);
            out.push(match (is_light(x, y), lower) {
                (true, true) => '█',
                (true, false) => '▀',
                (false, true) => '▄',
                (false, false) => ' ',
            });
        }
        out.push_str("\x1b[0m\n");
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_text_gives_a_square_of_half_blocks() {
        let drawn = draw("vereda").unwrap();
        let lines: Vec<&str> = drawn.lines().collect();
        assert_eq!(lines.len(), (21 + 2 * QUIET).div_ceil(2));
        for line in lines {
            let cells = line.strip_prefix("\x1b[97;40m").unwrap().strip_suffix("\x1b[0m").unwrap();
            assert_eq!(cells.chars().count(), 21 + 2 * QUIET);
        }
    }

    #[test]
    fn a_text_too_long_for_any_code_gives_none() {
        assert!(draw(&"x".repeat(8_000)).is_none());
    }
}
