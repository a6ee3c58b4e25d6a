// The sign-in: posts the password and says in place why it was not taken. A script's request tells the server where it is
// from in every browser, a form's does not. Where this script does not run, the form goes by itself, and comes back here
// with the reason in the address.

import { byId, openPage, say } from "./page.js";
import { post } from "./server.js";
import { text } from "./text.js";

const CONSOLE = "/barista";

openPage(text.signInTitle);

const came = new URLSearchParams(location.search);
const form = document.querySelector(".login-form");
const field = byId("password");
const button = form.querySelector("button");

if (came.has("wrong")) {
  explain(text.signInWrong, true);
} else if (came.has("slow")) {
  explain(text.signInSlow, false);
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  // Enter twice would be two attempts, and too many attempts are refused.
  if (button.disabled) {
    return;
  }
  button.disabled = true;
  explain("", false);
  try {
    await post("/login", { password: field.value });
    location.assign(destination());
  } catch (error) {
    explain(inPlace(error), error.status === 401);
    button.disabled = false;
    field.select();
  }
});
// A browser that comes back to this page may show it as it was left.
window.addEventListener("pageshow", () => {
  button.disabled = false;
});

/** Where somebody wanted to go who was sent here; never to another site. */
function destination() {
  try {
    const asked = new URL(came.get("next") || CONSOLE, location.origin);
    return asked.origin === location.origin ? asked.href : CONSOLE;
  } catch (error) {
    return CONSOLE;
  }
}

function inPlace(error) {
  if (error.status === 401) {
    return text.signInWrong;
  }
  return error.status === 429 ? text.signInSlow : error.message || text.noAnswerHere;
}

function explain(words, isWrong) {
  say(byId("problem"), words);
  if (isWrong) {
    field.setAttribute("aria-invalid", "true");
    field.setAttribute("aria-describedby", "problem");
  } else {
    field.removeAttribute("aria-invalid");
    field.removeAttribute("aria-describedby");
  }
}
