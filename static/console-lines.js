// The lines of an order: quantity, what it is, every choice, and a tick for each.
//
// Knows no orders and no menu of its own; what a tick does is the card's business.

import { guestOf, lineOf } from "./console-model.js";
import { icon } from "./icons.js";
import { element, say } from "./page.js";
import { text } from "./text.js";

/**
 * The lines. `root` is their element; `show(order, made, menu, tickable)` brings them up to date, `made` being the set
 * of ticked indexes; `summary()` is all of them in one sentence; `count()` how many there are. `onTick(index, made)` is
 * called by a tap.
 */
export function lineList(onTick) {
  const root = element("ul", "items");
  let lines = [];

  function show(order, made, menu, tickable) {
    const items = order.items || [];
    items.forEach((item, index) => {
      if (index >= lines.length) {
        lines.push(line((on) => onTick(index, on)));
        root.append(lines[index].root);
      }
      lines[index].show(lineOf(item, menu), guestOf(order, index), made.has(index), tickable);
    });
    lines.slice(items.length).forEach((left) => left.root.remove());
    lines = lines.slice(0, items.length);
  }

  return {
    root,
    show,
    summary: () => lines.map((one) => one.summary()).join(", "),
    count: () => lines.length,
  };
}

function line(onTick) {
  let shownAs = "";
  let made = false;
  let words = "";

  const quantity = element("span", "tick-quantity");
  const box = element("span", "tick-box", quantity, icon("check"));
  const base = element("span", "item-base");
  const choices = element("span", "choices");
  const note = element("span", "item-note");
  const whose = element("span", "item-guest");
  const button = element("button", "tick", box, element("span", "tick-what", base, choices, note, whose));
  button.type = "button";
  button.addEventListener("click", () => onTick(!made));
  const root = element("li", "item", button);

  function show(next, guest, nowMade, tickable) {
    const as = JSON.stringify([next, guest, nowMade, tickable]);
    if (as === shownAs) {
      return;
    }
    shownAs = as;
    made = nowMade;
    words = `${text.times(next.quantity)} ${next.base}`;
    quantity.textContent = next.quantity;
    quantity.classList.toggle("several", next.quantity > 1);
    base.textContent = next.base;
    choices.textContent = "";
    choices.append(...next.choices.map(chip));
    choices.hidden = next.choices.length === 0;
    say(note, next.note && text.note(next.note));
    say(whose, guest && text.guest(guest));
    button.classList.toggle("made", made);
    button.setAttribute("aria-pressed", String(made));
    button.disabled = !tickable;
  }

  return { root, show, summary: () => words };
}

/** One choice as a chip; what is not the usual stands out. */
export function chip(choice) {
  const kind = choice.usual ? "usual" : choice.many ? "extra" : "other";
  const made = element("span", `choice ${kind}`);
  if (choice.many) {
    made.append(text.extra(choice.words));
  } else if (saysItself(choice)) {
    made.append(choice.words);
  } else {
    made.append(element("span", "choice-key", choice.label), " ", choice.words);
  }
  return made;
}

// "no ice" is clear, "50%" is not.
function saysItself(choice) {
  return choice.words.toLowerCase().indexOf(choice.label.toLowerCase()) >= 0;
}
