// What is sold out, and whether orders are taken: the panel with the switches, and the banner that says so.

import { dialog } from "./dialog.js";
import { element, moment, say } from "./page.js";
import { text } from "./text.js";

const PAUSES = [15, 30, 60, null];

/** The panel. `open()` shows it, `show(snapshot)` brings it up to date, and with it the `banner` element. */
export function stockPanel(desk, banner) {
  const switches = new Map();
  let menuAs = "";

  const state = element("p", "shop-state");
  const pauses = element("div", "pauses", ...PAUSES.map(pauseButton));
  const resume = plainButton("button main", text.resume, () => desk.pause(0));
  const groups = element("div", "stock-groups");
  const box = dialog({ kind: "drawer", title: text.stockAndPause });
  box.root.id = "stock-drawer";
  box.body.append(
    element("h3", "panel-heading", text.pauseHeading),
    state,
    resume,
    pauses,
    element("h3", "panel-heading", text.soldOutHeading),
    element("p", "soft", text.soldOutMore),
    groups,
  );

  const bannerWords = element("span", "");
  const bannerResume = plainButton("button", text.resume, () => desk.pause(0));
  banner.append(bannerWords, bannerResume);

  function pauseButton(minutes) {
    const words = minutes === null ? text.pauseUntilResumed : text.pauseFor(minutes);
    const made = plainButton("button", words, () => desk.pause(minutes));
    made.dataset.pause = minutes === null ? "resumed" : minutes;
    return made;
  }

  function show({ shop, menu }) {
    const words = sentence(shop);
    say(bannerWords, words);
    banner.hidden = words === "";
    banner.dataset.ordering = shop.ordering;
    bannerResume.hidden = shop.paused_until === null;
    say(state, words || text.orderingOpen);
    resume.hidden = shop.paused_until === null;
    const as = JSON.stringify(menu.map((field) => [field.name, field.options.map((option) => option.id)]));
    if (as !== menuAs) {
      menuAs = as;
      switches.clear();
      groups.textContent = "";
      groups.append(...menu.map(group));
    }
    menu.forEach((field) =>
      field.options.forEach((option) => switches.get(option.id).show(option, shop.sold_out.indexOf(option.id) >= 0)),
    );
  }

  function group(field) {
    const list = element("ul", "stock", ...field.options.map((option) => stockLine(option)));
    list.setAttribute("aria-label", field.label);
    return element("div", "stock-group", element("h4", "stock-heading", field.label), list);
  }

  function stockLine(option) {
    const made = stockSwitch(desk);
    switches.set(option.id, made);
    return element("li", "", made.root);
  }

  return { show, open: box.open };
}

// Pauses and closed hours together: what callers are told at this moment.
function sentence(shop) {
  if (shop.paused_until === "resumed") {
    return text.pausedUntilResumed;
  }
  if (shop.paused_until !== null) {
    return text.pausedUntil(moment(new Date(shop.paused_until)));
  }
  return shop.closed !== null ? text.closedStaff(shop.closed) : shop.ordering === "open" ? "" : text.pausedStaff;
}

function stockSwitch(desk) {
  let option = null;
  let out = false;
  let busy = false;
  const name = element("span", "switch-name");
  const state = element("span", "switch-state");
  const knob = element("span", "switch-knob");
  knob.setAttribute("aria-hidden", "true");
  const root = plainButton("switch", "", async () => {
    if (busy) {
      return;
    }
    busy = true;
    const was = out;
    paint(!was);
    const words = await desk.sellOut(option, !was);
    busy = false;
    paint(words === "" ? !was : was);
  });
  root.append(name, state, knob);
  root.setAttribute("role", "switch");

  function paint(next) {
    out = next;
    root.setAttribute("aria-checked", String(out));
    state.textContent = out ? text.soldOut : option.lacking ? text.lacking : text.available;
    state.className = !out && option.lacking ? "soft" : "switch-state";
  }

  return {
    root,
    show: (next, nowOut) => {
      option = next;
      root.dataset.option = option.id;
      say(name, option.name);
      root.setAttribute("aria-label", text.soldOutLabel(option.name));
      if (!busy) {
        paint(nowOut);
      }
    },
  };
}

function plainButton(className, words, onTap) {
  const made = element("button", className, words);
  made.type = "button";
  made.addEventListener("click", onTap);
  return made;
}
