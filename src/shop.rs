//! The shop as it is at this moment: what is on its menu, whether it takes orders, when a drink could be ready.
//!
//! Knows nothing of calls or of HTTP.

use crate::ordering::menu::Menu;
use std::sync::Arc;

/// The shop. Cheap to clone.
#[derive(Clone)]
pub struct Shop(Arc<Inner>);

struct Inner {
    menu: Arc<Menu>,
    ordering_enabled: bool,
}

impl Shop {
    /// A shop with this menu; `ordering_enabled`: whether it takes orders at all.
    pub fn new(menu: Arc<Menu>, ordering_enabled: bool) -> Self {
        Self(Arc::new(Inner { menu, ordering_enabled }))
    }

    /// What is sold and said.
    pub fn menu(&self) -> &Arc<Menu> {
        &self.0.menu
    }

    /// Why no orders are taken, as a sentence to say; none: they are.
    pub fn ordering_closed(&self) -> Option<&'static str> {
        (!self.0.ordering_enabled).then_some("We are not taking orders by phone right now. Please try again later.")
    }

    /// Minutes until the last of `drinks` is made, after `drinks_ahead` others, one after the other; none: the menu says
    /// nothing about time.
    pub fn ready_in_minutes(&self, drinks_ahead: u32, drinks: u32) -> Option<u32> {
        self.0.menu.minutes_to_make().map(|minutes| minutes.saturating_mul(drinks_ahead.saturating_add(drinks)))
    }
}
