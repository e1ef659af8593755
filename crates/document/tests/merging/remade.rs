//! Changes that are made again, since something that their author had seen does not stand.

use vereda_base::ActorBytes;
use vereda_document::{EditError, Replica};
use vereda_records::{RecordType, Value};

use crate::{
    AT,
    device::{Device, open, saved},
};

fn text(text: &str) -> Value {
    Value::text(text)
}

#[test]
fn what_was_written_beside_something_that_does_not_stand_is_written_again_and_the_rest_stays_beside_it() {
    let before = saved(|creator| creator.set("name", text("Amina")));
    let [mut author, mut stranger, mut colleague] = [2, 9, 5].map(|actor| open(&before, ActorBytes([actor; 16])));
    author.set("name", text("Amira"));
    stranger.set("name", text("Somebody"));
    author.hear(&stranger);
    author.set("place", text("Aleppo"));
    assert_eq!(author.answer("name"), Some(text("Somebody")), "his own is what is disputed");
    colleague.set("place", text("Homs"));

    let mut standing = open(&before, ActorBytes([4; 16]));
    standing.hear(&colleague);
    let lost = author.made.iter().map(|change| change.hash).collect();
    standing.made = standing.replica.remake(&author.replica, &lost).unwrap();
    assert_eq!(standing.made.len(), 2, "each by itself");
    assert_eq!(standing.answer("name"), Some(text("Amira")));
    let [conflict] = &standing.replica.conflicts()[..] else { panic!("one conflict") };
    assert_eq!(conflict.values.len(), 2, "of the place, which his colleague wrote unseen");

    let mut other = open(&before, ActorBytes([6; 16]));
    other.hear(&standing);
    assert_eq!((other.answer("name"), other.answer("place")), (Some(text("Amira")), Some(text("Aleppo"))));
    assert_eq!(other.replica.remake(&standing.replica, &lost), Ok(vec![]), "what is not known is not made again");
}

#[test]
fn a_document_is_created_again_by_whoever_created_it_and_by_nobody_else() {
    let (replica, created) = Replica::create(ActorBytes([1; 16]), RecordType::Case, AT).unwrap();
    let mut creator = Device { replica, made: vec![created] };
    creator.set("name", text("Amina"));
    let all = creator.made.iter().map(|change| change.hash).collect();
    let mut again = Replica::empty(ActorBytes([2; 16]));
    let made = again.remake(&creator.replica, &all).unwrap();
    assert_eq!((made.len(), again.hydrate().unwrap()), (2, creator.record()));

    let second = creator.made[1..].iter().map(|change| change.hash).collect();
    let mut nobody = Replica::empty(ActorBytes([3; 16]));
    assert_eq!(nobody.remake(&creator.replica, &second), Err(EditError::NotCreated));
    assert!(!nobody.is_created());
}
