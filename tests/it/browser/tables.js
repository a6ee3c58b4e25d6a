// What is wrong with the guests' page's model, queue, desk and details of an order, as a list of sentences; an expression, run
// in a page of the server.
Promise.all(["model", "queue", "desk", "drink", "details"].map((name) => import(`/static/table/${name}.js`))).then(
  async ([{ Model }, { Queue }, { Desk }, drink, { orderDetails }]) => {
    const faults = [];
    const is = (what, worth, wanted) => {
      if (JSON.stringify(worth) !== JSON.stringify(wanted)) {
        faults.push(`${what}: ${JSON.stringify(worth)} instead of ${JSON.stringify(wanted)}`);
      }
    };
    const line = (id, revision, qty) => ({ public_id: id, owner: "m2", state: "pending", revision, flavor: "tea", qty, price: 2, subtotal: 2 * qty });
    const snapshot = (more) => ({
      type: "snapshot", session: "s", kind: "table", you: "m1", revision: 3, saved_revision: 2, total: 2, count: 1, cart_locked: false,
      members: [{ member_id: "m1", name: "Ada", colour: 0 }, { member_id: "m2", name: "Eve", colour: 1 }],
      items: [line("l1", 1, 1)], orders: [], sold_out: [], order_processing_status: "idle", ...more,
    });

    // What no version of this page has heard of, and what is half of something, is passed over.
    const odd = [null, 7, "x", [], {}, { type: 7 }, { type: "x" }, { type: "__proto__" }, { type: "constructor" }, { type: "presence" },
      { type: "add_item" }, { type: "add_item", revision: 4 }, { type: "cart_unlocked" }, { type: "order_status" }, { type: "snapshot" }];
    const fresh = new Model();
    is("odd messages before a cart", odd.map((message) => fresh.apply(message).length), odd.map(() => 0));
    is("a cart out of nothing", fresh.cart, null);
    const full = new Model();
    full.apply(snapshot());
    odd.forEach((message) => full.apply(message));
    is("a cart after odd messages", full.cart.items.length, 1);

    // In the sequence of the revisions: an old one changes nothing, a gap asks for everything.
    const model = new Model();
    model.apply(snapshot());
    const change = (revision, qty) => ({ type: "update_item", op_id: "o", by: "m2", revision, total: 2 * qty, count: qty, line: line("l1", revision, qty) });
    is("news of a change", model.apply(change(4, 2)).map(({ what, name }) => [what, name]), [["changed", "Eve"]]);
    is("an old change", [model.apply(change(4, 9)).length, model.cart.total], [0, 4]);
    is("a gap", [model.apply(change(6, 9)).length, model.hasGap, model.cart.total], [0, true, 4]);
    model.apply(snapshot({ revision: 6 }));
    is("after a snapshot", [model.hasGap, model.cart.revision], [false, 6]);

    // The button's states, and an order that became one while nobody listened.
    is("open", model.button(false), "place");
    is("about to be placed", model.button(true), "pending");
    model.apply({ type: "cart_locked", revision: 7, locked_by_member: "m2", locked_by_name: "Eve", order_id: "O", order_number: "1", timestamp: "2026-01-01T00:00:00Z" });
    is("locked by another", [model.button(false), model.isOpen, model.cart.items[0].state], ["locked", false, "locked"]);
    model.apply({ type: "order_failed", order_id: "O", error: "No paper.", allow_retry: true });
    model.apply({ type: "cart_unlocked", revision: 8, items: [line("l1", 1, 1)], total: 2 });
    is("failed", [model.button(false), model.isOpen, model.cart.error], ["retry", true, "No paper."]);
    model.apply({ type: "remove_item", op_id: "o", by: "m1", revision: 9, public_id: "l1", total: 0, count: 0 });
    is("nothing left to retry", model.button(false), "place");
    const order = { order_id: "O", order_number: "1", status: "received", items: [] };
    is("missed", model.replace(snapshot({ revision: 12, orders: [order] })).map(({ what }) => what), ["confirmed"]);
    is("told again", model.apply({ type: "order_status", order }).length, 0);
    const gone = { ...order, order_id: "N", status: "cancelled" };
    is("cancelled meanwhile", model.replace(snapshot({ revision: 13, orders: [order, gone] })).map(({ what }) => what), ["status"]);
    model.replace(snapshot({ revision: 12, orders: [order] }));

    // An order that was given up and made all the same is not the one that is on its way.
    const two = new Model();
    two.apply(snapshot());
    const late = { order_id: "P", order_number: "9", status: "received", items: [] };
    const state = () => [two.cart.cart_locked, two.cart.order_processing_status, two.cart.pending_order_id, two.cart.items.length];
    two.apply({ type: "cart_locked", revision: 4, locked_by_member: "m2", locked_by_name: "Eve", order_id: "O", order_number: "1", timestamp: "2026-01-01T00:00:00Z" });
    const lateNews = two.apply({ type: "order_confirmed", revision: 5, order_id: "P", order: late, items: [], total: 0 });
    is("another order is taken", [lateNews.map(({ what }) => what), two.cart.orders.length, state()], [["confirmed"], 1, [true, "processing", "O", 0]]);
    is("another order fails", two.apply({ type: "order_failed", order_id: "P", error: "No.", allow_retry: true }).length, 0);
    two.apply({ type: "order_processing", order_id: "P", order_number: "9", pending_since: "2026-01-01T00:00:00Z" });
    is("the lock holds", [state(), two.cart.locked_by_name], [[true, "processing", "O", 0], "Eve"]);
    two.apply({ type: "order_confirmed", revision: 6, order_id: "O", order: { ...late, order_id: "O" }, items: [line("l2", 1, 1)], total: 2 });
    is("until its own order is taken", [state(), two.cart.locked_by_name], [[false, "confirmed", null, 1], null]);
    // An order that staff have cancelled while this screen slept, with and without the sentence; and one that they bring back.
    const locked = { cart_locked: true, order_processing_status: "processing", pending_order_id: "P", error: null };
    const asleep = (then) => {
      const other = new Model();
      other.apply(snapshot({ revision: 12, ...locked }));
      return other.replace(snapshot({ revision: 14, pending_order_id: null, error: null, ...then })).map(({ what, error, allowRetry }) => [what, error, allowRetry]);
    };
    is("slept through a cancellation", asleep({ error: "Cancelled." }), [["failed", "Cancelled.", false]]);
    is("and through more", asleep({}), [["failed", null, false]]);
    is("slept through a refusal", asleep({ pending_order_id: "P", order_processing_status: "failed", error: "No." }), [["failed", "No.", true]]);
    is("slept through nothing", asleep(locked), []);
    const off = new Model();
    off.apply(snapshot({ revision: 12, ...locked }));
    off.apply({ type: "order_failed", order_id: "P", error: "Cancelled.", allow_retry: false });
    off.apply({ type: "cart_unlocked", revision: 13, items: [line("l1", 1, 1)], total: 2 });
    is("cancelled", [off.button(false), off.cart.error, off.hasGap], ["place", "Cancelled.", false]);
    off.apply(change(14, 2));
    is("until the cart changes", off.cart.error, null);
    off.apply({ type: "cart_locked", revision: 15, locked_by_member: "m2", order_id: "Q" });
    off.apply({ type: "order_confirmed", revision: 16, order_id: "P", order: { ...order, order_id: "P" }, items: [], total: 0 });
    is("another one is still locked", [off.isOpen, off.cart.pending_order_id, off.cart.orders.length], [false, "Q", 1]);
    off.apply({ type: "order_failed", order_id: "Q", error: "No.", allow_retry: true });
    is("its wishes are asked for", off.hasGap, true);

    // What was not sent yet becomes one with what comes after it; what was is waited for.
    let kept = [];
    const queue = new Queue([], (entries) => (kept = JSON.parse(JSON.stringify(entries))));
    const step = (qty) => ({ type: "update_item", public_id: "l1", revision: 1, item: { qty } });
    const first = queue.add(step(2));
    is("two steps, one change", [queue.add(step(3)) === first, queue.unanswered[0].item.qty], [true, 3]);
    is("sent", queue.take(() => 1).map(({ revision }) => revision), [1]);
    queue.add(step(4));
    queue.add({ type: "add_item", item: { qty: 1 } });
    is("another line need not wait", queue.take(() => 1).map(({ type }) => type), ["add_item"]);
    queue.answer(first, 5);
    is("then, on what it found", queue.take(() => 2).map(({ revision, item }) => [revision, item.qty]), [[2, 4]]);
    queue.saved(4);
    is("answered is not saved", queue.entries.length, 3);
    // After a crash the server counts on from what it had saved: by its new count nothing is known to be saved.
    queue.unsend();
    queue.saved(9);
    is("another connection's answer", [queue.entries.length, queue.unanswered.length], [3, 2]);
    is("all goes again, in its sequence", queue.take(() => 2).map(({ type }) => type), ["update_item", "add_item"]);
    queue.saved(9);
    is("not answered on this connection", queue.entries.length, 3);
    is("not before what it builds on", queue.take(() => 2).length, 0);
    const reloads = () => new Queue(kept, () => {}).take(() => 2).map(({ op_id: id }) => id);
    is("a reload does the same", reloads(), [kept[0], kept[2]].map(({ message }) => message.op_id));
    queue.answer(first, 10);
    is("then", queue.take(() => 2).map(({ item }) => item.qty), [4]);
    const stale = new Queue(kept, () => {});
    stale.saved(10);
    is("a reload forgets no answer's connection", [stale.entries.length, stale.unanswered.length], [3, 2]);
    queue.saved(9);
    is("not saved", queue.entries.length, 3);
    queue.saved(10);
    is("saved", [queue.entries.length, kept.length], [2, 2]);

    // What was to follow a change that somebody else's has overtaken is not done to theirs.
    const overtaken = new Queue([], () => {});
    const refused = overtaken.add(step(2));
    overtaken.take(() => 1);
    overtaken.add(step(3));
    overtaken.add({ ...step(5), public_id: "l2" });
    overtaken.refuse(refused);
    is("forgotten", overtaken.forgetOnTop("l1").map(({ item }) => item.qty), [3]);
    is("only another line's", overtaken.take(() => 7).map(({ public_id: id }) => id), ["l2"]);

    // Prices and rules, for show.
    const menu = {
      fields: [
        { name: "flavor", kind: "base", default: null, options: [{ name: "tea", price: 5.5 }] },
        { name: "tops", kind: "many", default: [], options: [{ name: "cream", price: 0.1 }, { name: "art", price: 0.2 }] },
        { name: "size", kind: "one", default: "M", options: [{ name: "S", price: 0 }, { name: "M", price: 0.5 }] },
      ],
      rules: [{ if: { field: "tops", option: "art" }, then: { field: "tops", option: "cream" }, say: "Art needs cream." }, { if: null, then: null }],
    };
    const tea = drink.plain(menu, "tea");
    is("plain", [drink.cents(menu, tea), drink.startingAt(menu, "tea").cents], [600, 550]);
    const art = drink.toggled(tea, menu.fields[1], "art");
    is("a rule", drink.broken(menu, art).map(({ say, required }) => [say, required.name]), [["Art needs cream.", "cream"]]);
    const both = drink.toggled(art, menu.fields[1], "cream");
    is("kept", [drink.broken(menu, both).length, drink.cents(menu, both), both.tops], [0, 630, ["cream", "art"]]);
    is("sold out", drink.goneFrom(menu, both, ["art"]), ["art"]);
    is("sold out where two fields have it", drink.goneFrom(menu, both, ["tops:art", "size:cream"]), ["art"]);

    // A time that is gone is not replaced by another, and a failed order keeps its wishes.
    const details = orderDetails({ kind: "ahead" }, { time_zone: "UTC", slots: {} }, () => 1);
    const [name, time, wishes] = ["#order-name", "#order-pickup", "#order-wishes"].map((one) => details.root.querySelector(one));
    const offers = (...free) => details.refused({ code: "SLOT_UNAVAILABLE", message: "Taken.", next_free: free });
    const [five, six, seven] = [17, 18, 19].map((hour) => `2026-01-31T${hour}:00:00Z`);
    const idle = { order_processing_status: "idle", pending_order_id: null };
    name.value = "Ada";
    offers(five, six);
    offers(six, seven);
    is("the first is as soon as possible", [time.value, details.given(idle)], [six, { name: "Ada", pickup_at: six }]);
    offers(five, six);
    time.value = five;
    time.dispatchEvent(new Event("change"));
    is("a time", details.given(idle), { name: "Ada", pickup_at: five });
    offers(six, seven);
    is("a time that is gone", [time.value, time.selectedOptions[0].disabled, details.given(idle)], [five, true, null]);
    is("said", details.root.querySelector("[role=alert]").textContent.includes("no longer free"), true);
    offers(five, six);
    is("back again", details.given(idle), { name: "Ada", pickup_at: five });
    const failed = { order_processing_status: "failed", pending_order_id: "O", pending_notes: "No nuts" };
    const asked = (cart) => details.given(cart).special_instructions;
    details.update(failed, false);
    is("another's wishes", [wishes.value, asked(failed)], ["No nuts", "No nuts"]);
    wishes.value = "";
    is("taken away", [asked(failed), asked({ ...failed, pending_notes: undefined })], ["", undefined]);
    details.update(failed, false);
    is("on its way", wishes.value, "");
    wishes.value = "No ice";
    details.update({ ...failed, pending_notes: "No nuts at all" }, false);
    is("both", wishes.value, "No nuts at all; No ice");
    wishes.value = "No nuts at all";
    details.update(idle, false);
    is("gone with their order", wishes.value, "");
    const told = () => details.root.querySelector("[role=alert]").textContent.includes("was not part of the order");
    const confirmed = { ...idle, order_processing_status: "confirmed" };
    const ordered = () => {
      details.update(confirmed, false, false);
      details.done();
    };
    wishes.value = "Nut allergy";
    ordered();
    is("another has ordered", [wishes.value, told()], ["Nut allergy", true]);
    details.given(idle);
    details.update(idle, false, true);
    ordered();
    is("ordered with it", [wishes.value, told()], ["", false]);
    wishes.value = "Nut allergy";
    details.given(idle);
    details.update(idle, false, true);
    details.update(idle, false, false);
    ordered();
    is("not taken, and another has ordered", [wishes.value, told()], ["Nut allergy", true]);
    details.update({ ...failed, pending_notes: "No ice" }, false, false);
    is("with another's", wishes.value, "No ice; Nut allergy");
    ordered();
    is("theirs is ordered", [wishes.value, told()], ["Nut allergy", true]);

    // A desk whose server is this test.
    let tell = () => {};
    const next = () => new Promise((resolve) => (tell = resolve));
    let wire = null;
    const { WebSocket: real } = window;
    window.WebSocket = class extends EventTarget {
      constructor() {
        super();
        this.sent = [];
        wire = this;
        tell();
      }

      send(text) {
        this.sent.push(JSON.parse(text));
        tell();
      }

      close() {}
    };
    const say = (message) => wire.dispatchEvent(new MessageEvent("message", { data: JSON.stringify(message) }));
    const sent = () => wire.sent.splice(0).map(({ type }) => type);
    const refusals = [];
    const nothing = () => {};
    const heard = [];
    const desk = new Desk("s", menu, { change: nothing, news: ({ what }) => heard.push(what), over: nothing, refused: ({ code }) => refusals.push(code) });
    say(snapshot());
    desk.add({ flavor: "tea", qty: 1 });
    const added = { type: "add_item", op_id: wire.sent[0].op_id, by: "m1", total: 4, count: 2, line: line("l2", 1, 1) };
    say({ ...added, revision: 4 });
    is("a drink is added", [sent(), desk.lines.length, desk.waiting], [["add_item"], 2, 0]);

    // The server is killed before that is saved, and others were there first: it goes again, whatever is saved by now.
    const back = next();
    wire.dispatchEvent(new CloseEvent("close", { code: 1006 }));
    await back;
    say(snapshot({ revision: 6, saved_revision: 6 }));
    is("what a crash has undone", [wire.sent.map(({ op_id: id }) => id), desk.lines.length, desk.waiting], [[added.op_id], 1, 0]);
    sent();
    say({ type: "error", op_id: added.op_id, code: "CART_LOCKED", message: "Locked." });
    const lock = { type: "cart_locked", revision: 7, locked_by_member: "m2", locked_by_name: "Eve", order_id: "O", order_number: "1", timestamp: "2026-01-01T00:00:00Z" };
    say({ type: "presence", members: snapshot().members });
    say(lock);
    is("waits for the lock to end", [sent(), refusals], [[], []]);
    say({ type: "order_confirmed", revision: 8, order_id: "O", order, items: [], total: 0 });
    is("goes then", sent(), ["add_item"]);
    say({ ...added, revision: 9 });
    say({ type: "saved", revision: 9 });
    is("and is there", [desk.lines.length, desk.queue.entries.length], [1, 0]);

    // What is added as somebody orders waits for the order to be through; only what was never sent can be forgotten.
    desk.add({ flavor: "tea", qty: 2 });
    const [addition] = wire.sent.splice(0);
    say({ ...lock, revision: 10 });
    say({ type: "error", op_id: addition.op_id, code: "CART_LOCKED", message: "Locked." });
    const ghost = () => desk.lines.find(({ isGhost }) => isGhost);
    is("held", [ghost().isHeld, desk.waiting, refusals, heard.pop()], [true, 1, [], "held"]);
    desk.remove(ghost());
    is("may be there", desk.waiting, 1);
    say({ type: "order_confirmed", revision: 11, order_id: "O", order: { ...order, order_id: "R" }, items: [], total: 0 });
    is("not forgotten", wire.sent.map(({ op_id: id }) => id), [addition.op_id]);
    say({ type: "error", op_id: addition.op_id, code: "SOLD_OUT", message: "Gone." });
    is("said in the end", [sent().length, desk.waiting, refusals.splice(0)], [1, 0, ["SOLD_OUT"]]);

    // A gap: everything is asked for once, and again when it was refused.
    say(change(13, 1));
    say(change(14, 1));
    is("asked for once", sent(), ["snapshot"]);
    const again = next();
    say({ type: "error", code: "RATE_LIMITED", message: "Too fast.", retry_after_ms: 1 });
    say(change(14, 1));
    is("not before it may be", sent(), []);
    await again;
    is("asked for again, without a word", [sent(), refusals], [["snapshot"], []]);
    say(snapshot({ revision: 14 }));
    say(change(15, 3));
    is("here", [sent(), desk.model.cart.revision], [[], 15]);
    say(change(17, 3));
    is("the next gap", sent(), ["snapshot"]);

    // An order whose answer was lost with the line is known to be this screen's by the answer to its repetition.
    say(snapshot({ revision: 17 }));
    desk.place({});
    const [placing] = wire.sent.splice(0);
    const returned = next();
    wire.dispatchEvent(new CloseEvent("close", { code: 1006 }));
    await returned;
    say(snapshot({ revision: 19, saved_revision: 19, orders: [{ ...order, order_id: "S" }] }));
    is("confirmed, whosever it is", [heard.pop(), desk.isPlacing, wire.sent.pop().op_id], ["confirmed", true, placing.op_id]);
    say({ type: "done", op_id: placing.op_id, revision: 19 });
    is("it was ours", [heard.pop(), desk.isPlacing], ["placed", false]);

    // One screen too many does not come back at once, unless somebody looks at it.
    desk.add({ flavor: "tea", qty: 1 });
    sent();
    const crowded = wire;
    wire.dispatchEvent(new CloseEvent("close", { code: 1013 }));
    desk.add({ flavor: "tea", qty: 3 });
    desk.remove(desk.lines[desk.lines.length - 1]);
    is("never sent, forgotten", desk.waiting, 1);
    await new Promise((resolve) => setTimeout(resolve, 100));
    is("lets the others be", wire === crowded, true);
    window.dispatchEvent(new Event("online"));
    is("comes back", wire === crowded, false);
    desk.shut();
    window.WebSocket = real;
    return faults;
  },
)
