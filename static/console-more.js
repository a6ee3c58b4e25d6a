// What is seldom wanted: the keys, the link for the TV, other screens, and the way out.

import { confirmed, dialog } from "./dialog.js";
import { element, inWords, say } from "./page.js";
import { get, post } from "./server.js";
import { text } from "./text.js";

/** The drawer. `open()` shows it, `show(settings)` brings it up to date. */
export function moreDrawer(remark) {
  const problem = element("p", "card-problem");
  problem.setAttribute("role", "alert");
  say(problem, "");
  const link = element("input", "field");
  link.readOnly = true;
  link.id = "tv-link";
  const label = element("label", "field-label", text.tvLink);
  label.htmlFor = link.id;
  const copied = element("p", "soft");
  copied.setAttribute("role", "status");
  const copy = plainButton("button", text.copy, async () => {
    link.select();
    try {
      await navigator.clipboard.writeText(link.value);
      say(copied, text.copied);
    } catch (error) {
      say(copied, text.copyByHand);
    }
  });
  const revoke = plainButton("button danger", text.revoke, async () => {
    if (await confirmed(text.revoke, text.revokeMore, text.revokeYes)) {
      await attempt(async () => {
        showLink(await post("/barista/tv/revoke"));
        say(copied, text.revoked);
      });
    }
  });
  const tv = element(
    "section",
    "panel",
    element("h3", "panel-heading", text.tvHeading),
    label,
    link,
    element("div", "button-row", copy, revoke),
    copied,
  );
  tv.hidden = true;
  const here = plainButton("button", text.signOut, () => signOut(false));
  const everywhere = plainButton("button danger", text.signOutEverywhere, async () => {
    if (await confirmed(text.signOutEverywhere, text.signOutEverywhereMore, text.signOutYes)) {
      signOut(true);
    }
  });
  const out = element("section", "panel", element("h3", "panel-heading", text.signOutHeading), element("div", "button-row", here, everywhere));
  const screens = element(
    "section",
    "panel",
    element("h3", "panel-heading", text.landingScreens),
    element("p", "button-row", anchor("/barista/tables", text.tablesTitle), anchor("/barista/calls", text.earlierCalls), anchor("/orders", text.linkOrders), anchor("/", text.home)),
  );
  const keys = element("section", "panel", element("h3", "panel-heading", text.keysHeading), keyTable());
  const box = dialog({ kind: "drawer", title: text.more });
  box.root.id = "more-drawer";
  box.body.append(remark, problem, tv, out, screens, keys);

  async function signOut(all) {
    await attempt(async () => {
      await post("/logout", { everywhere: all });
      // Who goes on purpose leaves nothing behind to be read.
      window.location.replace("/login");
    });
  }

  async function attempt(work) {
    say(problem, "");
    try {
      await work();
    } catch (error) {
      say(problem, inWords(error));
    }
  }

  function showLink(answer) {
    tv.hidden = answer.link === null;
    link.value = answer.link || "";
  }

  return {
    show: (settings) => (out.hidden = !settings.signed_in),
    open: () => {
      box.open();
      box.heading.focus();
      say(copied, "");
      attempt(async () => showLink(await get("/barista/tv.json")));
    },
  };
}

/** The keys as a table of two columns. */
export function keyTable() {
  const table = element("dl", "keys");
  text.keys.forEach(([key, what]) => table.append(element("dt", "", element("kbd", "", key)), element("dd", "", what)));
  return table;
}

function anchor(path, words) {
  const made = element("a", "button", words);
  made.href = path;
  return made;
}

function plainButton(className, words, onTap) {
  const made = element("button", className, words);
  made.type = "button";
  made.addEventListener("click", onTap);
  return made;
}
