// The sheet: every table's code with its name, as large as a page of them can be; or one alone, larger.
//
// Nothing is printed before every code is there: a sheet that lacks one would be noticed at the table.

import { byId, element, inWords, openPage, say } from "./page.js";
import { get } from "./server.js";
import { text } from "./text.js";

// A name of more letters than this is set smaller, on two lines.
const LONG = 16;

const only = new URLSearchParams(window.location.search).get("table");

openPage(text.sheetTitle, (shop) => {
  document.querySelectorAll(".shop").forEach((target) => {
    target.textContent = shop.name;
  });
});
byId("print").addEventListener("click", () => window.print());
draw();

async function draw() {
  try {
    const [shop, { tables }] = await Promise.all([get("/shop.json"), get("/api/v1/tables")]);
    const wanted = tables.filter((table) => only === null || table.table_id === only);
    byId("sheet").classList.toggle("alone", wanted.length === 1);
    byId("sheet").append(...wanted.map((table) => cardOf(table, shop.name)));
    say(byId("problem"), wanted.length === 0 ? text.sheetNone : "");
    await Promise.all(Array.from(document.images, (image) => image.decode()));
    byId("print").disabled = wanted.length === 0;
  } catch (error) {
    // A picture that does not come has no words of its own.
    say(byId("problem"), error.status === undefined ? text.sheetIncomplete : inWords(error));
  }
}

function cardOf(table, shop) {
  const called = text.atTable(table.name);
  const picture = element("img", "code");
  picture.alt = text.codeAlt(called);
  picture.src = `/api/v1/tables/${encodeURIComponent(table.table_id)}/qr.svg?${Date.now()}`;
  return element(
    "section",
    "card",
    element("p", "shop", shop),
    element("h2", called.length > LONG ? "table long" : "table", called),
    picture,
    element("p", "scan", text.scanToOrder),
  );
}
