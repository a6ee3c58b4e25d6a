// A number with a button on either side.

import { element } from "../page.js";
import { sign } from "./signs.js";

/**
 * `title` is what is counted, `names` what the buttons are called (`fewer`, `another`), `onStep(quantity)` gets the new
 * number. `set(quantity, most)` shows one; at zero the caller takes it away, so none goes below `least`.
 */
export function stepper(title, names, onStep, least = 1) {
  let now = least;
  let most = Infinity;
  const button = (name, label, step) => {
    const made = element("button", "icon-button", sign(name));
    made.type = "button";
    made.setAttribute("aria-label", label);
    made.addEventListener("click", () => {
      const next = now + step;
      if (made.getAttribute("aria-disabled") !== "true" && next >= least && next <= most) {
        onStep(next);
      }
    });
    return made;
  };
  const fewer = button("minus", names.fewer, -1);
  const another = button("plus", names.another, 1);
  const shown = element("output", "stepper-now", now);
  const root = element("div", "stepper", fewer, shown, another);
  root.setAttribute("role", "group");
  root.setAttribute("aria-label", title);
  return {
    root,
    set: (quantity, upTo, isOpen = true) => {
      now = quantity;
      most = upTo;
      if (shown.textContent !== String(quantity)) {
        shown.textContent = String(quantity);
      }
      fewer.setAttribute("aria-disabled", String(!isOpen || quantity <= least));
      another.setAttribute("aria-disabled", String(!isOpen || quantity >= most));
    },
  };
}
