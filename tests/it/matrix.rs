//! Faults in the parts of a call, as a table: the agent, Twilio, the orders' disk and Twilio's REST API go wrong while the
//! agent is dialled, greets, takes the order, places it, and says goodbye.
//!
//! Every fault in every part, but for what cannot be. An agent is refused while it is dialled: first of all, or after one that
//! was lost in one of the other parts. Tools are asked for twice, or taken back, where an agent asks for any: not before an
//! order is taken. What goes on for ever in a goodbye ends with it. Twilio's REST API is asked when a call ends: after its
//! goodbye, or in another part because the agent is lost for good.
//!
//! After each call there is at most one order, of exactly what was confirmed; both legs are closed; no call, task or
//! connection is left; `call_ended` was sent once; and the caller was told something: nobody is left with dead air. Who can be
//! served in spite of the fault is served. A shop and a call for each line of the table, some at a time.

mod conversation;
mod outside;
mod run;

use conversation::{Conversation, Phase};
use run::{Cell, Ended, Orders, Outcome, run};

use Phase::{Checkout, Dialling, Goodbye, Greeting, Ordering};

const ANY_PHASE: [Phase; 5] = [Dialling, Greeting, Ordering, Checkout, Goodbye];
const WITH_AN_AGENT: [Phase; 4] = [Greeting, Ordering, Checkout, Goodbye];

/// What comes of a call that is brought to its end, on so many connections of the agent.
const fn served(connections: usize) -> Outcome {
    Outcome { orders: Orders::One, ended: Ended::Goodbye, connections: Some(connections) }
}

