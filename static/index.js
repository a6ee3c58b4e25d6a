// The landing page: the shop's name and the number to dial.

import { byId, openPage, readable, say } from "./page.js";
import { text } from "./text.js";

openPage(text.landingTitle, (shop) => {
  const call = byId("call");
  const phone = shop.phone || "";
  if (phone) {
    call.href = `tel:${phone.replace(/[^+\d]/g, "")}`;
  }
  say(call, phone && text.landingCall(readable(phone)));
  say(byId("no-number"), phone ? "" : text.landingNoNumber);
});
