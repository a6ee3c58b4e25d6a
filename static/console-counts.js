// The strip: what is still to make, all day, by what it is and by what goes into it.

import { element } from "./page.js";
import { text } from "./text.js";

/** Shows `{ drinks, groups }` (`allDay` of the model) in `root`; leaves it alone when nothing changes. */
export function countStrip(root) {
  let shownAs = "";

  return {
    show: (counts) => {
      const as = JSON.stringify(counts);
      if (as === shownAs) {
        return;
      }
      shownAs = as;
      root.textContent = "";
      root.append(
        element("p", "strip-all", element("b", "strip-total", counts.drinks), " ", text.toMakeAllDay(counts.drinks)),
        ...counts.groups.map(group),
      );
    },
  };
}

function group({ label, options }) {
  const list = element(
    "ul",
    "strip-group",
    ...options.map(({ name, count }) => element("li", "strip-count", element("b", "", count), " ", name)),
  );
  list.setAttribute("aria-label", label);
  return list;
}
