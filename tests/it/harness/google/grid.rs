//! The cells of a sheet, and ranges in A1 notation.

use serde_json::Value;
use std::collections::BTreeMap;

/// Rows of a new sheet: what an open range such as `A:A` ends with.
const ROWS: usize = 1000;
const COLUMNS: usize = 26;
const MOST_CHARACTERS: usize = 50_000;

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Cell {
    Empty,
    Text(String),
    Number(f64),
    Formula(String),
}

#[derive(Default)]
pub(crate) struct Grid(BTreeMap<(usize, usize), Cell>);

/// Rows and columns from 0; the ends are the first that do not belong to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Range {
    pub(crate) row: usize,
    pub(crate) column: usize,
    pub(crate) row_end: usize,
    pub(crate) column_end: usize,
}

impl Cell {
    /// What becomes of a value that is written; `None` leaves the cell as it is.
    pub(crate) fn entered(value: &Value, user_entered: bool) -> Result<Option<Self>, String> {
        Ok(match value {
            Value::Null => None,
            Value::Number(number) => number.as_f64().map(Self::Number),
            Value::String(text) if text.is_empty() => Some(Self::Empty),
            Value::String(text) if text.encode_utf16().count() > MOST_CHARACTERS => {
                return Err(
                    "Your input contains more than the maximum of 50000 characters in a single cell.".to_owned()
                );
            }
            Value::String(text) if user_entered && text.starts_with('=') => Some(Self::Formula(text.clone())),
            Value::String(text) if user_entered => Some(text.parse().map_or(Self::Text(text.clone()), Self::Number)),
            Value::String(text) => Some(Self::Text(text.clone())),
            _ => return Err("Invalid values[0][0]".to_owned()),
        })
    }

    pub(crate) fn shown(&self) -> String {
        match self {
            Self::Empty => String::new(),
            Self::Text(text) | Self::Formula(text) => text.clone(),
            Self::Number(number) => number.to_string(),
        }
    }
}

impl Grid {
    pub(crate) fn set(&mut self, row: usize, column: usize, cell: Cell) {
        match cell {
            Cell::Empty => self.0.remove(&(row, column)),
            cell => self.0.insert((row, column), cell),
        };
    }

    fn get(&self, row: usize, column: usize) -> Cell {
        self.0.get(&(row, column)).cloned().unwrap_or(Cell::Empty)
    }

    pub(crate) fn rows(&self) -> Vec<Vec<Cell>> {
        self.values(Range { row: 0, column: 0, row_end: ROWS, column_end: COLUMNS }, false)
    }

    /// The lines of a range, without what is empty at the end of each and at the end of all.
    pub(crate) fn values(&self, range: Range, columns: bool) -> Vec<Vec<Cell>> {
        let (rows, across) = (range.row..range.row_end, range.column..range.column_end);
        let mut lines: Vec<Vec<Cell>> = if columns {
            across.map(|column| rows.clone().map(|row| self.get(row, column)).collect()).collect()
        } else {
            rows.map(|row| across.clone().map(|column| self.get(row, column)).collect()).collect()
        };
        for line in &mut lines {
            line.truncate(line.iter().rposition(|cell| *cell != Cell::Empty).map_or(0, |last| last + 1));
        }
        lines.truncate(lines.iter().rposition(|line| !line.is_empty()).map_or(0, |last| last + 1));
        lines
    }

    /// The table that a cell belongs to: all cells around it up to an empty row and an empty column.
    pub(crate) fn table_at(&self, row: usize, column: usize) -> Option<Range> {
        self.0.get(&(row, column))?;
        let mut table = Range { row, column, row_end: row + 1, column_end: column + 1 };
        loop {
            let touching = self.0.keys().filter(|(row, column)| {
                (table.row.saturating_sub(1)..=table.row_end).contains(row)
                    && (table.column.saturating_sub(1)..=table.column_end).contains(column)
            });
            let grown = touching.fold(table, |grown, (row, column)| Range {
                row: grown.row.min(*row),
                column: grown.column.min(*column),
                row_end: grown.row_end.max(row + 1),
                column_end: grown.column_end.max(column + 1),
            });
            if grown == table {
                return Some(table);
            }
            table = grown;
        }
    }

    /// Moves everything from this row on down.
    pub(crate) fn insert_rows(&mut self, at: usize, count: usize) {
        let cells = std::mem::take(&mut self.0).into_iter();
        self.0 =
            cells.map(|((row, column), cell)| ((if row < at { row } else { row + count }, column), cell)).collect();
    }
}

impl Range {
    /// In A1 notation, as Google's answers have it.
    pub(crate) fn shown(&self, sheet: &str) -> String {
        let plain = sheet.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        let sheet = if plain { sheet.to_owned() } else { format!("'{}'", sheet.replace('\'', "''")) };
        let (first, last) = (column_letter(self.column), column_letter(self.column_end - 1));
        format!("{sheet}!{first}{}:{last}{}", self.row + 1, self.row_end)
    }
}

/// A sheet's name and a range in it: `'Tea ''n'' Boba'!A5:I5`, `Orders!A:A`, `Orders!A1`.
pub(crate) fn parse_range(text: &str) -> Option<(String, Range)> {
    let (sheet, cells) = text.rsplit_once('!')?;
    let sheet = match sheet.strip_prefix('\'').and_then(|sheet| sheet.strip_suffix('\'')) {
        Some(quoted) if !quoted.replace("''", "").contains('\'') => quoted.replace("''", "'"),
        None if sheet.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') => sheet.to_owned(),
        _ => return None,
    };
    let (from, to) = cells.split_once(':').unwrap_or((cells, cells));
    let ((column, row), (last_column, last_row)) = (parse_cell(from)?, parse_cell(to)?);
    let row_end = last_row.map_or(ROWS, |row| row + 1);
    Some((sheet, Range { row: row.unwrap_or(0), column, row_end, column_end: last_column + 1 }))
}

/// One letter, and a row unless all are meant.
fn parse_cell(text: &str) -> Option<(usize, Option<usize>)> {
    let (letter, row) = text.split_at_checked(1)?;
    let letter = letter.bytes().next().filter(u8::is_ascii_uppercase)?;
    let row = if row.is_empty() { None } else { Some(row.parse::<usize>().ok()?.checked_sub(1)?) };
    Some((usize::from(letter - b'A'), row))
}

pub(crate) fn column_letter(column: usize) -> char {
    u8::try_from(column).map_or('?', |column| char::from(b'A' + column))
}
