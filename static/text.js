// Every sentence the pages show, in one place, so that a shop can translate them by editing this file alone.
//
// A plain string fills the elements that carry its key in `data-text`; a function is called by a script with the
// values it names. Nothing here is markup: all of it reaches the page as text. Product names, choices and the shop's
// own name come from the server and are not translated here.

/** The language of this file, as a BCP 47 tag; becomes the `lang` of every page. */
export const language = "en";

export const text = {
  // All pages
  shopUnknown: "Our shop",
  skipToContent: "Skip to the orders",
  home: "How to order",
  titleOf: (shop, page) => `${shop} – ${page}`,

  // Landing page
  landingTitle: "Order by phone",
  landingLead: "Call, say what you would like, and hang up with an order number. No app, no account.",
  landingCall: (number) => `Call ${number}`,
  landingNoNumber: "Ask at the counter for the number to call.",
  stepsHeading: "How it works",
  stepCall: "Call us.",
  stepCallMore: "A voice assistant answers and takes your order.",
  stepSay: "Say what you would like.",
  stepSayMore: "Each drink is read back to you; only what you confirm is ordered.",
  stepNumber: "Remember your order number.",
  stepNumberMore: "Look for it on the screen in the shop. When it stands under Ready, your order is waiting.",
  landingScreens: "Screens",
  linkOrders: "Order screen",
  linkOrdersMore: "Which orders are being prepared, and which are ready",
  linkBarista: "Console",
  linkBaristaMore: "For staff",

  // The API's description; what it says of routes comes from the server
  apiTitle: "Orders for programs",
  apiSkip: "Skip to the routes",
  apiDocument: "The same as an OpenAPI 3.1 document",
  apiContents: "Routes",
  apiSchemas: "Shapes",
  apiParameters: "Parameters",
  apiBody: "Body",
  apiAnswers: "Answers",
  apiGuarded: "For staff and programs with the API key.",
  apiOpen: "For anyone.",
  apiPlaces: { path: "in the path", query: "in the query", header: "as a header" },
  apiRequired: "required",
  apiOptional: "optional",
  apiHeaders: "With the headers",
  apiListOf: "list of",
  apiAnything: "anything",
  apiOr: "or",
  apiFailed: "The description could not be loaded. Please reload the page.",

  // TV
  tvTitle: "Orders",
  preparing: "Preparing",
  ready: "Ready",
  nothingPreparing: "Nothing in preparation",
  nothingReady: "Nothing to pick up",
  moreWaiting: (count) => `and ${count} more after these`,
  moreReady: (count) => `and ${count} more, ready before these`,
  nowReady: (numbers) => `Ready now: ${numbers}`,
  orderByPhone: (number) => `Order by phone: ${number}`,
  pausedPublic: "Phone orders are paused at the moment",
  tvStale: (time) => `Not live since ${time}`,
  tvStaleMore: "Please ask at the counter.",
  connecting: "Connecting …",

  // Console
  consoleTitle: "Console",
  toMake: "To make",
  waitingForPickup: "Waiting for pickup",
  recentlyFinished: "Recently finished",
  nothingToMake: "Nothing to make",
  nothingWaiting: "Nothing waiting",
  nothingFinished: "Nothing yet",
  olderReady: (count) => (count === 1 ? "and 1 older order" : `and ${count} older orders`),
  pausedStaff: "Ordering is paused: callers cannot order.",
  consoleStale: (time) => `Not live since ${time}. Orders may be missing or out of date. Reconnecting …`,
  signInAgain: "Please sign in again.",
  reload: "Reload",
  // Calls that began before the console was listening are unknown to it, so it says where it began to count.
  callsInProgress: (count, time) => `${count} ${count === 1 ? "call" : "calls"} in progress, counted from ${time}`,
  newOrder: (number) => `New order ${number}`,
  newOrders: (count) => `${count} new orders`,
  orderHeading: (number) => `Order ${number}`,
  times: (quantity) => `${quantity} ×`,
  note: (words) => `Note: ${words}`,
  orderNotes: (words) => `Notes: ${words}`,
  total: (amount) => `Total ${amount}`,
  done: "Done",
  doneLabel: (number) => `Order ${number} is done`,
  doneWorking: "Saving …",
  maskedPhone: (end) => `••• ${end}`,
  showPhone: (end) => `Show the phone number ending in ${end}`,
  hidePhone: (number) => `${number}. Hide the phone number`,
  undelivered: "Not delivered",
  notDelivered: (kind, number) => `Order ${number}: ${kind} could not be delivered.`,
  tryAgain: "Try again",
  tryAgainLabel: (kind, number) => `Try again to deliver ${kind} of order ${number}`,
  justNow: "just now",
  minutesAgo: (minutes) => `${minutes} min`,
  hoursAgo: (hours, minutes) => `${hours} h ${minutes} min`,
  daysAgo: (days) => (days === 1 ? "1 day" : `${days} days`),

  // What went wrong with a request, where the server did not say it in words
  noAnswer: "No answer from the server, so this may not have been saved. It is safe to tap again.",
  refused: (status) => `The server refused this (${status}).`,
  withReference: (words, reference) => `${words} (${reference})`,

  // Labels of the wire's words; a word that is not here is shown as it came
  statuses: {
    pending: "Pending: not accepted yet",
    received: "Confirmed",
    preparing: "Being prepared",
    ready: "Ready for pickup",
    completed: "Completed",
    cancelled: "Cancelled",
  },
  deliveryKinds: {
    text_received: "the text that confirms it",
    text_ready: "the text that it is ready",
    text_cancelled: "the text that it was cancelled",
    sheet_row: "the row in the spreadsheet",
    webhook: "the notice to the webhook",
  },
  channels: { phone: "Phone", web: "Web", api: "API" },
};
