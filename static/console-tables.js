// Whether a table asks to pay: a quiet link, because nobody's drink depends on it.
//
// No event tells of it, so the server is asked now and then; what cannot be asked shows nothing and disturbs nothing.

import { say } from "./page.js";
import { get } from "./server.js";
import { text } from "./text.js";

const LOOK_MS = 10000;

/** Keeps `root`, a link to the tables, at what is so; `mayAsk()` tells whether the server is there to be asked. */
export function askingTables(root, mayAsk) {
  async function look() {
    if (!mayAsk()) {
      return;
    }
    try {
      const { tables } = await get("/api/v1/tables");
      const asking = tables.filter((table) => table.sessions.some((session) => session.bill_asked_at));
      say(root, asking.length === 0 ? "" : text.tablesAsk(asking.map((table) => text.atTable(table.name))));
    } catch (error) {
      // Whether the page may be believed is said by what it follows.
    }
  }

  setInterval(look, LOOK_MS);
  return { look };
}
