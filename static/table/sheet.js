// One drink: its choices, its rules explained as one chooses, how many, a wish, and what it will cost.
//
// What was chosen stays in `draft` until it is added, whatever the line does meanwhile.

import { dialog } from "../dialog.js";
import { element, money, say } from "../page.js";
import { field as labelled } from "./join.js";
import { broken, cents, choicesIn, choicesOf, baseOf, goneFrom, has, isMany, isOut, label, plain, rulesOf, toggled } from "./drink.js";
import { picture } from "./cards.js";
import { stepper } from "./stepper.js";
import { words } from "./words.js";

/**
 * The sheet of a shop's drinks. `facts(line)` answers `{ soldOut, isOpen, isGone, most, limit }`: whether that line is gone,
 * how many drinks its owner (of none: this guest) may have of it, and in all; `onAdd(item)` and `onChange(line, item)` get what was chosen.
 */
export function drinkSheet(menu, { facts, onAdd, onChange }) {
  const symbol = menu.currency.symbol;
  const base = baseOf(menu);
  let draft = null;
  let line = null;
  let options = [];

  const box = dialog({ kind: "sheet", title: "", onClose: () => (draft = null) });
  box.root.id = "drink-sheet";
  const top = element("div", "sheet-top");
  const meanwhile = element("p", "guest-problem");
  meanwhile.setAttribute("role", "alert");
  const choices = element("div", "sheet-choices");
  const wish = labelled("textarea", "drink-note", words.noteLabel, "");
  wish.input.rows = 2;
  wish.input.maxLength = menu.limits.note_length;
  wish.input.placeholder = words.noteHint;
  const amount = stepper(words.quantity, { fewer: words.fewer, another: words.another }, (quantity) => {
    draft.quantity = quantity;
    draw();
  });
  const problem = element("p", "guest-problem");
  problem.setAttribute("role", "status");
  const go = element("button", "button main wide");
  go.type = "button";
  go.id = "save-drink";
  go.addEventListener("click", save);
  const scroll = element("div", "sheet-scroll", top, meanwhile, choices, wish.root);
  box.body.append(scroll, element("div", "sheet-foot", problem, element("div", "sheet-go", amount.root, go)));

  function open(title, index) {
    box.heading.textContent = title;
    top.replaceChildren(picture(base.options[index] || {}, Math.max(0, index)));
    options = [];
    choices.replaceChildren(...choicesOf(menu).map(fieldset));
    wish.input.value = draft.note;
    draw();
    box.open();
    scroll.scrollTop = 0;
  }

  function place(name) {
    return base.options.findIndex((option) => option.name === name);
  }

  function fieldset(field) {
    const group = element("fieldset", "choice-field");
    const kind = element("span", "soft", isMany(field) ? words.manyOf : words.oneOf);
    group.append(element("legend", null, element("span", "choice-label", label(field)), " ", kind));
    const chips = element("div", "chips");
    const asks = element("div", "chip-asks");
    field.options.forEach((option) => chips.append(chip(field, option)));
    group.append(chips, asks);
    options.push({ field, asks });
    return group;
  }

  function chip(field, option) {
    const input = element("input", "chip-input");
    input.type = isMany(field) ? "checkbox" : "radio";
    input.name = `choice-${field.name}`;
    input.value = option.name;
    const price = Number(option.price || 0) > 0 ? element("span", "chip-price", words.more(money(option.price, symbol))) : "";
    const why = element("span", "chip-why");
    const root = element("label", "chip", input, element("span", "chip-face", element("span", "chip-name", option.name), price, why));
    input.addEventListener("change", () => {
      draft.drink = toggled(draft.drink, field, option.name);
      draw();
    });
    options.push({ chipOf: field, option, input, why, root });
    return root;
  }

  // What is chosen may have been sold out since: it can be left off, and not be chosen again.
  function draw() {
    const { soldOut, isOpen, isGone: isLineGone, most, limit } = facts(line);
    if (isLineGone) {
      // Somebody has taken it out, or it was ordered: what was chosen can still be added anew.
      line = null;
      box.heading.textContent = words.addHeading(draft.drink[base.name]);
      say(meanwhile, words.goneMeanwhile);
    }
    const wrong = broken(menu, draft.drink);
    options.forEach(({ chipOf, option, input, why, root, field, asks }) => {
      if (chipOf) {
        const isChosen = has(draft.drink, chipOf, option.name);
        const isGone = isOut(chipOf, option.name, soldOut);
        const isNeeded = ({ requiredField, required }) => isOut(requiredField, required.name, soldOut);
        const needs = rulesOf(menu, chipOf, option.name).find(isNeeded);
        input.checked = isChosen;
        input.disabled = (isGone || Boolean(needs)) && !isChosen;
        root.classList.toggle("gone", isGone);
        say(why, isGone ? words.soldOut : needs ? words.requiredGone(needs.required.name) : "");
        return;
      }
      const about = wrong.filter((one) => one.field === field);
      arrangeAsks(asks, about, soldOut);
    });
    amount.set(draft.quantity, Math.max(1, most));
    const gone = goneFrom(menu, draft.drink, soldOut);
    const why = reason({ isOpen, gone, wrong, isTooMany: most < draft.quantity, limit });
    say(problem, why);
    const price = money((cents(menu, draft.drink) * draft.quantity) / 100, symbol);
    go.replaceChildren(element("span", null, line === null ? words.addToCart : words.saveChange), " ", element("span", null, price));
    go.setAttribute("aria-disabled", String(why !== ""));
  }

  // Why it cannot be added as it is now, or nothing.
  function reason({ isOpen, gone, wrong, isTooMany, limit }) {
    if (!isOpen) {
      return words.lockedNow;
    }
    if (gone.length > 0) {
      return words.goneSince(gone[0]);
    }
    if (wrong.length > 0) {
      return words.settleFirst;
    }
    return isTooMany ? words.limitReached(limit) : "";
  }

  // A rule that is broken: what the shop says of it, and the ways out of it.
  function arrangeAsks(asks, about, soldOut) {
    const isGone = ({ requiredField, required }) => isOut(requiredField, required.name, soldOut);
    const key = about.map((one) => `${one.option.name}/${one.required.name}/${isGone(one)}`).join();
    if (asks.dataset.about === key) {
      return;
    }
    asks.dataset.about = key;
    asks.replaceChildren(
      ...about.map((one) => {
        const { say: sentence, field, option, requiredField, required } = one;
        const add = element("button", "button main");
        add.type = "button";
        const price = Number(required.price || 0) > 0 ? money(required.price, symbol) : "";
        add.textContent = isMany(requiredField) ? words.addRequired(required.name, price) : words.takeInstead(required.name);
        add.hidden = isGone(one);
        add.addEventListener("click", () => change(requiredField, required.name));
        const leave = element("button", "button", words.leaveOff(option.name));
        leave.type = "button";
        leave.hidden = !isMany(field);
        leave.addEventListener("click", () => change(field, option.name));
        const notice = element("div", "rule", element("p", null, sentence), element("div", "button-row", add, leave));
        notice.setAttribute("role", "alert");
        return notice;
      }),
    );
    // It stands below what was tapped, perhaps out of sight once the foot of the sheet has said why it is shut.
    if (about.length > 0) {
      requestAnimationFrame(() => asks.scrollIntoView({ block: "nearest" }));
    }
  }

  function change(field, name) {
    draft.drink = toggled(draft.drink, field, name);
    draw();
    const chosen = options.find(({ chipOf, option }) => chipOf === field && option.name === name);
    chosen.input.focus();
  }

  function save() {
    if (go.getAttribute("aria-disabled") === "true") {
      return;
    }
    const item = { ...draft.drink, qty: draft.quantity, note: wish.input.value.trim() };
    if (line === null) {
      if (item.note === "") {
        delete item.note;
      }
      onAdd(item);
    } else {
      onChange(line, item);
    }
    box.close();
  }

  wish.input.addEventListener("input", () => draft && (draft.note = wish.input.value));

  return {
    /** A new drink of this base. */
    add: (name) => {
      line = null;
      draft = { drink: plain(menu, name), quantity: 1, note: "" };
      say(meanwhile, "");
      open(words.addHeading(name), place(name));
    },
    /** A line to be changed; `wanted`, where given, is what the guest had chosen when somebody else was first. */
    change: (which, wanted, sentence) => {
      line = which;
      const from = wanted ? { ...which, ...wanted } : which;
      draft = { drink: choicesIn(menu, from), quantity: from.qty, note: from.note || "" };
      say(meanwhile, sentence || "");
      open(words.changeHeading(which[base.name]), place(which[base.name]));
    },
    /** Something outside has changed: what is sold out, whether the cart is open. */
    update: () => draft !== null && draw(),
    isOpen: box.isOpen,
    close: box.close,
  };
}
