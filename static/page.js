// What all pages share: building elements, filling in the texts, the shop's name and number, times and money as words.
//
// Values reach the page as text only; there is no way here to put markup in.

import { get, now } from "./server.js";
import { language, text } from "./text.js";

const SHOP_RETRY_MS = 10000;

/** The element with this id. The page's own markup has it, or the page is broken. */
export function byId(id) {
  return document.getElementById(id);
}

/** A new element with a class (or null) and children: elements, or anything else as text. */
export function element(tag, className, ...children) {
  const made = document.createElement(tag);
  if (className) {
    made.className = className;
  }
  made.append(...children.map((child) => (child instanceof Node ? child : String(child))));
  return made;
}

/** Shows `words` in `target`, or hides it when there are none. Leaves it alone when nothing changes. */
export function say(target, words) {
  const shown = words || "";
  target.hidden = shown === "";
  if (target.textContent !== shown) {
    target.textContent = shown;
  }
}

/** Makes the children of `list` these elements in this order, and moves none that may stay: that would cost focus. */
export function arrange(list, wanted) {
  Array.from(list.children)
    .filter((child) => wanted.indexOf(child) < 0)
    .forEach((child) => child.remove());
  wanted.forEach((child, index) => {
    if (list.children[index] !== child) {
      list.insertBefore(child, list.children[index] || null);
    }
  });
}

/**
 * Fills every `data-text` element and the label of every `data-label` one, then the shop's name and title as soon as the server tells them. `pageTitle` is
 * the page's own part of the title; `onShop(shop)` gets `{ name, phone }`, phone possibly null.
 */
export function openPage(pageTitle, onShop) {
  document.documentElement.lang = language;
  document.querySelectorAll("[data-text]").forEach((target) => {
    target.textContent = text[target.dataset.text];
  });
  document.querySelectorAll("[data-label]").forEach((target) => {
    target.setAttribute("aria-label", text[target.dataset.label]);
  });
  nameShop(text.shopUnknown, pageTitle);
  readShop((shop) => {
    nameShop(shop.name || text.shopUnknown, pageTitle);
    if (onShop) {
      onShop(shop);
    }
  });
}

/** Keeps `target` at the time of day. */
export function runClock(target) {
  const tick = () => {
    const words = timeOfDay(now());
    if (target.textContent !== words) {
      target.textContent = words;
    }
  };
  tick();
  setInterval(tick, 1000);
}

/** HH:MM in the device's time zone. */
export function timeOfDay(date) {
  return `${twoDigits(date.getHours())}:${twoDigits(date.getMinutes())}`;
}

/** HH:MM, with the day in front when that is not today. */
export function moment(date) {
  if (date.toDateString() === now().toDateString()) {
    return timeOfDay(date);
  }
  const day = date.toLocaleDateString(language, { weekday: "short", day: "numeric", month: "short" });
  return `${day}, ${timeOfDay(date)}`;
}

/** How many whole minutes ago an instant was; `seconds` since 1970. */
export function minutesSince(seconds) {
  return Math.max(0, Math.floor((now().getTime() / 1000 - seconds) / 60));
}

/** How long ago an instant was, in words; `seconds` since 1970. */
export function age(seconds) {
  const minutes = minutesSince(seconds);
  if (minutes < 1) {
    return text.justNow;
  }
  if (minutes < 60) {
    return text.minutesAgo(minutes);
  }
  const hours = Math.floor(minutes / 60);
  return hours < 24 ? text.hoursAgo(hours, minutes % 60) : text.daysAgo(Math.floor(hours / 24));
}

/** A sum with two decimals, behind the shop's currency where that is given. */
export function money(amount, currency) {
  return `${currency || ""}${Number(amount).toFixed(2)}`;
}

/** A phone number grouped for reading where the grouping is sure (country code 1), else as it came. */
export function readable(phone) {
  const parts = /^\+1(\d{3})(\d{3})(\d{4})$/.exec(phone);
  return parts ? `+1\u00a0${parts[1]}\u00a0${parts[2]}\u00a0${parts[3]}` : phone;
}

/** A failed request as a sentence for staff, with the reference to quote where there is one. */
export function inWords(error) {
  if (error.status === 401) {
    return text.signInAgain;
  }
  const words = error.message || (error.status ? text.refused(error.status) : text.noAnswer);
  return error.reference ? text.withReference(words, error.reference) : words;
}

async function readShop(onShop) {
  try {
    onShop(await get("/shop.json"));
  } catch (error) {
    setTimeout(() => readShop(onShop), SHOP_RETRY_MS);
  }
}

function nameShop(name, pageTitle) {
  document.title = text.titleOf(name, pageTitle);
  document.querySelectorAll("[data-shop-name]").forEach((target) => {
    target.textContent = name;
  });
}

function twoDigits(value) {
  return String(value).padStart(2, "0");
}
