// Who is at the table, what lets others in, one's own name, and asking to pay.

import { dialog } from "../dialog.js";
import { arrange, byId, element, say } from "../page.js";
import { field, rememberName } from "./join.js";
import { initial, shade } from "./lines.js";
import { sign } from "./signs.js";
import { words } from "./words.js";

const FACES = 4;

/** The people of a desk. `onLeave()` is called by who has a cart of their own and would rather share the table's. */
export function peoplePanel(desk, onLeave) {
  const { model } = desk;
  const box = dialog({ kind: "sheet", title: words.inviteHeading, onClose: () => say(copied, "") });
  box.root.id = "people-sheet";
  const list = element("ul", "people");
  const code = element("p", "invite-code");
  const link = element("input", "field");
  link.readOnly = true;
  link.id = "invite-link";
  link.setAttribute("aria-label", words.copy);
  const copied = element("p", "soft");
  copied.setAttribute("role", "status");
  const share = button(words.share, "button main", sign("share"));
  const copy = button(words.copy, "button");
  const invite = element("section", "invite", element("p", null, words.inviteMore), code, element("div", "button-row", share, copy), link, copied);
  const name = field("text", "my-name", words.yourName, "");
  name.input.maxLength = 24;
  name.input.autocomplete = "given-name";
  const save = button(words.save, "button");
  save.type = "submit";
  const form = element("form", "rename", name.root, save);
  const pay = button(words.pay, "button wide", sign("bill"));
  const paying = element("p", "pay-asked");
  paying.setAttribute("role", "status");
  const together = button(words.joinOthers, "button wide");
  together.addEventListener("click", () => {
    box.close();
    onLeave();
  });
  box.body.append(list, invite, together, form, element("section", "pay", pay, paying));

  byId("open-people").addEventListener("click", () => {
    name.input.value = model.me === null ? "" : model.me.name;
    box.open();
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const called = name.input.value.trim();
    if (called !== "") {
      rememberName(called);
      desk.rename(called);
      box.close();
    }
  });
  pay.addEventListener("click", () => pay.getAttribute("aria-disabled") !== "true" && desk.askToPay());
  share.hidden = typeof navigator.share !== "function";
  copy.classList.toggle("main", share.hidden);
  share.addEventListener("click", () => {
    const given = { title: document.title, text: words.inviteText(model.cart.table || ""), url: link.value };
    navigator.share(given).catch(() => {});
  });
  copy.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(link.value);
      say(copied, words.copied);
    } catch (error) {
      // Not over plain HTTP, and not where the guest has forbidden it.
      link.select();
      say(copied, words.copyByHand);
    }
  });

  function update() {
    const { cart } = model;
    arrange(byId("faces"), faces(cart.members, Boolean(cart.join)));
    byId("open-people").setAttribute("aria-label", words.people(cart.members.length));
    list.replaceChildren(...cart.members.map(person));
    const { join } = cart;
    invite.hidden = !join;
    if (join) {
      code.textContent = join.code;
      code.setAttribute("role", "img");
      code.setAttribute("aria-label", words.inviteCodeRead(join.code));
      link.value = new URL(join.link, location.href).href;
    }
    together.hidden = cart.kind !== "private";
    const isHere = cart.kind !== "ahead";
    pay.hidden = !isHere || cart.bill_asked;
    pay.setAttribute("aria-disabled", String(!desk.isLive));
    say(paying, isHere && cart.bill_asked ? words.payAsked : "");
  }

  function person(member) {
    const more = [member.member_id === model.cart.you ? words.you : "", member.online ? "" : words.away].filter(Boolean);
    const about = more.length > 0 ? element("span", "soft", ` (${more.join(", ")})`) : "";
    return element("li", member.online ? "" : "away", face(member), element("span", null, element("bdi", null, member.name), about));
  }

  return { update };
}

// A few faces stand for all; oneself is told by the label.
function faces(members, mayInvite) {
  const shown = members.slice(0, members.length > FACES ? FACES - 1 : FACES).map(face);
  const rest = members.length - shown.length;
  const more = rest > 0 ? `+${rest}` : mayInvite ? "+" : "";
  return more === "" ? shown : shown.concat([element("span", "dot rest", more)]);
}

function face(member) {
  const made = element("span", member.online ? "dot" : "dot away", initial(member.name));
  made.setAttribute("aria-hidden", "true");
  shade(made, member);
  return made;
}

function button(label, className, picture) {
  const made = element("button", className, picture || "", label);
  made.type = "button";
  return made;
}
