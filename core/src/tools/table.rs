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
