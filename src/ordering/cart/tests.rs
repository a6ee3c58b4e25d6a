use super::*;
use crate::ordering::order::Choice;
use FinalConfirmation::{Always, MultiItem, Never};
use proptest::prelude::*;

fn tea(quantity: u32) -> Item {
    Item {
        fields: vec![("flavor".into(), Choice::One("taro milk tea".into()))],
        quantity,
        price: Money::from_cents(550),
        note: None,
    }
}

/// A cart whose lines were each confirmed in the turn after they were staged, and the turn it is now.
fn cart_of(quantities: &[u32]) -> (Cart, u64) {
    let mut cart = Cart::new(10);
    let mut turn = 1;
    for &quantity in quantities {
        cart.stage(tea(quantity), Turn(turn)).unwrap();
        turn += 1;
        cart.confirm_pending(Turn(turn)).unwrap();
    }
    (cart, turn)
}

#[test]
fn nothing_gets_in_without_a_turn_of_the_caller() {
    let mut cart = Cart::new(10);
    assert_eq!(cart.confirm_pending(Turn(9)), Err(CartError::NoPendingItem));
    cart.stage(tea(1), Turn(3)).unwrap();
    assert_eq!(cart.confirm_pending(Turn(3)), Err(CartError::NeedsConfirmation));
    assert_eq!(cart.confirm_pending(Turn(2)), Err(CartError::NeedsConfirmation));
    assert_eq!(cart.stage(tea(1), Turn(4)), Err(CartError::PendingItem));
    cart.update_pending(tea(2), Turn(4)).unwrap();
    assert_eq!(cart.confirm_pending(Turn(4)), Err(CartError::NeedsConfirmation));
    assert_eq!(cart.items(), []);
    assert_eq!(cart.confirm_pending(Turn(5)).map(|item| item.quantity), Ok(2));
    assert_eq!((cart.drinks(), cart.total(), cart.revision()), (2, Money::from_cents(1100), 1));
}

#[test]
fn a_cleared_drink_is_gone() {
    let mut cart = Cart::new(10);
    assert_eq!(cart.clear_pending(), None);
    cart.stage(tea(1), Turn(1)).unwrap();
    assert_eq!(cart.clear_pending(), Some(tea(1)));
    assert_eq!(cart.confirm_pending(Turn(2)), Err(CartError::NoPendingItem));
    assert_eq!(cart.update_pending(tea(1), Turn(2)), Err(CartError::NoPendingItem));
}

#[test]
fn one_line_is_ordered_on_its_own_yes() {
    let (cart, now) = cart_of(&[2]);
    assert_eq!(cart.may_order(Turn(now), false, MultiItem), Ok(()));
    assert_eq!(cart.may_order(Turn(now), false, Never), Ok(()));
    assert_eq!(cart.may_order(Turn(now), true, Always), Err(CartError::NeedsConfirmation));
}

#[test]
fn several_lines_are_read_back_and_confirmed() {
    let (mut cart, now) = cart_of(&[1, 1]);
    let needs = Err(CartError::NeedsConfirmation);
    assert_eq!(cart.may_order(Turn(now + 1), true, MultiItem), needs, "never read back");
    cart.read_back(Turn(now));
    assert_eq!(cart.may_order(Turn(now), true, MultiItem), needs, "the caller was not heard");
    assert_eq!(cart.may_order(Turn(now + 1), false, MultiItem), needs, "the caller did not say yes");
    assert_eq!(cart.may_order(Turn(now + 1), true, MultiItem), Ok(()));
    assert_eq!(cart.may_order(Turn(now + 1), true, Always), Ok(()));
    cart.read_back(Turn(now + 1));
    assert_eq!(cart.may_order(Turn(now + 1), true, MultiItem), Ok(()), "looked again, same cart");
    assert_eq!(cart.may_order(Turn(now), false, Never), Ok(()));
}

