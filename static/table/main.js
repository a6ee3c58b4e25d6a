// The guests' page: brings a guest through the door, then ties the menu, the cart, the orders and the people to a desk.

import { layerIs } from "../dialog.js";
import { icon } from "../icons.js";
import { byId, element, money, say } from "../page.js";
import { get } from "../server.js";
import { Chime } from "../tv/chime.js";
import { cartPanel } from "./cart.js";
import { showMenu } from "./cards.js";
import { Desk } from "./desk.js";
import { baseOf, choicesIn, inWords } from "./drink.js";
import * as door from "./join.js";
import { settleProblems, tell, untell } from "./news.js";
import { ordersPanel } from "./orders.js";
import { peoplePanel } from "./people.js";
import { placedDialog } from "./placed.js";
import { drinkSheet } from "./sheet.js";
import { language, words } from "./words.js";

const SOUND_KEY = "guest-sound";
// A line that is back at once is nobody's concern.
const LOST_AFTER_MS = 700;

const at = door.place();
// Made by the first tap: before one, no browser lets a page sound.
let chime = null;

document.documentElement.lang = language;
document.querySelectorAll("[data-words]").forEach((target) => {
  target.textContent = words[target.dataset.words];
});
layerIs(byId("layer"), () => byId("menu-heading").focus());
soundButton();
window.addEventListener("click", () => (chime = new Chime()), { once: true, capture: true });
begin();

async function begin() {
  show("loading");
  let told;
  let menu;
  try {
    [told, menu] = await Promise.all([door.ask(at), get("/api/tables/menu")]);
  } catch (error) {
    if (error.status === 404) {
      stop(at.isAhead ? words.joinAhead : words.unknownTable, at.isAhead ? words.aheadOff : words.unknownTableMore, null);
    } else {
      stop(words.shopUnknown, error.message || words.noAnswer, words.tryAgain);
    }
    return;
  }
  nameShop(told);
  if (told.session && !at.invite) {
    enter(told, menu, told.session);
    return;
  }
  show("join");
  door.showDoor(told, at, (session) => {
    // An invitation has done its work: a reload must not use it again.
    history.replaceState(null, "", location.pathname);
    at.invite = null;
    enter(told, menu, session);
  });
}

