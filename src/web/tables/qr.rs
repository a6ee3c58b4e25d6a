//! A link as a QR code, drawn as SVG: black on white whatever lies behind it, with the margin that cameras need.
//!
//! Knows nothing of tables. The size on paper is the page's; the drawing has none of its own.

use qrcode_generator::qr::{Encoder, ErrorCorrection};
use std::fmt::Write as _;

/// Modules of white on each side: what ISO/IEC 18004 asks for.
const QUIET_ZONE: usize = 4;

/// A link is too long for any code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a link of {0} bytes is too long for a QR code")]
pub(super) struct TooLong(usize);

/// The code of a link. Of the smallest codes that hold it the one that stands most dirt is chosen: at least 15 % of it may be
/// unreadable (level M).
///
/// # Errors
/// [`TooLong`] above about two thousand bytes.
pub(super) fn svg(link: &str) -> Result<String, TooLong> {
    let code = Encoder::new(ErrorCorrection::Medium).encode_text(link).map_err(|_| TooLong(link.len()))?;
    let side = code.size() + 2 * QUIET_ZONE;
    let mut path = String::new();
    for (y, row) in code.modules().chunks(code.size()).enumerate() {
        let mut x = 0;
        // One rectangle for what is dark without a gap: between single modules some printers leave hairlines.
        for run in row.chunk_by(|one, next| one == next) {
            if run.first() == Some(&true) {
                // Writing into a string cannot fail.
                let _ = write!(path, "M{} {}h{w}v1h-{w}z", x + QUIET_ZONE, y + QUIET_ZONE, w = run.len());
            }
            x += run.len();
        }
    }
    Ok(format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {side} {side}\" shape-rendering=\"crispEdges\">\
         <path fill=\"#fff\" d=\"M0 0h{side}v{side}h-{side}z\"/><path fill=\"#000\" d=\"{path}\"/></svg>"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Draws what the SVG says, so many pixels a module, and true where it is dark.
    fn drawn(svg: &str, scale: usize) -> (usize, Vec<bool>) {
        let between = |from: &str, to: &str| svg.split_once(from).unwrap().1.split_once(to).unwrap().0;
        let side: usize = between("viewBox=\"0 0 ", " ").parse().unwrap();
        let (pixels, mut dark) = (side * scale, vec![false; side * scale * side * scale]);
        for rectangle in between("fill=\"#000\" d=\"M", "z\"").split("zM") {
            let numbers: Vec<usize> =
                rectangle.split(['h', 'v', ' ', '-']).filter_map(|number| number.parse().ok()).collect();
            let [x, y, width, 1, back] = numbers[..] else { panic!("{rectangle} is no rectangle") };
            assert_eq!(width, back);
            for line in y * scale..(y + 1) * scale {
                dark[line * pixels + x * scale..line * pixels + (x + width) * scale].fill(true);
            }
        }
        (pixels, dark)
    }

    /// What another program reads in the picture, and at which level.
    fn read(svg: &str) -> (String, u16) {
        let (side, dark) = drawn(svg, 4);
        let mut picture = rqrr::PreparedImage::prepare_from_bitmap(side, side, |x, y| dark[y * side + x]);
        let grids = picture.detect_grids();
        assert_eq!(grids.len(), 1);
        let (meta, text) = grids[0].decode().unwrap();
        (text, meta.ecc_level)
    }

    #[test]
    fn a_reader_reads_the_link_and_the_margin_is_white() {
        let link = "https://orders.example.com/t/7K3M5QH2XW4RTB6NAVDYC8JZPE";
        let svg = svg(link).unwrap();
        let (text, level) = read(&svg);
        assert_eq!(text, link);
        // The levels' numbers in the symbol are 1 for L, 0 for M, 3 for Q, 2 for H.
        assert_ne!(level, 1, "less than 15 % may be dirty");
        let (side, dark) = drawn(&svg, 1);
        let inside = QUIET_ZONE..side - QUIET_ZONE;
        let is_margin = |at: usize| !inside.contains(&(at % side)) || !inside.contains(&(at / side));
        assert!((0..side * side).all(|at| !dark[at] || !is_margin(at)));
        assert!(dark[QUIET_ZONE * side + QUIET_ZONE], "a finder pattern is in the corner");
    }

    #[test]
    fn what_no_code_can_hold_is_refused() {
        assert!(svg(&"x".repeat(2_331)).is_ok());
        assert_eq!(svg(&"x".repeat(2_332)), Err(TooLong(2_332)));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn every_link_is_read_as_it_was_written(link in "https?://[a-z0-9.-]{1,60}(:[0-9]{1,5})?/t/[A-Za-z0-9_-]{1,64}") {
            prop_assert_eq!(read(&svg(&link).unwrap()).0, link);
        }
    }
}
