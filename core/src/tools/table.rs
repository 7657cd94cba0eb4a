//! Columns of text.

/// How a column is laid out.
#[derive(Clone, Copy, Debug)]
pub enum Column {
    /// As wide as its widest cell, and at least so wide.
    AtLeast(usize),
    /// Always so wide; what is longer sticks out.
    Fixed(usize),
    /// As it is.
    Last,
}

/// Rows under their heads, one blank between columns.
pub fn columns(layout: &[Column], rows: &[Vec<String>]) -> String {
    let widths = layout.iter().enumerate().map(|(at, column)| match column {
        Column::AtLeast(least) => {
            let cells = rows.iter().skip(1).filter_map(|row| row.get(at));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0).max(*least)
        }
        Column::Fixed(width) => *width,
        Column::Last => 0,
    });
    let widths: Vec<usize> = widths.collect();
    let mut text = String::new();
    for row in rows {
        let cells: Vec<String> =
            row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        text.push_str(&cells.join(" "));
        text.push('\n');
    }
    text
}

/// A word with a capital letter, as states and types are shown.
pub fn capitalized(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

/// Rows whose cells end with a tab, each column as wide as its widest cell.
pub fn tabbed(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let cells = |at: usize| rows.iter().filter_map(move |row| row.get(at));
    let widths: Vec<usize> =
        (0..columns).map(|at| cells(at).map(|cell| cell.chars().count()).max().unwrap_or(0)).collect();
    let line = |row: &Vec<String>| -> String {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}\t"));
        cells.chain(["\n".to_owned()]).collect()
    };
    rows.iter().map(line).collect()
}
