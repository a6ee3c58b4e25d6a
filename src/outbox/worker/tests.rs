use super::super::Senders;
use super::*;
use crate::order_service::tests::{Shop, new, taro};
use crate::order_service::{Delivery, DeliveryState, NewOrder};
use crate::ordering::menu::Menu;
use crate::ordering::order::Order;

fn worker(shop: &Shop, lane: Lane) -> Worker {
    // Without senders every attempt fails at once and for good.
    let menu = Arc::new(Menu::builtin("boba").expect("built in"));
    Worker::new(Arc::new(Outbox::new(shop.orders.clone(), Senders::default(), menu)), lane)
}

async fn place(shop: &Shop) -> Order {
    let order = NewOrder { phone: None, allow_duplicate: true, ..new(vec![taro(1)]) };
    let order = shop.place(order).await;
    shop.pass(1);
    order
}

impl Shop {
    fn of_lane(&self, order: &Order, lane: Lane) -> Vec<Delivery> {
        self.stored(order).deliveries.into_iter().filter(|delivery| delivery.kind.lane() == lane).collect()
    }

    fn states(&self, order: &Order, lane: Lane) -> Vec<DeliveryState> {
        self.of_lane(order, lane).iter().map(|delivery| delivery.state).collect()
    }
}

/// An order whose file cannot be written: a folder that is not empty stands in its place.
struct Stuck(std::path::PathBuf);

impl Stuck {
    fn order(shop: &Shop, order: &Order) -> Self {
        let file = std::path::PathBuf::from(shop.orders.place_of(&order.order_id).expect("a file"));
        std::fs::rename(&file, file.with_extension("away")).expect("movable");
        std::fs::create_dir_all(file.join("in the way")).expect("a folder");
        Self(file)
    }

    fn free(self) {
        std::fs::remove_dir_all(&self.0).expect("removable");
        std::fs::rename(self.0.with_extension("away"), &self.0).expect("movable");
    }
}

#[tokio::test]
async fn an_order_that_cannot_be_saved_holds_up_nobody() {
    let shop = Shop::open_with_all().await;
    let [first, stuck, last] = [place(&shop).await, place(&shop).await, place(&shop).await];
    let in_the_way = Stuck::order(&shop, &stuck);
    let mut worker = worker(&shop, Lane::Webhook);
    assert_eq!(worker.take_on().await.expect("two are under way"), LOOK_AGAIN);
    worker.finish().await;
    for order in [&first, &last] {
        assert_eq!(shop.states(order, Lane::Webhook), [DeliveryState::Failed]);
    }
    assert!(matches!(worker.take_on().await, Err(OrderError::NotSaved(_))), "nothing could be taken on");
    in_the_way.free();
    worker.take_on().await.expect("taken on");
    worker.finish().await;
    assert_eq!(shop.states(&stuck, Lane::Webhook), [DeliveryState::Failed]);
}

#[tokio::test]
async fn a_row_whose_order_is_being_written_elsewhere_holds_up_no_other_row() {
    let shop = Shop::open_with_all().await;
    let busy = place(&shop).await;
    let row = shop.of_lane(&busy, Lane::Sheet)[0].id;
    shop.orders.claim(&busy.order_id, row).await.expect("saved").expect("due");
    shop.set(&busy, crate::ordering::status::OrderStatus::Preparing).await.expect("started");
    let free = place(&shop).await;
    let mut worker = worker(&shop, Lane::Sheet);
    worker.take_on().await.expect("one is under way");
    worker.finish().await;
    assert_eq!(shop.states(&free, Lane::Sheet), [DeliveryState::Failed]);
    assert_eq!(shop.states(&busy, Lane::Sheet), [DeliveryState::Owed; 2]);
    assert_eq!(worker.take_on().await.expect("looked up"), BLOCKED, "not at once, and not only in a minute");
    shop.pass(60);
    for _ in 0..2 {
        worker.take_on().await.expect("the other is gone");
        worker.finish().await;
    }
    assert_eq!(shop.states(&busy, Lane::Sheet), [DeliveryState::Failed; 2]);
}

#[tokio::test]
async fn what_could_not_be_saved_is_not_sent_again() {
    let shop = Shop::open_with_all().await;
    let order = place(&shop).await;
    let mut worker = worker(&shop, Lane::Webhook);
    worker.saving = Saving {
        again: Duration::from_millis(1),
        beside: Duration::from_millis(20),
        rarely: Duration::from_millis(200),
    };
    worker.take_on().await.expect("one is under way");
    let in_the_way = Stuck::order(&shop, &order);
    worker.given_back.notified().await;
    assert_eq!(worker.slots.available_permits(), at_once(Lane::Webhook));
    assert_eq!(worker.tasks.len(), 1, "it goes on beside others");
    in_the_way.free();
    shop.pass(3600);
    worker.take_on().await.expect("looked up");
    assert_eq!(worker.tasks.len(), 1, "its claim is over, and it is still under way");
    worker.finish().await;
    let [notice] = &shop.of_lane(&order, Lane::Webhook)[..] else { panic!("one notice") };
    assert_eq!((notice.state, notice.attempts), (DeliveryState::Failed, 1));
}

#[tokio::test]
async fn what_nobody_lived_to_tell_of_is_given_up_without_another_try() {
    let shop = Shop::open_with_all().await;
    let order = place(&shop).await;
    for _ in 0..super::super::MOST_TRIES {
        assert_eq!(shop.claim(Lane::Webhook, 9).await.len(), 1);
        shop.pass(60);
    }
    let mut worker = worker(&shop, Lane::Webhook);
    worker.take_on().await.expect("one is under way");
    worker.finish().await;
    let [notice] = &shop.of_lane(&order, Lane::Webhook)[..] else { panic!("one notice") };
    assert_eq!(notice.state, DeliveryState::Failed);
    assert_eq!(notice.reason.as_deref(), Some("tried 5 times, the last time with an unknown outcome"));
}
