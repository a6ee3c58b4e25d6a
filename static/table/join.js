// The door: asks for a name once, and for the table's code where that is needed.
//
// Knows nothing of carts: it ends with a session's id.

import { byId, element, say } from "../page.js";
import { get, post } from "../server.js";
import { words } from "./words.js";

const NAME_KEY = "guest-name";
const LONGEST_NAME = 24;

/** Where this page was opened: at a table, or by somebody who fetches. */
export function place() {
  const at = /^\/t\/([^/]+)/.exec(location.pathname);
  const token = at === null ? null : decodeURIComponent(at[1]);
  return { token, isAhead: token === null, invite: new URLSearchParams(location.search).get("invite") };
}

/** What the server tells of the door. */
export function ask({ token, isAhead }) {
  return get(isAhead ? "/api/tables/door?ahead=1" : `/api/tables/door?token=${encodeURIComponent(token)}`);
}

/** The name that this device was given before, or nothing. */
export function rememberedName() {
  try {
    return localStorage.getItem(NAME_KEY) || "";
  } catch (error) {
    return "";
  }
}

/** Keeps a name for the next time. */
export function rememberName(name) {
  try {
    localStorage.setItem(NAME_KEY, name);
  } catch (error) {
    // Asked again next time.
  }
}

/** Shows the door; `onJoined(session)` is called once the guest is in. */
export function showDoor(door, at, onJoined) {
  const needsCode = door.needs === "code" && !at.invite;
  let isBusy = false;
  byId("join-title").textContent = at.isAhead ? words.joinAhead : words.joinTable(door.table || "");
  say(byId("join-more"), at.isAhead ? words.joinAheadMore : words.joinMore);
  const here = Array.isArray(door.here) ? door.here : [];
  say(byId("join-here"), here.length > 0 ? words.hereAlready(here.join(", ")) : "");

  const name = field("text", "join-name", words.yourName, at.isAhead ? words.nameHintAhead : words.nameHint);
  name.input.autocomplete = "given-name";
  name.input.maxLength = LONGEST_NAME;
  name.input.value = rememberedName();
  const code = field("text", "join-code", words.code, words.codeHint);
  code.input.inputMode = "numeric";
  code.input.autocomplete = "off";
  code.input.maxLength = 4;
  code.root.hidden = !needsCode;
  const problem = element("p", "guest-problem");
  problem.setAttribute("role", "alert");
  say(problem, "");
  const go = element("button", "button main wide", at.isAhead ? words.joinAlone : words.join);
  go.type = "submit";
  const alone = element("button", "button wide", words.justMe);
  alone.type = "button";
  alone.hidden = at.isAhead;

  const form = element("form", "join-form", name.root, code.root, problem, go, alone);
  form.noValidate = true;
  byId("join-form").replaceChildren(form);
  byId("join").hidden = false;
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    enter(false);
  });
  alone.addEventListener("click", () => enter(true));

  function refuse(input, sentence) {
    say(problem, sentence);
    input.setAttribute("aria-invalid", "true");
    input.focus();
  }

  async function enter(isPrivate) {
    if (isBusy) {
      return;
    }
    [name, code].forEach(({ input }) => input.removeAttribute("aria-invalid"));
    const called = name.input.value.trim();
    if (called === "") {
      refuse(name.input, words.nameMissing);
      return;
    }
    const digits = code.input.value.trim();
    if (!isPrivate && !code.root.hidden && !/^\d{4}$/.test(digits)) {
      refuse(code.input, words.codeMissing);
      return;
    }
    isBusy = true;
    say(problem, "");
    go.setAttribute("aria-disabled", "true");
    try {
      const wanted = { name: called };
      Object.assign(wanted, at.isAhead ? { ahead: true } : { token: at.token });
      Object.assign(wanted, isPrivate ? { private: true } : {});
      Object.assign(wanted, !isPrivate && at.invite ? { invite: at.invite } : {});
      Object.assign(wanted, !isPrivate && digits !== "" ? { code: digits } : {});
      const { session } = await post("/api/tables/join", wanted);
      rememberName(called);
      byId("join").hidden = true;
      onJoined(session);
    } catch (error) {
      const wasHidden = code.root.hidden;
      if (error.status === 403) {
        // The table has been open for longer than a while: from now on its code is asked for.
        code.root.hidden = false;
        refuse(code.input, wasHidden ? words.codeMissing : words.codeWrong);
      } else {
        say(problem, error.message || words.noAnswer);
      }
    }
    isBusy = false;
    go.removeAttribute("aria-disabled");
  }
}

/** A labelled field with a hint below: `{ root, input }`. */
export function field(type, id, label, hint) {
  const input = element(type === "textarea" ? "textarea" : "input", "field");
  if (type !== "textarea") {
    input.type = type;
  }
  input.id = id;
  const name = element("label", "field-label", label);
  name.htmlFor = id;
  const root = element("div", "guest-field", name, input);
  if (hint) {
    const more = element("p", "soft hint", hint);
    more.id = `${id}-hint`;
    input.setAttribute("aria-describedby", more.id);
    root.append(more);
  }
  return { root, input };
}
