// The cart's lines as they are shown: by whom they are from, oneself first, each with what can be done to it.
//
// Elements stay as long as their line, so that a change by somebody else costs nobody the focus.

import { arrange, element, money, say } from "../page.js";
import { baseOf, choicesIn, goneFrom, inWords } from "./drink.js";
import { sign } from "./signs.js";
import { stepper } from "./stepper.js";
import { words } from "./words.js";

/** Lines in `list`. `on.step(line, quantity)`, `on.edit(line)`, `on.remove(line)` are called with lines as shown. */
export function cartLines(list, menu, on) {
  const symbol = menu.currency.symbol;
  const base = baseOf(menu).name;
  const groups = new Map();
  const rows = new Map();

  function group(share, you) {
    if (!groups.has(share.id)) {
      const dot = element("span", "dot");
      dot.setAttribute("aria-hidden", "true");
      const name = element("bdi", "");
      const sum = element("span", "share-sum");
      const own = element("ul", "share-lines");
      const heading = element("h3", "share-head", dot, name, sum);
      groups.set(share.id, { dot, name, sum, own, root: element("li", "share", heading, own) });
    }
    const made = groups.get(share.id);
    const called = share.member === null ? words.someone : share.member.name;
    shade(made.dot, share.member);
    made.dot.textContent = initial(called);
    made.name.textContent = share.id === you ? words.mine(called) : called;
    made.sum.textContent = money(share.cents / 100, symbol);
    return made;
  }

  function row(first) {
    const now = { line: first };
    const name = element("span", "line-name");
    const price = element("span", "line-price");
    const choices = element("p", "line-choices");
    const note = element("p", "line-note");
    const mark = element("p", "line-mark");
    const drink = first[base];
    const names = { fewer: words.fewerOf(drink), another: words.anotherOf(drink) };
    const amount = stepper(`${words.quantity}: ${drink}`, names, (quantity) => on.step(now.line, quantity));
    const edit = tool(sign("pencil"), words.edit(drink), () => on.edit(now.line));
    const remove = tool(sign("bin"), words.remove(drink), () => on.remove(now.line));
    const tools = element("div", "line-tools", amount.root, edit, remove);
    const root = element("li", "line", element("div", "line-what", name, price), choices, note, mark, tools);
    root.dataset.line = first.public_id;

    function update(line, { soldOut, isOpen, most }) {
      now.line = line;
      const drinkNow = choicesIn(menu, line);
      name.textContent = line.qty > 1 ? `${words.times(line.qty)} ${line[base]}` : line[base];
      price.textContent = money(line.subtotal, symbol);
      say(choices, inWords(menu, drinkNow).join(" · "));
      say(note, line.note ? words.noteOf(line.note) : "");
      const gone = line.state === "pending" ? goneFrom(menu, drinkNow, soldOut) : [];
      const waits = line.isWaiting && !on.isLive() ? words.waiting : line.isHeld ? words.held : "";
      say(mark, gone.length > 0 ? words.soldOutLine(gone[0]) : waits);
      root.classList.toggle("gone", gone.length > 0);
      root.classList.toggle("leaving", Boolean(line.isLeaving));
      root.classList.toggle("waiting", Boolean(line.isWaiting));
      tools.hidden = !isOpen || Boolean(line.isLeaving);
      amount.set(line.qty, line.qty + most, !line.isGhost);
      edit.hidden = Boolean(line.isGhost);
      remove.hidden = Boolean(line.isGhost && line.wasSent);
    }

    return { root, update };
  }

  return (shares, facts) => {
    const seen = new Set();
    arrange(
      list,
      shares.map((share) => {
        const made = group(share, facts.you);
        arrange(
          made.own,
          share.lines.map((line) => {
            seen.add(line.public_id);
            if (!rows.has(line.public_id)) {
              rows.set(line.public_id, row(line));
            }
            const shown = rows.get(line.public_id);
            shown.update(line, { ...facts, most: facts.mostOf(line.owner) });
            return shown.root;
          }),
        );
        return made.root;
      }),
    );
    Array.from(rows.keys()).filter((id) => !seen.has(id)).forEach((id) => rows.delete(id));
  };
}

/** A member's shade, on whatever stands for them. */
export function shade(target, member) {
  const colour = member !== null && Number.isInteger(member.colour) ? Math.abs(member.colour) % 8 : 0;
  target.dataset.shade = String(colour);
}

/** The letter that stands for a name. */
export function initial(name) {
  return (Array.from(String(name).trim())[0] || "?").toUpperCase();
}

function tool(picture, label, onClick) {
  const made = element("button", "icon-button", picture);
  made.type = "button";
  made.setAttribute("aria-label", label);
  made.addEventListener("click", onClick);
  return made;
}
