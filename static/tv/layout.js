// How large the numbers of a column are, how they stand, and how many pages they take. Pure: numbers in, numbers out.
//
// A size is the height of a digit as a share of the screen's shorter side, because that is what decides from how far
// it can be read: 5 % of a 43-inch television are 2.7 cm, which is read from eight metres; few orders get far more.

/** Sizes of a column's numbers, from large to small. */
export const COLUMN_SIZES = [0.2, 0.165, 0.135, 0.102, 0.085, 0.075, 0.065, 0.06];

/** Sizes of the numbers that have just become ready. */
export const HERO_SIZES = [0.42, 0.36, 0.3, 0.25, 0.22, 0.2, 0.165, 0.135, 0.102, 0.085];

/** Orders that are few are at least this large, whatever stands in the other column. */
export const FEW = 0.102;

// Parts of the type size: from one row to the next without and with a name below the number, and between columns.
const ROW = 1.06;
const NAMED_ROW = 1.4;
const GUTTER = 0.3;

// Rows that have room to spare stand further apart, but not so far that they fall apart.
const LOOSEST = 1.25;

/**
 * Places `count` orders in a box of `width` × `height` px: at the largest of `sizes` (not above `most`) at which they
 * all fit, or at the smallest on as few pages as possible, evenly filled, and then at the largest at which such a page
 * fits.
 *
 * `side` is the screen's shorter side in px; `digits` how many the longest number has; `named` whether a name stands
 * below any number; `glyph` says how wide (`advance`) and how high (`height`) a digit is at a type size of 1 px.
 *
 * Answers `{ size, font, columns, row, perPage, pages }`: `font` and `row` (from one row to the next) in px.
 */
export function place({ count, width, height, side, digits, named, glyph, sizes, most }) {
  const fitting = sizes.filter((size) => most === undefined || size <= most);
  const shapes = (fitting.length > 0 ? fitting : sizes.slice(-1)).map((size) => {
    const font = (size * side) / glyph.height;
    const row = font * (named ? NAMED_ROW : ROW);
    const gutter = font * GUTTER;
    const columns = Math.floor((width + gutter) / (digits * glyph.advance * font + gutter));
    return { size, font, columns, row, room: columns * Math.floor(height / row) };
  });
  const smallest = shapes[shapes.length - 1];
  // In a box too small for even one, that one is shown all the same.
  const pages = Math.max(1, Math.ceil(count / Math.max(1, smallest.room)));
  const perPage = Math.max(1, Math.ceil(count / pages));
  const { size, font, columns, row } = shapes.find((shape) => shape.room >= perPage) || smallest;
  // Four in a row of three are two and two.
  const rows = Math.ceil(perPage / Math.max(1, columns));
  const loose = Math.min(row * LOOSEST, Math.max(row, height / rows));
  return { size, font, columns: Math.ceil(perPage / rows), row: loose, perPage, pages };
}

/** The part of `list` on a page, counted from 0; a page beyond the last is the last. */
export function pageOf(list, { perPage, pages }, page) {
  const start = Math.min(page, pages - 1) * perPage;
  return list.slice(start, start + perPage);
}

/** The page after this one; after the last comes the first. */
export function nextPage(page, pages) {
  return page + 1 < pages ? page + 1 : 0;
}

/** Where the picture stands in minute `minute`, in steps from its middle: a slow walk round, so that nothing burns in. */
export function drift(minute) {
  const path = [[0, 0], [1, 0], [1, 1], [0, 1], [-1, 1], [-1, 0], [-1, -1], [0, -1], [1, -1]];
  const [x, y] = path[minute % path.length];
  return { x, y };
}
