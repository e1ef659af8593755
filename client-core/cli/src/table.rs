//! Aligned tables for a terminal of 80 columns.

/// Widest line, in columns, unless the terminal says otherwise.
const DEFAULT_COLUMNS: usize = 80;

/// Rows under headings, aligned; the last column is cut with `…` where a line would not fit.
pub(crate) struct Table {
    headings: Vec<&'static str>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// Begins a table.
    pub(crate) fn new(headings: &[&'static str]) -> Self {
        Self { headings: headings.to_vec(), rows: Vec::new() }
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
            let mut line = String::new();
            for (index, (cell, width)) in row.iter().zip(&widths).enumerate() {
                let cell = cut(cell, *width);
                let padding = if index + 1 == row.len() { 0 } else { width + 2 - width_of(&cell) };
                line.push_str(&cell);
                line.extend(std::iter::repeat_n(' ', padding));
            }
            out.push_str(line.trim_end());
            out.push('\n');
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

/// Columns of the terminal, as `COLUMNS` says.
fn columns() -> usize {
    let told = std::env::var("COLUMNS").ok().and_then(|text| text.parse().ok());
    told.filter(|columns| *columns >= 40).unwrap_or(DEFAULT_COLUMNS)
}

/// Puts a text on one line, without what could move a terminal's cursor.
pub(crate) fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
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
}