function enter(told, menu, session) {
  show("ordering");
  let lost = 0;
  let hasOpened = false;
  // The server's clock, as every new snapshot tells it.
  let timed = null;
  let offset = 0;
  const desk = new Desk(session, menu, {
    change: () => desk.model.cart !== null && update(),
    news: (news) => hear(news),
    refused: (error, message) => refuse(error, message),
    over: (isOver) => {
      if (desk.model.ended === null) {
        if (isOver) {
          isOverWith("");
        } else {
          stop(words.title(told.shop, told.table || words.ahead), words.elsewhere, words.overAgain);
        }
      }
    },
  });
  const { model } = desk;
  let parts = null;

  function open() {
    hasOpened = true;
    const isAhead = model.cart.kind === "ahead";
    const sheet = drinkSheet(menu, {
      facts: (line) => {
        const owner = line === null ? model.cart.you : line.owner;
        const own = desk.lines.filter((other) => other.owner === owner && other.public_id !== (line && line.public_id));
        const limit = model.cart.drinks_per_member;
        const most = limit - own.reduce((sum, other) => sum + other.qty, 0);
        const isGone = line !== null && model.line(line.public_id) === null;
        return { soldOut: model.cart.sold_out, isOpen: model.isOpen, isGone, most, limit };
      },
      onAdd: (item) => {
        desk.add(item);
        if (desk.isLive) {
          tell(words.itemAdded(item[baseOf(menu).name]), "good");
        }
      },
      onChange: (line, item) => desk.update(line, item),
    });
    const clock = () => Date.now() + offset;
    const cart = cartPanel({ desk, menu, door: { ...told, kind: model.cart.kind }, sheet, clock });
    const orders = ordersPanel({ model, menu, isAhead });
    const people = peoplePanel(desk, () => {
      desk.shut();
      show("join");
      door.showDoor(told, at, () => location.reload());
    });
    const drinks = showMenu(menu, (base) => sheet.add(base));
    parts = { sheet, cart, orders, people, drinks, placed: placedDialog() };
    byId("open-people").hidden = isAhead;
  }

  // There is nothing to come back to, for a reason of the server's or none.
  function isOverWith(reason) {
    const [title, more] = at.isAhead ? [words.overAhead, words.overMoreAhead] : [words.over, words.overMore];
    stop(title, reason || more, words.overAgain);
  }

  function update() {
    const { cart } = model;
    if (cart !== timed) {
      timed = cart;
      offset = Date.parse(cart.server_time) - Date.now() || 0;
    }
    if (!hasOpened) {
      open();
    }
    if (model.ended !== null) {
      isOverWith(model.ended);
      return;
    }
    document.documentElement.dataset.state = desk.isLive ? "live" : desk.isLost ? "stale" : "connecting";
    const place = cart.kind === "ahead" ? words.ahead : cart.kind === "private" ? words.privateCart : cart.table || "";
    byId("place-name").textContent = place;
    say(byId("closed"), cart.closed ? words.closed(cart.closed) : "");
    clearTimeout(lost);
    if (desk.isLost) {
      const tellLost = () => say(byId("trouble"), desk.waiting > 0 ? words.lostQueued(desk.waiting) : words.lost);
      lost = setTimeout(tellLost, byId("trouble").hidden ? LOST_AFTER_MS : 0);
    } else {
      if (!byId("trouble").hidden) {
        tell(words.back, "good");
      }
      say(byId("trouble"), "");
    }
    parts.drinks(cart.sold_out, model.isOpen);
    parts.cart.update();
    parts.orders.update();
    parts.people.update();
    parts.sheet.update();
  }

  function drink(line) {
    return line[baseOf(menu).name];
  }

  function hear(news) {
    const who = news.name || words.someone;
    const tellers = {
      joined: () => tell(words.joined(who), "news"),
      added: () => tell(words.added(who, drink(news.line)), "news"),
      changed: () => tell(words.changed(who, drink(news.line)), "news"),
      removed: () => tell(words.removed(who, drink(news.line)), "news"),
      cleared: () => tell(words.cleared(who), "news"),
      locked: () => tell(words.processedBy(who), "news"),
      confirmed: () => {
        settleProblems();
        if (!desk.isPlacing) {
          parts.cart.done();
        }
        parts.cart.close();
        parts.placed.show(news.order);
        sound();
      },
      placed: () => parts.cart.done(),
      held: () => tell(words.heldBack(drink(news.item)), "lasting"),
      // The cart says it beside the button, where that can be seen.
      failed: () => {
        if (!news.allowRetry) {
          tell(words.failedForGood(news.error || words.notTaken), "problem");
        } else if (!parts.cart.isSeen()) {
          tell(words.failed(news.error || ""), "problem");
        }
      },
      status: () => {
        const { order } = news;
        untell(words.isCancelled(order.order_number));
        if (order.status === "ready") {
          tell(words.isReady(order.order_number), "good");
          sound();
        } else if (order.status === "cancelled") {
          tell(words.isCancelled(order.order_number), "lasting");
          sound();
        } else {
          tell(words.isNow(order.order_number, order.status_label), "news");
        }
      },
      soldOut: () => tell(words.nowSoldOut(news.option), "news"),
      back: () => tell(words.backAgain(news.option), "news"),
      bill: () => tell(words.billAsked(who), "news"),
    };
    if (parts !== null && Object.prototype.hasOwnProperty.call(tellers, news.what)) {
      tellers[news.what]();
    }
  }

  // Whatever was typed is still there: in the sheet that opens again, or in the cart's fields.
  function refuse(error, message) {
    if (parts === null || parts.cart.refused(error)) {
      return;
    }
    const symbol = menu.currency.symbol;
    const line = message === null ? null : model.line(message.public_id);
    if (error.code === "CONFLICT" && line !== null && message.type === "update_item" && baseOf(menu).name in message.item) {
      const now = [parts.cart.inWords(line)].concat(inWords(menu, choicesIn(menu, line))).join(" · ");
      parts.sheet.change(line, message.item, words.changedMeanwhile(now));
      return;
    }
    if (error.code === "PRICE_MISMATCH" && error.total !== undefined) {
      tell(words.priceChanged(money(error.total, symbol), money(error.expected_total, symbol)), "problem");
      return;
    }
    tell(error.message || words.noAnswer, "problem");
  }
}

function nameShop(told) {
  byId("shop-name").textContent = told.shop;
  byId("join-shop").textContent = told.shop;
  document.title = words.title(told.shop, at.isAhead ? words.ahead : told.table || "");
}

// Which part of the page is seen.
function show(part) {
  ["loading", "join", "ordering", "stopped"].forEach((name) => {
    byId(name).hidden = name !== part;
  });
  byId("head").hidden = part !== "ordering";
  if (part !== "ordering") {
    byId("bar").hidden = true;
  }
}

/** Nothing goes on here: says why, and offers to try again where that may help. */
function stop(title, more, again) {
  document.querySelectorAll("dialog[open]").forEach((open) => open.close());
  show("stopped");
  byId("stopped-title").textContent = title;
  byId("stopped-more").textContent = more;
  const button = element("button", "button main wide", again || "");
  button.type = "button";
  button.addEventListener("click", () => location.reload());
  byId("stopped-again").replaceChildren(...(again ? [button] : []));
}

function isSoundOn() {
  try {
    return localStorage.getItem(SOUND_KEY) !== "off";
  } catch (error) {
    return true;
  }
}

function sound() {
  if (chime !== null && byId("sound").getAttribute("aria-pressed") === "true") {
    chime.play();
  }
}

function soundButton() {
  const button = byId("sound");
  const draw = (isOn) => {
    button.replaceChildren(icon(isOn ? "bell" : "muted"));
    button.setAttribute("aria-pressed", String(isOn));
    button.title = isOn ? words.soundOn : words.soundOff;
  };
  button.setAttribute("aria-label", words.sound);
  draw(isSoundOn());
  button.addEventListener("click", () => {
    const isOn = button.getAttribute("aria-pressed") !== "true";
    draw(isOn);
    try {
      localStorage.setItem(SOUND_KEY, isOn ? "on" : "off");
    } catch (error) {
      // Then it holds until the page closes.
    }
    sound();
  });
}
