// The sign-in, in place: a page that stands open keeps all it has, and goes on where it was.

import { dialog } from "./dialog.js";
import { element, say } from "./page.js";
import { post } from "./server.js";
import { text } from "./text.js";

/** The dialog. `open()` asks for the password; `onSignedIn()` is called when it was right. */
export function signIn(onSignedIn) {
  let busy = false;

  const field = element("input", "field");
  field.type = "password";
  field.id = "password";
  field.name = "password";
  field.required = true;
  field.setAttribute("autocomplete", "current-password");
  const label = element("label", "field-label", text.password);
  label.htmlFor = field.id;
  const problem = element("p", "card-problem");
  problem.setAttribute("role", "alert");
  say(problem, "");
  const go = element("button", "button main", text.signIn);
  go.type = "submit";
  const form = element("form", "sign-in-form", label, field, problem, go);
  const box = dialog({ kind: "box", title: text.signInHeading, onClose: () => (field.value = "") });
  box.root.id = "sign-in-dialog";
  box.body.append(element("p", "soft", text.signInMore), form);

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (busy) {
      return;
    }
    busy = true;
    go.setAttribute("aria-disabled", "true");
    say(problem, "");
    try {
      await post("/login", { password: field.value });
      box.close();
      onSignedIn();
    } catch (error) {
      say(problem, error.status === 401 ? text.wrongPassword : error.message || text.noAnswerHere);
      field.select();
    }
    busy = false;
    go.removeAttribute("aria-disabled");
  });

  return {
    open: () => {
      box.open();
      field.focus();
    },
    close: box.close,
  };
}
