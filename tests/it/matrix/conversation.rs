//! The conversation that faults strike: one drink is ordered, confirmed, placed and told, with places to put faults in.

use crate::harness::script;
use bobarista::simulator::Script;
use std::fmt;

/// What the shop has an agent say that is back.
const BRIDGE: &str = "Sorry, the line dropped for a moment. I'm back.";
/// What the caller wants.
const WISH: &str = r#"{ caller = "A taro tea with boba." },"#;

/// A part of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Dialling,
    Greeting,
    Ordering,
    Checkout,
    Goodbye,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", format!("{self:?}").to_lowercase())
    }
}

/// What is put into the conversation, part by part.
#[derive(Clone, Debug, Default)]
pub(super) struct Conversation {
    behaviour: String,
    /// What the agent does before its reply.
    agent: [String; 5],
    /// What happens on the line after the caller's words.
    line: [String; 5],
    /// Options of the tools step.
    options: [String; 5],
    /// The tools step once more.
    again: [bool; 5],
    /// The caller says their wish to nobody, and once more to an agent that is back.
    in_vain: bool,
}

impl Conversation {
    /// How the agent behaves.
    pub(super) fn behaviour(mut self, behaviour: &str) -> Self {
        self.behaviour = behaviour.to_owned();
        self
    }

    /// What goes wrong on the first connection before the agent says anything.
    pub(super) fn before_welcome(self, faults: &[&str]) -> Self {
        self.behaviour(&format!("before_welcome = {faults:?}"))
    }

    /// The agent is lost: in the greeting, after a tool's answer, while the order is being placed, in its last words.
    pub(super) fn fault(mut self, phase: Phase, fault: &str, options: &str) -> Self {
        let when = match phase {
            Phase::Dialling => panic!("an agent that is not there cannot go wrong"),
            Phase::Greeting | Phase::Goodbye => ", into_reply_ms = 300",
            Phase::Ordering => "",
            Phase::Checkout => {
                self.options[phase as usize] = "wait = false".to_owned();
                ""
            }
        };
        self.agent_step(phase, &format!("{{ fault = \"{fault}\"{when}{options} }},"))
    }

    /// Steps of the agent's: in the greeting's place or after the part's tools.
    pub(super) fn agent_step(mut self, phase: Phase, step: &str) -> Self {
        self.agent[phase as usize] = step.to_owned();
        self
    }

    /// Trouble on the line.
    pub(super) fn line(mut self, phase: Phase, trouble: &str, options: &str) -> Self {
        let when = match phase {
            Phase::Dialling => "",
            Phase::Greeting | Phase::Ordering | Phase::Goodbye => ", heard_ms = 300",
            // Half a second until it is certain that the caller has finished, and the agent's thinking.
            Phase::Checkout => ", after_ms = 720",
        };
        self.line[phase as usize] = format!("{{ line = \"{trouble}\"{when}{options} }},");
        self
    }

    /// Options of the part's tools.
    pub(super) fn tool_options(mut self, phase: Phase, options: &str) -> Self {
        self.options[phase as usize] = options.to_owned();
        self
    }

    /// The part's tools are called once more, by the book.
    pub(super) fn asked_again(mut self, phase: Phase) -> Self {
        self.again[phase as usize] = true;
        self
    }

    /// The order cannot be saved at first.
    pub(super) fn placed_at_last(self) -> Self {
        let refused = r#"
            { expect = { tool = "checkout_order", field = "code", value = "NOT_SAVED" } },
            { agent = "I am so sorry, but for some reason I could not place the order. It is still in the cart, and nothing is lost. Shall I try it once more?" },
            { caller = "Yes, please." },"#;
        self.agent_step(Phase::Checkout, refused).asked_again(Phase::Checkout)
    }

    /// What the caller wants is said to an agent that does not hear it.
    pub(super) fn in_vain(self) -> Self {
        Self { in_vain: true, ..self }
    }

    /// What the agent plays.
    pub(super) fn script(&self, name: &str) -> Script {
        self.told(name, WISH)
    }

    /// What the caller plays.
    pub(super) fn callers_script(&self, name: &str) -> Script {
        match self.in_vain {
            true => self.told(name, &format!("{WISH} {{ agent = \"{BRIDGE}\" }}, {WISH}")),
            false => self.script(name),
        }
    }

    /// The whole of it.
    fn told(&self, name: &str, wish: &str) -> Script {
        let Self { behaviour, agent, line, .. } = self;
        let tools = |phase: Phase, calls: &str| {
            let options = &self.options[phase as usize];
            let comma = if options.is_empty() { "" } else { ", " };
            let faulty = format!("{{ tools = [{calls}]{comma}{options} }},\n");
            let fault = &agent[phase as usize];
            let again = if self.again[phase as usize] { format!("{{ tools = [{calls}] }},\n") } else { String::new() };
            format!("{faulty}{fault}{again}")
        };
        let ordered = tools(
            Phase::Ordering,
            r#"{ name = "add_to_cart", arguments = { flavor = "taro milk tea", toppings = ["boba"] } }"#,
        );
        let placed = tools(Phase::Checkout, r#"{ name = "checkout_order" }"#);
        let ended = tools(Phase::Goodbye, r#"{ name = "end_call" }"#);
        let (dialling_line, greeting_line) = (&line[Phase::Dialling as usize], &line[Phase::Greeting as usize]);
        let (ordering_line, checkout_line) = (&line[Phase::Ordering as usize], &line[Phase::Checkout as usize]);
        let (goodbye_line, greeting) = (&line[Phase::Goodbye as usize], &agent[Phase::Greeting as usize]);
        script(&format!(
            r#"
            name = "{name}"
            bridge = "{BRIDGE}"
            behaviour = {{ {behaviour} }}
            step = [
                {greeting}
                {dialling_line}
                {greeting_line}
                {wish}
                {ordering_line}
                {ordered}
                {{ agent = "One taro milk tea with boba, right?" }},
                {{ caller = "Yes." }},
                {checkout_line}
                {{ tools = [{{ name = "confirm_pending_to_cart" }}, {{ name = "save_phone_number" }}] }},
                {placed}
                {{ expect = {{ tool = "checkout_order", field = "ok", value = true }} }},
                {{ agent = "It is {{checkout_order.spoken_order_number}}." }},
                {{ caller = "Thanks." }},
                {goodbye_line}
                {ended}
                {{ agent = "Goodbye!" }},
            ]"#
        ))
    }
}
