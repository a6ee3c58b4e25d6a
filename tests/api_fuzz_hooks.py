"""What the description's own formats mean, what no schema can say, and orders for the tool to find."""

import base64
import json
import urllib.request

import schemathesis
from hypothesis import strategies as st
from schemathesis.generation import GenerationMode

# Any number of the United States, in a few of the ways that people write it.
schemathesis.openapi.format(
    "phone",
    st.builds(
        lambda form, area, exchange, line: form.format(area, exchange, line),
        st.sampled_from(["+1{}{}{}", "({}) {}-{}", "{}-{}-{}", "{}{}{}"]),
        st.integers(201, 989),
        st.integers(200, 999),
        st.from_regex(r"\A[0-9]{4}\Z"),
    ),
)

# A place in a list: when, which, and the id.
schemathesis.openapi.format(
    "cursor",
    st.builds(
        lambda at, n: base64.urlsafe_b64encode(f"{at:020}#{n:020}#ORD-main-{n}".encode()).rstrip(b"=").decode(),
        st.integers(0, 2**62),
        st.integers(0, 2**40),
    ),
)

# Likewise among calls.
schemathesis.openapi.format(
    "call-cursor",
    st.builds(
        lambda at, n: base64.urlsafe_b64encode(f"{at:020}#CA{n}".encode()).rstrip(b"=").decode(),
        st.integers(0, 2**62),
        st.integers(0, 2**40),
    ),
)


class Orders:
    """A few orders that there are: what the tool makes up by itself is hardly ever one of them."""

    FEWEST = 4

    def __init__(self, base):
        self.base = base

    def some(self):
        orders = self.ask("GET", "/api/v1/orders?limit=50")["orders"]
        while len(orders) < self.FEWEST:
            order = {"items": [first_drink(self)], "customer_id": "somebody", "allow_duplicate": True}
            orders.append(self.ask("POST", "/api/v1/orders", order))
        return orders

    def ask(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        headers = {"Authorization": "Bearer fuzz", "Content-Type": "application/json"}
        request = urllib.request.Request(self.base + path, data=data, headers=headers, method=method)
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)


def first_drink(orders):
    """The first drink that is not sold out, with nothing in it that is."""
    drink = {}
    for field in orders.ask("GET", "/api/v1/menu")["fields"]:
        there = [option["name"] for option in field["options"] if not option["sold_out"]]
        if field["kind"] != "many":
            drink[field["name"]] = there[0]
    return drink


def reopen(orders):
    orders.ask("PATCH", "/api/v1/shop", {"paused_until": None, "sold_out": []})


@schemathesis.hook
def before_call(context, case, kwargs):
    if case.cookies:
        # The tool knows the key, and makes up a sign-in beside it: that such a request is let in is no fault.
        case.cookies.pop("__Host-staff", None)
    in_body = isinstance(case.body, dict) and "idempotency_key" in case.body
    if in_body and case.headers and "Idempotency-Key" in case.headers:
        # A key in the header and one in the body have to be the same: the header goes, where both are there.
        del case.headers["Idempotency-Key"]
    meta = case.meta
    if meta is None or meta.generation.mode != GenerationMode.POSITIVE or str(meta.phase.name.value) == "stateful":
        return
    orders = Orders(context_base(case))
    if case.method.upper() == "POST" and case.path == "/api/v1/orders":
        # A shop that the tool has paused takes no orders, which is found out soon enough elsewhere.
        reopen(orders)
    given = case.path_parameters or {}
    kind = next((name for name in ("order_id", "number", "customer_id") if name in given), None)
    # One in four stays as it was made up.
    if kind is None or sum(str(given[kind]).encode()) % 4 == 0:
        return
    reopen(orders)
    if "id" in given:
        failed = orders.ask("GET", "/api/v1/deliveries/failed")["deliveries"]
        if failed:
            chosen = failed[sum(str(given["id"]).encode()) % len(failed)]
            given["order_id"], given["id"] = chosen["order_id"], chosen["delivery"]["id"]
        return
    known = orders.some()
    order = known[sum(str(given[kind]).encode()) % len(known)]
    values = {"order_id": order["order_id"], "number": order["order_number"], "customer_id": order["customer_id"]}
    case.path_parameters[kind] = values[kind] or given[kind]
    if case.headers and "If-Match" in case.headers:
        case.headers["If-Match"] = f'"{order["version"]}"'


def context_base(case):
    return case.operation.base_url.rstrip("/")