#[test]
fn an_old_yes_does_not_cover_a_change() {
    let needs = Err(CartError::NeedsConfirmation);
    let (mut cart, now) = cart_of(&[1]);
    cart.modify(0, tea(2), Turn(now)).unwrap();
    for policy in [Always, MultiItem, Never] {
        assert_eq!(cart.may_order(Turn(now), true, policy), needs, "{policy:?}");
    }
    assert_eq!(cart.may_order(Turn(now + 1), true, MultiItem), needs, "never read back");
    assert_eq!(cart.may_order(Turn(now + 1), false, Never), Ok(()));
    cart.read_back(Turn(now));
    assert_eq!(cart.may_order(Turn(now + 1), true, MultiItem), Ok(()));

    cart.stage(tea(1), Turn(now + 1)).unwrap();
    assert_eq!(cart.may_order(Turn(now + 2), true, Never), Err(CartError::PendingItem));
    cart.clear_pending();
    assert_eq!(cart.may_order(Turn(now + 1), true, MultiItem), needs, "a yes from before the staging");
    assert_eq!(cart.may_order(Turn(now + 2), true, MultiItem), Ok(()));

    let (mut cart, now) = cart_of(&[1, 2]);
    cart.remove(1, Turn(now)).unwrap();
    assert_eq!(cart.may_order(Turn(now + 1), true, MultiItem), needs, "the remaining line is a new cart");
}

#[test]
fn the_same_drink_again_is_no_change() {
    let (mut cart, now) = cart_of(&[1]);
    let revision = cart.revision();
    cart.modify(0, tea(1), Turn(now)).unwrap();
    assert_eq!(cart.revision(), revision);
    assert_eq!(cart.may_order(Turn(now), false, MultiItem), Ok(()));
}

#[test]
fn limits_count_quantities_and_the_staged_drink() {
    let (mut cart, now) = cart_of(&[4, 4]);
    let limit = CartError::Limit { limit: 10 };
    assert_eq!(cart.stage(tea(3), Turn(now)), Err(limit));
    cart.stage(tea(2), Turn(now)).unwrap();
    assert_eq!(cart.update_pending(tea(3), Turn(now)), Err(limit));
    assert_eq!(cart.modify(0, tea(5), Turn(now)), Err(limit));
    cart.modify(0, tea(3), Turn(now)).unwrap();
    cart.update_pending(tea(3), Turn(now)).unwrap();
    assert_eq!(Cart::new(10).stage(tea(u32::MAX), Turn(1)), Err(limit));
}

#[test]
fn lines_that_are_not_there_cannot_be_touched() {
    let (mut cart, now) = cart_of(&[1]);
    let bad = CartError::BadIndex { index: 1, lines: 1 };
    assert_eq!(cart.remove(1, Turn(now)), Err(bad));
    assert_eq!(cart.modify(1, tea(1), Turn(now)), Err(bad));
}

#[test]
fn a_checkout_empties_the_cart_and_is_a_new_revision() {
    let (mut cart, now) = cart_of(&[1, 2]);
    let revision = cart.revision();
    assert_eq!(cart.ordered(), [tea(1), tea(2)]);
    assert!(cart.revision() > revision);
    assert_eq!(cart.may_order(Turn(now + 9), true, Never), Err(CartError::EmptyCart));
}

#[derive(Debug, Clone)]
enum Step {
    Heard,
    Stage(u32),
    Update(u32),
    Confirm,
    Clear,
    ReadBack,
    Remove(usize),
    Modify(usize, u32),
    Order(bool),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        Just(Step::Heard),
        (0_u32..6).prop_map(Step::Stage),
        (0_u32..6).prop_map(Step::Update),
        Just(Step::Confirm),
        Just(Step::Clear),
        Just(Step::ReadBack),
        (0_usize..3).prop_map(Step::Remove),
        (0_usize..3, 1_u32..6).prop_map(|(index, quantity)| Step::Modify(index, quantity)),
        any::<bool>().prop_map(Step::Order),
    ]
}

