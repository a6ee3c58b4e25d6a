//! Who has joined, what they call themselves, who is there.

use super::stored::Guest;
use super::{NewMember, Outcome, Output, Session};
use crate::table::protocol::ServerMessage;
use jiff::Timestamp;
use std::collections::VecDeque;

/// Dealt out in turn; pages give them their shades.
const COLOURS: usize = 8;

impl Session {
    pub(super) fn join(&mut self, now: Timestamp, member: NewMember, outputs: &mut Vec<Output>) {
        let before = self.kept.guests.len();
        let member_id = format!("m{}", before + 1);
        self.kept.guests.push(Guest {
            member_id: member_id.clone(),
            name: member.name,
            colour: (before % COLOURS) as u8,
            secret_hash: member.secret_hash,
            done: VecDeque::new(),
        });
        self.kept.last_active = now;
        self.kept.updated_at = now;
        outputs.push(Output::Joined(member_id));
        outputs.push(Output::Save);
        self.tell_presence(outputs);
    }

    pub(super) fn connected(&mut self, now: Timestamp, member: &str, outputs: &mut Vec<Output>) {
        if self.guest(member).is_none() {
            return;
        }
        let screens = self.screens.entry(member.to_owned()).or_default();
        *screens = screens.saturating_add(1);
        let is_first = *screens == 1;
        self.kept.last_active = now;
        // The screen knows nothing yet: whatever else it was told first would be told in vain.
        self.show(now, member, outputs);
        if is_first {
            self.tell_presence(outputs);
        }
    }

    pub(super) fn disconnected(&mut self, member: &str, outputs: &mut Vec<Output>) {
        let Some(screens) = self.screens.get_mut(member) else { return };
        *screens -= 1;
        if *screens == 0 {
            self.screens.remove(member);
            self.tell_presence(outputs);
        }
    }

    pub(super) fn rename(&mut self, now: Timestamp, member: &str, name: String, outputs: &mut Vec<Output>) -> Outcome {
        if let Some(guest) = self.guest_mut(member)
            && guest.name != name
        {
            guest.name = name;
            self.kept.updated_at = now;
            self.tell_presence(outputs);
        }
        Outcome::Done
    }

    pub(super) fn ask_to_pay(&mut self, now: Timestamp, member: &str, outputs: &mut Vec<Output>) -> Outcome {
        if self.kept.bill_asked_at.is_none() {
            self.kept.bill_asked_at = Some(now);
            self.kept.updated_at = now;
            outputs.push(Output::All(ServerMessage::BillAsked { by: member.to_owned() }));
        }
        Outcome::Done
    }

    pub(super) fn guest(&self, member: &str) -> Option<&Guest> {
        self.kept.guests.iter().find(|guest| guest.member_id == member)
    }

    pub(super) fn guest_mut(&mut self, member: &str) -> Option<&mut Guest> {
        self.kept.guests.iter_mut().find(|guest| guest.member_id == member)
    }

    /// What a member calls themselves.
    pub(super) fn name_of(&self, member: &str) -> String {
        self.guest(member).map(|guest| guest.name.clone()).unwrap_or_default()
    }

    fn tell_presence(&self, outputs: &mut Vec<Output>) {
        outputs.push(Output::All(ServerMessage::Presence { members: self.members() }));
    }
}
