//! Who has won a claim, for every state that the row can be in.
use jiff::Timestamp;

use super::*;

fn head(sequence: i64, claim_ts: i64) -> Head {
    Head { aggregate_id: Uuid::nil(), sequence, claim_ts, count: 1 }
}

fn claimed(sequence: i64, claim_ts: i64, event_id: Uuid) -> Claimed {
    let event = EventEnvelope {
        event_id,
        event_type: "Happened".to_owned(),
        event_version: 1,
        aggregate_id: Uuid::nil(),
        aggregate_type: "Thing".to_owned(),
        sequence_number: sequence,
        correlation_id: None,
        causation_id: None,
        traceparent: None,
        created_at: Timestamp::UNIX_EPOCH,
        payload: "{}".to_owned(),
    };
    Claimed { head: head(sequence, claim_ts), pending: vec![event] }
}

#[test]
fn the_row_tells_who_has_won() {
    let (ours, theirs) = (Uuid::from_u128(1), Uuid::from_u128(2));
    let seen = head(4, 100);
    let cases = [
        ("our claim went through", claimed(5, 101, ours), Verdict::Ours(head(5, 101))),
        ("ours, and taken over by a loader", claimed(5, 900, ours), Verdict::Ours(head(5, 900))),
        ("nothing happened", claimed(4, 100, theirs), Verdict::TryAgain(head(4, 100))),
        ("only a recovery came in between", claimed(4, 700, theirs), Verdict::TryAgain(head(4, 700))),
        ("another writer was faster", claimed(5, 101, theirs), Verdict::Passed { actual: 5 }),
        ("several writers were faster", claimed(9, 500, theirs), Verdict::Passed { actual: 9 }),
    ];
    for (name, now, expected) in cases {
        assert_eq!(judge(&seen, ours, Some(now)).unwrap(), expected, "{name}");
    }
}

#[test]
fn a_row_that_vanished_or_went_back_is_damage() {
    let ours = Uuid::from_u128(1);
    let gone = judge(&head(4, 100), ours, None).unwrap_err().to_string();
    assert!(gone.contains("is gone, it was at 4"), "{gone}");
    let back = judge(&head(4, 100), ours, Some(claimed(3, 90, Uuid::from_u128(2)))).unwrap_err().to_string();
    assert!(back.contains("went back from 4 to 3"), "{back}");
}

#[test]
fn the_first_claim_of_an_aggregate_may_find_no_row_and_tries_again() {
    let none = Head::none(Uuid::nil());
    assert_eq!(judge(&none, Uuid::from_u128(1), None).unwrap(), Verdict::TryAgain(none));
}
