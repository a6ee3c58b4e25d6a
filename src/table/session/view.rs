//! What a session shows: to one of its members, and to staff.

use super::stored::{Stage, Waiting, drinks, total};
use super::{Output, Session};
use crate::table::protocol::{Join, Kind, Line, LineState, Member, Pending, Processing, ServerMessage, Snapshot};
use jiff::Timestamp;

/// A session as staff see it in a list.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Overview {
    /// The session's id.
    pub session: String,
    /// Whose cart it is.
    pub kind: Kind,
    /// What the guests call themselves.
    pub guests: Vec<String>,
    /// Screens that are connected.
    pub connected: usize,
    /// Drinks in the cart.
    pub count: u32,
    /// Orders that were taken.
    pub orders: usize,
    /// Whether an order is on its way.
    pub locked: bool,
    /// Since when the bill is asked for; none: it is not.
    pub bill_asked_at: Option<Timestamp>,
    /// When it began.
    pub started_at: Timestamp,
    /// When something last happened in it.
    pub last_active: Timestamp,
}

impl Session {
    /// Everything, as this member sees it; none: there is no such member.
    pub fn snapshot(&self, member: &str, now: Timestamp) -> Option<Snapshot> {
        let you = self.guest(member)?.member_id.clone();
        let kept = &self.kept;
        Some(Snapshot {
            session: kept.id.clone(),
            kind: kept.kind,
            table: kept.table.as_ref().map(|(_, name)| name.clone()),
            you,
            members: self.members(),
            revision: kept.revision,
            saved_revision: self.saved_revision,
            items: self.lines(),
            total: total(&kept.lines),
            count: drinks(&kept.lines),
            cart_locked: self.is_locked(),
            pending: self.pending(),
            order_processing_status: self.processing(),
            orders: kept.orders.iter().map(super::stored::Taken::shown).collect(),
            sold_out: self.sold_out(),
            closed: self.notice.closed.clone(),
            join: self.join_shown(),
            bill_asked: kept.bill_asked_at.is_some(),
            drinks_per_member: self.menu.limits().drinks_per_order,
            last_updated: kept.updated_at,
            server_time: now,
        })
    }

    /// Who is in it, for staff: names and whether they are connected; drinks in the cart; whether the bill was asked for.
    pub fn overview(&self) -> Overview {
        let kept = &self.kept;
        Overview {
            session: kept.id.clone(),
            kind: kept.kind,
            guests: kept.guests.iter().map(|guest| guest.name.clone()).collect(),
            connected: self.screens.values().fold(0, |sum, screens| sum.saturating_add(*screens as usize)),
            count: drinks(&kept.lines),
            orders: kept.orders.len(),
            locked: self.is_locked(),
            bill_asked_at: kept.bill_asked_at,
            started_at: kept.started_at,
            last_active: kept.last_active,
        }
    }

    /// Shows everything to one member.
    pub(super) fn show(&self, now: Timestamp, member: &str, outputs: &mut Vec<Output>) {
        if let Some(snapshot) = self.snapshot(member, now) {
            outputs.push(Output::To(member.to_owned(), ServerMessage::Snapshot(Box::new(snapshot))));
        }
    }

    /// Shows everything to everybody who is there: for what is too rare to have a message of its own.
    pub(super) fn show_all(&self, now: Timestamp, outputs: &mut Vec<Output>) {
        for guest in self.kept.guests.iter().filter(|guest| self.screens.contains_key(&guest.member_id)) {
            self.show(now, &guest.member_id, outputs);
        }
    }

    pub(super) fn members(&self) -> Vec<Member> {
        let member = |guest: &super::stored::Guest| Member {
            member_id: guest.member_id.clone(),
            name: guest.name.clone(),
            colour: guest.colour,
            online: self.screens.contains_key(&guest.member_id),
        };
        self.kept.guests.iter().map(member).collect()
    }

    pub(super) fn lines(&self) -> Vec<Line> {
        let state = self.line_state();
        self.kept.lines.iter().map(|line| line.shown(state)).collect()
    }

    /// Where the lines of the cart stand: all of them alike.
    pub(super) fn line_state(&self) -> LineState {
        if self.is_locked() { LineState::Locked } else { LineState::Pending }
    }

    pub(super) fn is_locked(&self) -> bool {
        matches!(self.kept.stage, Stage::Placing(_) | Stage::Sent(_))
    }

    /// What cannot be had, as the menu spells it: also what needs something that is sold out.
    pub(super) fn sold_out(&self) -> Vec<String> {
        let stock = &self.notice.stock;
        let options =
            self.menu.fields().iter().flat_map(|field| field.options.iter().map(move |option| (field, option)));
        let out = options.filter(|(field, option)| !stock.has(field, option));
        out.filter_map(|(field, option)| Some(stock.sold_out_name(field, option)?.as_str().to_owned())).collect()
    }

    fn processing(&self) -> Processing {
        match self.kept.stage {
            Stage::Placing(_) | Stage::Sent(_) => Processing::Processing,
            Stage::Failed { .. } => Processing::Failed,
            Stage::Open if self.kept.just_confirmed => Processing::Confirmed,
            Stage::Open => Processing::Idle,
        }
    }

    fn pending(&self) -> Pending {
        let (attempt, order, error) = match &self.kept.stage {
            Stage::Open => (None, None, self.kept.called_off_because.clone()),
            Stage::Placing(placing) => (Some(&placing.attempt), placing.again.as_ref(), None),
            Stage::Sent(order) => (Some(&order.attempt), Some(order.as_ref()), None),
            // Nobody holds the cart then.
            Stage::Failed { order, error } => (None, Some(order.as_ref()), Some(error.clone())),
        };
        let by = attempt.map(|attempt| attempt.by.clone());
        Pending {
            locked_by_member: by.clone(),
            locked_by_name: by.as_deref().map(|by| self.name_of(by)),
            locked_by: by,
            pending_order_id: order.map(|order: &Waiting| order.order_id.clone()),
            pending_order_number: order.map(|order| order.order_number),
            pending_notes: attempt.or(order.map(|order| &order.attempt)).and_then(|attempt| attempt.notes.clone()),
            pending_since: attempt.map(|attempt| attempt.since),
            error,
        }
    }

    fn join_shown(&self) -> Option<Join> {
        let door = &self.kept.door;
        (self.kept.kind == Kind::Table)
            .then(|| Join { code: door.code.clone(), link: format!("{}?invite={}", door.path, door.invite) })
    }
}
