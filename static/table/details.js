// What belongs to a whole order: a wish, a number for the text, and of who orders ahead a name and a time.
//
// What was typed stays as it is until an order was placed with it.

import { element, say } from "../page.js";
import { get } from "../server.js";
import { asDialled, countryName } from "./countries.js";
import { field, rememberedName } from "./join.js";
import { language, words } from "./words.js";

const LONGEST_NOTES = 300;
const LONGEST_NAME = 24;
const TIMES_ANEW_MS = 30000;

/** The fields of a door's orders; `drinks()` counts what is in the cart. */
export function orderDetails(door, menu, drinks) {
  const isAhead = door.kind === "ahead";
  const wish = field("textarea", "order-wishes", words.wishes, words.wishesHint);
  wish.input.rows = 2;
  wish.input.maxLength = LONGEST_NOTES;

  const name = field("text", "order-name", words.nameLabel, words.nameHintAhead);
  name.input.maxLength = LONGEST_NAME;
  name.input.autocomplete = "given-name";
  name.input.value = rememberedName();
  name.root.hidden = !isAhead;

  const pickup = select("order-pickup", words.pickupLabel);
  pickup.root.hidden = !isAhead;
  let hasChosen = false;
  pickup.input.addEventListener("change", () => {
    hasChosen = true;
  });

  const countries = Array.isArray(door.text_countries) ? door.text_countries : [];
  const country = select("order-country", words.phoneCountry);
  country.input.append(...countries.map((code) => choice(code, countryName(code))));
  country.input.value = countries.includes(door.region) ? door.region : countries[0] || "";
  country.root.hidden = countries.length < 2;
  const phone = field("tel", "order-phone", words.phoneNumber, words.phoneHint);
  phone.input.autocomplete = "tel";
  phone.input.inputMode = "tel";
  const legend = element("legend", "field-label", words.phoneLabel);
  const texting = element("fieldset", "guest-phone", legend, element("div", "phone-row", country.root, phone.root));
  texting.hidden = !door.texts || countries.length === 0;

  const problem = element("p", "guest-problem");
  problem.setAttribute("role", "alert");
  say(problem, "");
  const root = element("div", "order-details", name.root, pickup.root, wish.root, texting, problem);
  // The wishes of the order that failed as they were seen last, what the field held when it agreed with the order's, and
  // whether that was typed elsewhere.
  let seen = "";
  let agreed = "";
  let isTakenUp = false;
  let timesFor = 0;
  let asked = 0;

  async function loadTimes() {
    const count = Math.max(1, drinks());
    asked = Date.now();
    timesFor = count;
    try {
      const { times, asap } = await get(`/api/tables/pickup?drinks=${count}`);
      offer(Array.isArray(times) ? times : [], asap);
    } catch (error) {
      asked = 0;
    }
  }

  function offer(times, asap) {
    const chosen = pickup.input.selectedOptions[0];
    // What stands there because it is the first is as soon as possible, too.
    const wasAsap = !chosen || !hasChosen || chosen.dataset.asap === "yes" || chosen.value === "";
    const options = [];
    if (asap) {
      const soon = choice(asap, words.pickupAsap(clockTime(asap, menu.time_zone)));
      soon.dataset.asap = "yes";
      options.push(soon);
    }
    const value = wasAsap ? null : pickup.input.value;
    const others = times.filter((time) => time !== asap);
    if (asap && value === asap) {
      // It was chosen as this time, and stays that when another is the first that is free.
      others.unshift(asap);
    }
    options.push(...others.map((time) => choice(time, clockTime(time, menu.time_zone))));
    if (options.length === 0) {
      options.push(choice("", menu.slots === null ? words.pickupSoon : words.pickupNone));
    }
    const isGone = !wasAsap && !others.includes(value);
    const wasGone = Boolean(chosen && chosen.disabled);
    if (isGone) {
      // Nobody is given another time than the one that they have chosen.
      const gone = choice(value, words.pickupGone(clockTime(value, menu.time_zone)));
      gone.disabled = true;
      options.unshift(gone);
    }
    pickup.input.replaceChildren(...options);
    const mine = options.find((option) => option.value === value && option.dataset.asap !== "yes");
    if (mine) {
      mine.selected = true;
    }
    if (isGone && !wasGone) {
      say(problem, words.pickupGoneChoose(clockTime(value, menu.time_zone)));
    }
  }

  // Whoever sends a failed order again sees what it was placed with, also where somebody else has typed it.
  function takeUp(cart, isPlacing) {
    const isUnderWay = isPlacing || cart.cart_locked || Boolean(cart.pending_order_id);
    const notes = wishesOf(cart);
    const typed = wish.input.value.trim();
    if (notes !== "" && notes !== seen) {
      const own = typed === agreed || typed === notes ? "" : typed;
      wish.input.value = [notes, own].filter(Boolean).join("; ");
      isTakenUp = isTakenUp || typed !== notes;
      seen = notes;
      agreed = notes;
    } else if (!isUnderWay && cart.order_processing_status !== "confirmed") {
      // Called off, given up or not taken: there is no order that would have it.
      if (isTakenUp) {
        leaveOwn();
      }
      forget();
    }
  }

  // Takes away what the order has; what was typed beside it stays.
  function leaveOwn() {
    const typed = wish.input.value.trim();
    if (agreed !== "" && (typed === agreed || typed.startsWith(`${agreed}; `))) {
      wish.input.value = typed.slice(agreed.length + 2);
    }
  }

  function forget() {
    seen = "";
    agreed = "";
    isTakenUp = false;
  }

  function refuse(input, sentence) {
    say(problem, sentence);
    input.setAttribute("aria-invalid", "true");
    input.focus();
  }

  return {
    root,

    /** `isPlacing`: an order of this screen is on its way to the server. */
    update: (cart, isShown, isPlacing) => {
      root.hidden = !isShown;
      takeUp(cart, isPlacing);
      if (isAhead && isShown && (timesFor !== Math.max(1, drinks()) || Date.now() - asked > TIMES_ANEW_MS)) {
        loadTimes();
      }
    },

    /** What goes with the order of this cart, or null after saying what is missing. */
    given: (cart) => {
      [name, pickup, phone].forEach(({ input }) => input.removeAttribute("aria-invalid"));
      say(problem, "");
      const details = {};
      const wishes = wish.input.value.trim();
      // An order that is sent again keeps the wishes that it has, unless they are taken away.
      if (wishes !== "" || wishesOf(cart) !== "") {
        details.special_instructions = wishes;
      }
      agreed = wishes;
      if (!texting.hidden && phone.input.value.trim() !== "") {
        details.phone = asDialled(phone.input.value, country.input.value, door.region);
      }
      if (!isAhead) {
        return details;
      }
      if (name.input.value.trim() === "") {
        refuse(name.input, words.nameMissing);
        return null;
      }
      details.name = name.input.value.trim();
      const [chosen] = pickup.input.selectedOptions;
      const isSoon = chosen && (chosen.value === "" || chosen.dataset.asap === "yes");
      if (menu.slots === null && isSoon) {
        // Nothing is booked: whatever "soon" was when this was shown, it shall not have passed.
        return details;
      }
      if (chosen && chosen.disabled) {
        refuse(pickup.input, words.pickupGoneChoose(clockTime(chosen.value, menu.time_zone)));
        return null;
      }
      if (!chosen || chosen.value === "") {
        refuse(pickup.input, words.pickupChoose);
        return null;
      }
      return { ...details, pickup_at: chosen.value };
    },

    /** Says what the server did not take, where it can be put right; answers whether it was one of these fields. */
    refused: ({ code, message, next_free: free }) => {
      const about = { BAD_PHONE: phone, PHONE_LIMIT: phone, NO_NAME: name, SLOT_UNAVAILABLE: pickup }[code];
      if (!about || about.root.hidden) {
        return false;
      }
      if (about === pickup && Array.isArray(free) && free.length > 0) {
        offer(free, null);
      } else if (about === pickup) {
        loadTimes();
      }
      root.hidden = false;
      refuse(about.input, message);
      return true;
    },

    /** An order was taken. What it does not have, as somebody else has placed it, stays. */
    done: () => {
      leaveOwn();
      forget();
      say(problem, wish.input.value.trim() === "" ? "" : words.wishesKept);
    },
  };
}

/** The time of day in the shop's time zone, with the day in front when that is not today. */
export function clockTime(time, zone) {
  const at = new Date(time);
  const day = { timeZone: zone, year: "numeric", month: "numeric", day: "numeric" };
  try {
    const isToday = at.toLocaleDateString(language, day) === new Date().toLocaleDateString(language, day);
    const near = isToday ? {} : { weekday: "short" };
    return at.toLocaleTimeString(language, { timeZone: zone, hour: "numeric", minute: "2-digit", ...near });
  } catch (error) {
    // A time zone that this browser does not know: its own, then.
    return at.toLocaleTimeString(language, { hour: "numeric", minute: "2-digit" });
  }
}

/** The wishes that the order has which failed and may be sent again. */
function wishesOf(cart) {
  const isFailed = cart.order_processing_status === "failed";
  return isFailed && typeof cart.pending_notes === "string" ? cart.pending_notes : "";
}

function select(id, label) {
  const input = element("select", "field");
  input.id = id;
  const name = element("label", "field-label", label);
  name.htmlFor = id;
  return { root: element("div", "guest-field", name, input), input };
}

function choice(value, shown) {
  const option = element("option", null, shown);
  option.value = value;
  return option;
}
