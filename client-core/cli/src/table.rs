//! Aligned tables for a terminal of 80 columns.

/// Widest line, in columns, unless the terminal says otherwise.
const DEFAULT_COLUMNS: usize = 80;

/// Least width of the last column of a table that folds, before other columns give way too.
const LEAST_LAST: usize = 24;
/// Follows a cell in a right-to-left script, so that what stands to its right stays there on terminals that reorder.
const LEFT_TO_RIGHT_MARK: char = '\u{200e}';

/// Rows under headings, aligned; what would not fit is cut with `…`, or goes on in the next line.
pub(crate) struct Table {
    headings: Vec<&'static str>,
    rows: Vec<Vec<String>>,
    folds: bool,
}

impl Table {
    /// Begins a table that cuts what does not fit: for lists.
    pub(crate) fn new(headings: &[&'static str]) -> Self {
        Self { headings: headings.to_vec(), rows: Vec::new(), folds: false }
    }

    /// Begins a table that shows everything, in several lines where one does not do: for answers.
    pub(crate) fn folding(headings: &[&'static str]) -> Self {
        Self { folds: true, ..Self::new(headings) }
    }

    /// Adds a row; line breaks become spaces.
    pub(crate) fn row<const N: usize>(&mut self, cells: [String; N]) {
        self.rows.push(cells.into_iter().map(|cell| one_line(&cell)).collect());
    }

    /// Tells whether there is no row.
    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Writes the table as text, each line ended.
    pub(crate) fn render(&self) -> String {
        let columns = columns();
        let widths = self.fit(columns);
        let mut out = String::new();
        let headings: Vec<String> = self.headings.iter().map(|heading| (*heading).to_owned()).collect();
        for row in std::iter::once(&headings).chain(&self.rows) {
            let cells: Vec<Vec<String>> = row
                .iter()
                .zip(&widths)
                .map(|(cell, width)| if self.folds { fold(cell, *width) } else { vec![cut(cell, *width)] })
                .collect();
            for number in 0..cells.iter().map(Vec::len).max().unwrap_or(0) {
                let line = cells.iter().map(|lines| lines.get(number).map_or("", String::as_str));
                out.push_str(join(line.zip(&widths)).trim_end());
                out.push('\n');
            }
        }
        out
    }

    /// Shares the columns out: each its widest cell; where that is too much, the widest give way.
    fn fit(&self, columns: usize) -> Vec<usize> {
        let mut widths: Vec<usize> = self.headings.iter().map(|heading| width_of(heading)).collect();
        for row in &self.rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(width_of(cell));
            }
        }
        let gaps = 2 * widths.len().saturating_sub(1);
        let whole = widths.iter().sum::<usize>() + gaps;
        if let Some(last) = widths.last_mut().filter(|_| self.folds && whole > columns) {
            *last = last.saturating_sub(whole - columns).max(LEAST_LAST.min(*last));
        }
        while widths.iter().sum::<usize>() + gaps > columns {
            let Some(widest) = widths.iter_mut().max_by_key(|width| **width) else { break };
            if *widest <= 8 {
                break;
            }
            *widest -= 1;
        }
        widths
    }
}

/// Puts cells beside one another, each as wide as its column.
fn join<'a>(cells: impl Iterator<Item = (&'a str, &'a usize)>) -> String {
    let mut line = String::new();
    for (cell, width) in cells {
        line.push_str(cell);
        if cell.chars().any(is_right_to_left) {
            line.push(LEFT_TO_RIGHT_MARK);
        }
        line.extend(std::iter::repeat_n(' ', (width + 2).saturating_sub(width_of(cell))));
    }
    line
}

fn is_right_to_left(c: char) -> bool {
    matches!(u32::from(c), 0x0590..=0x08ff | 0xfb1d..=0xfdff | 0xfe70..=0xfefc)
}

/// Breaks a text into lines of a width: between words where it can, within a word where it must.
fn fold(text: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in text.split(' ') {
        if !line.is_empty() && width_of(&line) + 1 + width_of(word) > width {
            lines.push(std::mem::take(&mut line));
        } else if !line.is_empty() {
            line.push(' ');
        }
        for c in word.chars() {
            if width_of(&line) + width_of_char(c) > width && !line.is_empty() {
                lines.push(std::mem::take(&mut line));
            }
            line.push(c);
        }
    }
    lines.push(line);
    lines
}