proptest! {
    /// The rules once more, by brute force over the whole history instead of by the cart's bookkeeping.
    #[test]
    fn no_sequence_of_requests_orders_what_was_not_confirmed(steps in prop::collection::vec(step(), 0..60)) {
        let mut cart = Cart::new(10);
        let mut turn = 0;
        let mut model: Vec<u32> = Vec::new();
        let mut pending: Option<(u32, u64)> = None;
        // (turn, what) of everything that happened to the lines or was read out.
        let mut history: Vec<(u64, &str)> = Vec::new();
        for step in steps {
            let now = Turn(turn);
            match step {
                Step::Heard => turn += 1,
                Step::Stage(quantity) => if cart.stage(tea(quantity), now).is_ok() {
                    prop_assert!(pending.is_none());
                    pending = Some((quantity, turn));
                    history.push((turn, "asked"));
                },
                Step::Update(quantity) => if cart.update_pending(tea(quantity), now).is_ok() {
                    prop_assert!(pending.is_some());
                    pending = Some((quantity, turn));
                    history.push((turn, "asked"));
                },
                Step::Confirm => if cart.confirm_pending(now).is_ok() {
                    let (quantity, since) = pending.take().unwrap();
                    prop_assert!(since < turn, "in the cart without a turn of the caller");
                    model.push(quantity);
                    history.push((turn, "confirmed"));
                },
                Step::Clear => {
                    cart.clear_pending();
                    pending = None;
                }
                Step::ReadBack => {
                    cart.read_back(now);
                    history.push((turn, "read back"));
                }
                Step::Remove(index) => if cart.remove(index, now).is_ok() {
                    model.remove(index);
                    history.push((turn, "changed"));
                },
                Step::Modify(index, quantity) => {
                    let before = model.get(index).copied();
                    if cart.modify(index, tea(quantity), now).is_ok() && before != Some(quantity) {
                        model[index] = quantity;
                        history.push((turn, "changed"));
                    }
                }
                Step::Order(confirmed) => {
                    let changes = |what: &str| what == "confirmed" || what == "changed";
                    let last = history.iter().rposition(|&(_, what)| changes(what));
                    let since = last.map_or(&history[..], |last| &history[last + 1..]);
                    let answered = since.iter().any(|&(at, what)| what == "read back" && at < turn)
                        && history.iter().all(|&(at, what)| what == "read back" || what == "confirmed" || at < turn);
                    let own_yes = model.len() == 1 && last.is_some_and(|last| history[last].1 == "confirmed");
                    let may = pending.is_none() && !model.is_empty();
                    prop_assert_eq!(cart.may_order(now, confirmed, Always).is_ok(), may && confirmed && answered);
                    prop_assert_eq!(
                        cart.may_order(now, confirmed, MultiItem).is_ok(),
                        may && (own_yes || (confirmed && answered))
                    );
                }
            }
            prop_assert_eq!(cart.items().iter().map(|item| item.quantity).collect::<Vec<_>>(), &model[..]);
            prop_assert_eq!(cart.total().cents(), 550 * i64::from(model.iter().sum::<u32>()));
            prop_assert!(cart.drinks() + cart.pending().map_or(0, |item| item.quantity) <= 10);
        }
    }

    #[test]
    fn every_change_is_a_new_revision(steps in prop::collection::vec(step(), 0..40)) {
        let mut cart = Cart::new(10);
        let mut turn = 0;
        for step in steps {
            let (before, revision) = (cart.items().to_vec(), cart.revision());
            let now = Turn(turn);
            match step {
                Step::Heard => turn += 1,
                Step::Stage(quantity) => drop(cart.stage(tea(quantity), now).cloned()),
                Step::Update(quantity) => drop(cart.update_pending(tea(quantity), now).cloned()),
                Step::Confirm => drop(cart.confirm_pending(now).cloned()),
                Step::Clear => drop(cart.clear_pending()),
                Step::ReadBack => cart.read_back(now),
                Step::Remove(index) => drop(cart.remove(index, now)),
                Step::Modify(index, quantity) => drop(cart.modify(index, tea(quantity), now).cloned()),
                Step::Order(_) => drop(cart.ordered()),
            }
            prop_assert!(cart.revision() >= revision);
            prop_assert!(cart.items() == before || cart.revision() > revision);
        }
    }
}
