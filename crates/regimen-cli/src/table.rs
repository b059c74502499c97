//! Text in columns.

/// Rows of cells, with a header.
pub struct Table {
    rows: Vec<Vec<String>>,
    right: Vec<bool>,
}

impl Table {
    /// A table with these columns; a name that begins with `>` is set to the right.
    pub fn new(header: &[&str]) -> Self {
        let right = header.iter().map(|h| h.starts_with('>')).collect();
        let names = header.iter().map(|h| h.trim_start_matches('>').to_owned()).collect();
        Self { rows: vec![names], right }
    }

    /// Adds a row.
    pub fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// Leaves out the columns that have nothing but `-` in every row.
    #[must_use]
    pub fn without_blanks(mut self) -> Self {
        let says = |c: usize| self.rows.iter().skip(1).any(|row| row.get(c).is_some_and(|cell| cell != "-"));
        let keep: Vec<bool> = (0..self.right.len()).map(says).collect();
        for row in &mut self.rows {
            let mut column = keep.iter();
            row.retain(|_| column.next() == Some(&true));
        }
        self.right = self.right.iter().zip(&keep).filter(|(_, k)| **k).map(|(r, _)| *r).collect();
        self
    }

    /// Whether there is nothing below the header.
    pub fn is_empty(&self) -> bool {
        self.rows.len() == 1
    }

    /// One line a row, two spaces between columns, nothing behind the last.
    pub fn render(&self) -> String {
        let width = |c: usize| {
            self.rows.iter().filter_map(|r| r.get(c)).map(|t| t.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..self.right.len()).map(width).collect();
        let mut out = String::new();
        for row in &self.rows {
            let mut line = String::new();
            for ((cell, &width), &right) in row.iter().zip(&widths).zip(&self.right) {
                let pad = " ".repeat(width - cell.chars().count());
                let (before, after) = if right { (pad.as_str(), "") } else { ("", pad.as_str()) };
                line.extend([before, cell, after, "  "]);
            }
            out.push_str(line.trim_end());
            out.push('\n');
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let mut table = Table::new(&["name", ">n"]);
        table.row(["a".to_owned(), "12".to_owned()]);
        table.row(["löng".to_owned(), "3".to_owned()]);
        assert_eq!(table.render(), "name   n\na     12\nlöng   3\n");
        assert!(!table.is_empty() && Table::new(&["x"]).is_empty());
    }

    #[test]
    fn columns_that_say_nothing_are_left_out() {
        let mut table = Table::new(&["name", ">loss", ">right"]);
        table.row(["a".to_owned(), "-".to_owned(), "1".to_owned()]);
        table.row(["b".to_owned(), "-".to_owned(), "-".to_owned()]);
        assert_eq!(table.without_blanks().render(), "name  right\na         1\nb         -\n");
    }
}