/// Breaks a sentence into lines of a width, between words only: what is longer, such as a link, stays whole for copying.
pub(crate) fn fold_words(text: &str, width: usize) -> String {
    let mut out = String::new();
    let mut taken = 0;
    for (index, word) in text.split(' ').enumerate() {
        let fits = taken + 1 + width_of(word) <= width;
        match index {
            0 => {}
            _ if fits => out.push(' '),
            _ => out.push('\n'),
        }
        taken = if index > 0 && fits { taken + 1 + width_of(word) } else { width_of(word) };
        out.push_str(word);
    }
    out
}

/// Columns of the terminal, as `COLUMNS` says.
pub(crate) fn columns() -> usize {
    let told = std::env::var("COLUMNS").ok().and_then(|text| text.parse().ok());
    told.filter(|columns| *columns >= 40).unwrap_or(DEFAULT_COLUMNS)
}

/// Puts a text on one line, without what could move a terminal's cursor.
pub(crate) fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() || is_reordering(c) { ' ' } else { c }).collect()
}

/// Breaks of lines, and what forces a direction upon the text after it.
const fn is_reordering(c: char) -> bool {
    matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Cuts a text to a width, marking the cut.
fn cut(text: &str, width: usize) -> String {
    if width_of(text) <= width {
        return text.to_owned();
    }
    let mut out = String::new();
    for c in text.chars() {
        if width_of(&out) + width_of_char(c) + 1 > width {
            break;
        }
        out.push(c);
    }
    out.push('…');
    out
}

/// Columns that a text takes on a terminal.
fn width_of(text: &str) -> usize {
    text.chars().map(width_of_char).sum()
}

/// Combining marks take no column, East Asian wide characters two; close enough for aligning names.
fn width_of_char(c: char) -> usize {
    match u32::from(c) {
        0x0300..=0x036f
        | 0x0610..=0x061a
        | 0x064b..=0x065f
        | 0x0670
        | 0x200b..=0x200f
        | 0x202a..=0x202e
        | 0x2066..=0x2069 => 0,
        0x1100..=0x115f
        | 0x2e80..=0xa4cf
        | 0xac00..=0xd7a3
        | 0xf900..=0xfaff
        | 0xfe30..=0xfe6f
        | 0xff00..=0xff60
        | 0x1f300..=0x1faff
        | 0x20000..=0x3fffd => 2,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_align_over_scripts_and_nothing_passes_80_columns() {
        let mut table = Table::new(&["ID", "NAME", "STATE"]);
        table.row(["5f0c".into(), "Amina".into(), "saved here".into()]);
        table.row(["77aa".into(), "أمِينَة".into(), "at the relay".into()]);
        table.row(["9b01".into(), "x".repeat(200), "sent\nnow\x1b[2J".into()]);
        let text = table.render();
        let starts: Vec<usize> = text
            .lines()
            .zip(["STATE", "saved", "at the", "sent"])
            .map(|(line, word)| width_of(&line[..line.find(word).unwrap()]))
            .collect();
        assert!(starts.windows(2).all(|pair| pair[0] == pair[1]), "{starts:?}\n{text}");
        assert!(text.lines().all(|line| width_of(line) <= 80), "{text}");
        assert!(!text.contains('\x1b'));
    }

    #[test]
    fn a_folding_table_loses_no_word_and_keeps_the_first_columns_whole() {
        let note: Vec<String> = (0..60).map(|number| format!("word{number}")).collect();
        let mut table = Table::folding(&["FIELD", "ANSWER"]);
        table.row(["family_members[3fa1]/member_relation".into(), note.join(" ")]);
        table.row(["b".into(), "x".repeat(100)]);
        let text = table.render();
        assert!(note.iter().all(|word| text.contains(word.as_str())), "{text}");
        assert!(text.contains("family_members[3fa1]/member_relation  word0"), "{text}");
        assert_eq!(text.matches('x').count(), 100);
        assert!(text.lines().all(|line| width_of(line) <= 80), "{text}");
    }

    #[test]
    fn sentences_break_between_words_and_links_stay_whole() {
        let link = "x".repeat(30);
        assert_eq!(fold_words(&format!("pass it on: {link} now"), 20), format!("pass it on:\n{link}\nnow"));
        assert_eq!(fold_words("two words", 20), "two words");
    }

    #[test]
    fn right_to_left_names_leave_the_columns_after_them_in_place() {
        let mut table = Table::new(&["NAME", "CHANGED"]);
        table.row(["سمير".into(), "2026-11-24".into()]);
        table.row(["a\u{202e}b".into(), "2026-11-24".into()]);
        let text = table.render();
        assert!(text.contains("سمير\u{200e}  "), "{text:?}");
        assert!(text.contains("a b"), "{text:?}");
    }
}
