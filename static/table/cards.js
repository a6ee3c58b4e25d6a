// The menu: one card a drink.

import { arrange, byId, element, money, say } from "../page.js";
import { baseOf, isOut, startingAt } from "./drink.js";
import { cup } from "./pictures.js";
import { words } from "./words.js";

/** Shows the menu; returns how to tell it what is sold out. `onChosen(base)` is called with the drink that was tapped. */
export function showMenu(menu, onChosen) {
  const symbol = menu.currency.symbol;
  const base = baseOf(menu);
  const cards = base.options.map((option, index) => {
    const { cents, canCostMore } = startingAt(menu, option.name);
    const price = money(cents / 100, symbol);
    const gone = element("span", "drink-gone", words.soldOut);
    const shown = picture(option, index);
    const root = element(
      "button",
      "drink",
      shown,
      element("span", "drink-name", option.name),
      element("span", "drink-price", canCostMore ? words.from(price) : price),
      gone,
    );
    root.type = "button";
    root.dataset.drink = option.name;
    root.addEventListener("click", () => root.getAttribute("aria-disabled") !== "true" && onChosen(option.name));
    return { option, root, gone };
  });
  arrange(byId("drinks"), cards.map(({ root }) => element("li", null, root)));
  return (soldOut, isOpen) => {
    cards.forEach(({ option, root, gone }) => {
      const isGone = isOut(base, option.name, soldOut);
      say(gone, isGone ? words.soldOut : "");
      root.classList.toggle("gone", isGone);
      root.setAttribute("aria-disabled", String(isGone || !isOpen));
    });
  };
}

/** A drink's photo, or where there is none or it does not come, a drawn cup. */
export function picture(option, index) {
  const frame = element("span", "drink-picture", cup(index));
  frame.setAttribute("aria-hidden", "true");
  if (typeof option.photo === "string" && option.photo.startsWith("/")) {
    const photo = element("img", "drink-photo");
    photo.alt = "";
    photo.loading = "lazy";
    photo.addEventListener("error", () => photo.remove());
    photo.src = option.photo;
    frame.append(photo);
  }
  return frame;
}