/// What comes of a call whose agent is given up.
const fn told(orders: Orders, connections: usize) -> Outcome {
    Outcome { orders, ended: Ended::Told, connections: Some(connections) }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_that_cannot_be_had() {
    let dialled = |how: &'static str, outcome| {
        let conversation = Conversation::default().behaviour(&format!("connect = \"{how}\""));
        Cell::new(how, Dialling, conversation, outcome)
    };
    let mut cells = vec![
        dialled("refuse", served(2)),
        dialled("hang_up", served(2)),
        dialled("never_welcome", served(2)),
        dialled("never_apply", served(2)),
        // A wrong key stays wrong, and so do settings that were never right.
        dialled("reject", told(Orders::None, 1)),
        dialled("refuse_settings", told(Orders::None, 1)),
        dialled("refuse", told(Orders::None, 4)).for_ever(),
        dialled("hang_up", told(Orders::None, 4)).for_ever(),
        // Ten seconds, of four at the most for each attempt.
        dialled("never_welcome", told(Orders::None, 3)).for_ever(),
        dialled("never_apply", told(Orders::None, 3)).for_ever(),
    ];
    for phase in WITH_AN_AGENT {
        // What was under way when the agent was lost is carried through.
        let orders = if matches!(phase, Checkout | Goodbye) { Orders::One } else { Orders::None };
        // Settings that are refused are tried once more, without what was said.
        for (connect, connections) in [("refuse", 4), ("reject", 2), ("refuse_settings", 3)] {
            // A connection that is dropped may take the request for the checkout with it.
            let fault = if phase == Checkout { "go_away" } else { "close" };
            let conversation = Conversation::default().fault(phase, fault, "");
            let fault = format!("{fault}, then {connect} for ever");
            cells.push(Cell::new(&fault, phase, conversation, told(orders, connections)).then(connect));
        }
    }
    run(cells).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_that_is_lost() {
    let mut cells = Vec::new();
    for fault in ["error", "close", "go_away", "half_frame", "silence", "deaf"] {
        cells.push(Cell::new(fault, Dialling, Conversation::default().before_welcome(&[fault]), served(2)));
    }
    for phase in WITH_AN_AGENT {
        for fault in ["error", "close", "go_away", "half_frame", "silence", "deaf"] {
            // An agent that says nothing more has said its goodbye: all of it was sent, if not that this is all. Of one that
            // is lost nobody can say that, and the next one says it again.
            let connections = if phase == Goodbye && matches!(fault, "silence" | "deaf") { 1 } else { 2 };
            let mut conversation = Conversation::default().fault(phase, fault, "");
            if phase == Greeting && matches!(fault, "silence" | "deaf") {
                // It owes nothing until the caller has spoken, and what they say it does not hear.
                conversation = conversation.in_vain();
            }
            cells.push(Cell::new(fault, phase, conversation, served(connections)));
        }
    }
    run(cells).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_that_makes_noise() {
    let mut cells = Vec::new();
    for fault in ["garbage", "unknown_message", "flood"] {
        cells.push(Cell::new(fault, Dialling, Conversation::default().before_welcome(&[fault]), served(1)));
    }
    let mut for_ever = ["garbage"; 11];
    for_ever[10] = "close";
    let conversation = Conversation::default().before_welcome(&for_ever);
    cells.push(Cell::new("garbage for ever", Dialling, conversation, served(2)));
    for phase in WITH_AN_AGENT {
        for fault in ["garbage", "unknown_message", "flood"] {
            let step = format!("{{ fault = \"{fault}\" }},");
            let conversation = Conversation::default().agent_step(phase, &step);
            cells.push(Cell::new(fault, phase, conversation, served(1)));
        }
        if phase != Goodbye {
            // More than anybody listens to; it ends with a connection that nobody holds any more.
            let step = "{ fault = \"garbage\" },".repeat(10) + "{ fault = \"close\" },";
            let conversation = Conversation::default().agent_step(phase, &step);
            cells.push(Cell::new("garbage for ever", phase, conversation, served(2)));
        }
    }
    run(cells).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_that_asks_twice_at_once_or_takes_it_back() {
    let mut cells = Vec::new();
    for phase in [Ordering, Checkout, Goodbye] {
        for (fault, options) in [
            ("the same request twice", "repeat = \"same_id\""),
            ("two requests for one", "repeat = \"new_id\""),
            ("taken back at once", "cancel_after_ms = 0"),
            ("taken back later", "cancel_after_ms = 100"),
            ("taken back after the answer", "cancel_answered = true"),
        ] {
            let mut conversation = Conversation::default().tool_options(phase, options);
            if options.starts_with("cancel") {
                // A turn that is resumed asks again.
                conversation = conversation.asked_again(phase);
            }
            cells.push(Cell::new(fault, phase, conversation, served(1)));
        }
        let wrong = match phase {
            Ordering => {
                r#"{ tools = [{ name = "checkout_order" }, { name = "confirm_pending_to_cart" }, { name = "get_cart" }], apart = true },"#
            }
            Checkout => {
                r#"{ tools = [{ name = "checkout_order" }, { name = "order_is_placed" }, { name = "checkout_order" }], apart = true, repeat = "new_id" },"#
            }
            _ => {
                r#"{ tools = [{ name = "order_status" }, { name = "checkout_order" }, { name = "end_call" }], apart = true },"#
            }
        };
        let conversation = Conversation::default().agent_step(phase, wrong);
        cells.push(Cell::new("out of order and at once", phase, conversation, served(1)));
    }
    run(cells).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_telephone_line_that_goes_wrong() {
    let mut cells = Vec::new();
    for phase in ANY_PHASE {
        let orders = match phase {
            Dialling | Greeting | Ordering => Orders::None,
            // The line breaks while the order is placed: before or after, nobody can say.
            Checkout => Orders::AtMostOne,
            Goodbye => Orders::One,
        };
        let broken = |ended| Outcome { orders, ended, connections: None };
        for (fault, options, outcome) in [
            ("drop", "", broken(Ended::Told)),
            ("stop", "", broken(Ended::HungUp)),
            ("start_again", "", served(1)),
            // Shorter than any of the agent's replies: what the caller says after them is heard.
            ("pause", ", for_ms = 1200", served(1)),
            ("hold_marks", ", for_ms = 4000", served(1)),
            ("lose_marks", "", served(1)),
        ] {
            let conversation = Conversation::default().line(phase, fault, options);
            cells.push(Cell::new(fault, phase, conversation, outcome));
        }
    }
    run(cells).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outside_that_is_slow_or_away() {
    let mut cells = Vec::new();
    for phase in ANY_PHASE {
        // The first agent that is dialled is not there, so that there is time for it.
        let (plain, outcome) = match phase {
            Dialling => (Conversation::default().behaviour("connect = \"refuse\""), served(2)),
            _ => (Conversation::default(), served(1)),
        };
        let placed_late = if phase == Checkout { plain.clone().placed_at_last() } else { plain.clone() };
        cells.push(Cell::new("store away", phase, placed_late, outcome).outside(outside::store_away(phase)));
        cells.push(Cell::new("store slow", phase, plain, outcome).outside(outside::store_slow(phase)));
    }
    for (fault, api) in [("REST away", outside::rest_away()), ("REST slow", outside::rest_slow())] {
        let ended = Ended::ToldByRest;
        let outcome = Outcome { ended, ..served(1) };
        cells.push(Cell::new(fault, Goodbye, Conversation::default(), outcome).outside(api));
        let nobody = Conversation::default().behaviour("connect = \"refuse\"");
        let outcome = Outcome { ended, ..told(Orders::None, 4) };
        cells.push(Cell::new(fault, Dialling, nobody, outcome).for_ever().outside(api));
        for phase in [Greeting, Ordering, Checkout] {
            let conversation = Conversation::default().fault(phase, "error", ", code = \"FAILED_TO_THINK\"");
            let orders = if phase == Checkout { Orders::One } else { Orders::None };
            let outcome = Outcome { ended, ..told(orders, 4) };
            cells.push(Cell::new(fault, phase, conversation, outcome).then("refuse").outside(api));
        }
    }
    run(cells).await;
}
