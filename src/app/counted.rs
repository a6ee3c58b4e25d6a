//! What of this program is counted: the names that metrics know, and who counts events.

use crate::bridge::EndReason;
use crate::bridge::moment::Loss;
use crate::call::Refused;
use crate::events::{Tally, Teller};
use crate::metrics::{Metrics, Names};
use crate::order_service::{DeliveryKind, Lane};
use crate::ordering::menu::Menu;
use crate::ordering::order::Channel;
use crate::ordering::status::OrderStatus;
use crate::tools;
use crate::web::metrics::ROUTES;

/// What labels of metrics may say.
pub(super) fn names(menu: &Menu) -> Names {
    // One that is not offered is called all the same, and refused.
    let tools = tools::specs(menu, true).into_iter().map(|spec| spec.name);
    Names {
        endings: EndReason::ALL.map(EndReason::as_str).to_vec(),
        losses: Loss::ALL.map(Loss::as_str).to_vec(),
        tools: tools.chain(["confirm_pending_item"]).collect(),
        outcomes: tools::outcomes().collect(),
        channels: Channel::ALL.map(Channel::as_str).to_vec(),
        statuses: OrderStatus::ALL.map(OrderStatus::as_str).to_vec(),
        deliveries: DeliveryKind::ALL.map(DeliveryKind::as_str).to_vec(),
        lanes: Lane::ALL.map(Lane::as_str).to_vec(),
        refusals: Refused::ALL.map(Refused::as_str).to_vec(),
        routes: ROUTES.to_vec(),
    }
}

/// Counts what is announced.
pub(super) fn teller(metrics: Metrics) -> Teller {
    Box::new(move |tally| match tally {
        Tally::Created(channel) => metrics.order_created(channel.as_str()),
        Tally::Status(status) => metrics.order_status(status.as_str()),
        Tally::GivenUp(kind) => metrics.delivery(kind, "failed"),
    })
}
