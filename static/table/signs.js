// The signs of this page that the console has none of, drawn like its icons.

import { icon } from "../icons.js";

const PATHS = {
  plus: "M12 5v14M5 12h14",
  minus: "M5 12h14",
  people: "M9 11a3.500 3.500 0 1 0 0-7 3.500 3.500 0 0 0 0 7zM2.500 20a6.500 6.500 0 0 1 13 0M16 4.500a3.500 3.500 0 0 1 0 6.500M18 14a6.500 6.500 0 0 1 3.500 6",
  share: "M12 15V3M8 6.500 12 3l4 3.500M6 11H5v10h14V11h-1",
  pencil: "M4 20l1-4L16.500 4.500a2 2 0 0 1 3 3L8 19z",
  bin: "M4 7h16M9 7V4h6v3M6.500 7l1 13h9l1-13M10 11v6M14 11v6",
  bill: "M6 3h12v18l-2.500-1.500L13 21l-2.500-1.500L8 21l-2-1.500zM9 8h6M9 12h6",
};

/** The sign of this name as an element that screen readers pass over. */
export function sign(name) {
  const svg = icon("");
  svg.firstChild.setAttribute("d", PATHS[name]);
  return svg;
}
