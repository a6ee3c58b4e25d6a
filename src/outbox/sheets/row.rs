//! One order as a row of the sheet: nine cells, none of which can be a formula or longer than Google takes.

use serde::Serialize;

/// The columns, from A on.
pub(super) const HEADER: [&str; 9] =
    ["Order ID", "Date", "Customer", "Phone", "Items", "Total Qty", "Status", "Source", "Notes"];

/// Google's limit for one cell, in UTF-16 units: the strictest reading of its "characters".
const MOST_CHARACTERS: usize = 50_000;

/// One order as staff read it in a spreadsheet. The order id is its key; an empty text is an empty cell.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Row {
    /// `ORD-main-42`.
    pub order_id: String,
    /// When it was ordered, in the shop's time.
    pub date: String,
    /// The customer's name.
    pub customer: String,
    /// E.164.
    pub phone: String,
    /// The lines in words.
    pub items: String,
    /// Drinks, not lines.
    pub total_qty: u32,
    /// The status's label.
    pub status: String,
    /// The channel it came by.
    pub source: String,
    /// The order's notes.
    pub notes: String,
}

/// A cell as the API takes it. `null` leaves what is there; an empty text clears it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub(super) enum Cell {
    Text(String),
    Number(u32),
    Untouched,
}

/// The cells of one row, from A on.
pub(super) type Cells = [Cell; HEADER.len()];

impl Row {
    pub(super) fn cells(&self) -> Cells {
        let text = |text: &str| Cell::Text(cut(text));
        [
            text(&self.order_id),
            text(&self.date),
            text(&self.customer),
            text(&self.phone),
            text(&self.items),
            Cell::Number(self.total_qty),
            text(&self.status),
            text(&self.source),
            text(&self.notes),
        ]
    }

    /// What takes the customer out of a row and leaves the rest of it as it is. What was noted about a drink stands among
    /// the items.
    pub(super) fn blanks(&self) -> Cells {
        HEADER.map(|title| match title {
            "Customer" | "Phone" | "Notes" => Cell::Text(String::new()),
            "Items" => Cell::Text(cut(&self.items)),
            _ => Cell::Untouched,
        })
    }
}

pub(super) fn header() -> Cells {
    HEADER.map(|title| Cell::Text(title.to_owned()))
}

/// The text, or as much of it as fits into a cell and an ellipsis.
fn cut(text: &str) -> String {
    // Bytes are never fewer than UTF-16 units, and cheaper to count.
    if text.len() <= MOST_CHARACTERS || text.encode_utf16().count() <= MOST_CHARACTERS {
        return text.to_owned();
    }
    let mut left = MOST_CHARACTERS - 1;
    let fits = |character: &char| match left.checked_sub(character.len_utf16()) {
        Some(rest) => {
            left = rest;
            true
        }
        None => false,
    };
    let mut kept: String = text.chars().take_while(fits).collect();
    kept.push('…');
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_nine_cells_of_text_and_one_number_in_it() {
        let row = Row { order_id: "ORD-main-1".into(), phone: "+15551234567".into(), total_qty: 2, ..Row::default() };
        let json = serde_json::to_string(&row.cells()).unwrap();
        insta::assert_snapshot!(json, @r#"["ORD-main-1","","","+15551234567","",2,"","",""]"#);
    }

    #[test]
    fn erasing_touches_customer_phone_items_and_notes_only() {
        let row = Row { items: "2 x taro milk tea".into(), customer: "Ada".into(), ..Row::default() };
        let json = serde_json::to_string(&row.blanks()).unwrap();
        insta::assert_snapshot!(json, @r#"[null,null,"","","2 x taro milk tea",null,null,null,""]"#);
    }

    #[test]
    fn only_texts_that_are_too_long_are_cut() {
        let units = |text: &str| text.encode_utf16().count();
        let fits = "ü".repeat(MOST_CHARACTERS);
        assert_eq!(cut(&fits), fits);
        for long in ["a".repeat(MOST_CHARACTERS + 1), "🧋".repeat(MOST_CHARACTERS), format!("{fits}é")] {
            let cut = cut(&long);
            assert!((MOST_CHARACTERS - 1..=MOST_CHARACTERS).contains(&units(&cut)), "{}", units(&cut));
            assert!(cut.ends_with('…') && long.starts_with(cut.trim_end_matches('…')));
        }
    }
}
