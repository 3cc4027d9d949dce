//! The one table from a kind of error to what happens next, with advice for the operator.

use weir_sdk::{Error, ErrorKind};

use crate::state::State;

/// What happens next to the records concerned, or to the poll that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Again after backoff; uses up an attempt.
    Retry,
    /// Again after the far side's hint; uses up no attempt.
    Wait,
    /// The far side is down: wait for it as long as it takes; uses up no attempt.
    Park,
    /// No retry can help this record.
    Dead,
    /// The task ends in this state.
    End(State),
    /// The task is built anew.
    Rebuild,
}

/// The row of the table for this kind.
pub fn decide(kind: ErrorKind) -> Decision {
    match kind {
        ErrorKind::Transient | ErrorKind::Timeout => Decision::Retry,
        ErrorKind::Throttled => Decision::Wait,
        ErrorKind::Unavailable => Decision::Park,
        ErrorKind::Record => Decision::Dead,
        ErrorKind::Config | ErrorKind::Auth => Decision::End(State::Failed),
        ErrorKind::Fenced => Decision::End(State::Stopped),
        ErrorKind::Gap => Decision::End(State::Gap),
        ErrorKind::Bug => Decision::Rebuild,
    }
}

/// What an error says about the far side, for the circuit breaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weight {
    /// It is not there: the breaker opens at once.
    Opens,
    /// It may be in trouble: enough of these open the breaker.
    Counts,
    /// Nothing.
    Nothing,
}

/// How much this kind weighs.
pub fn weight(kind: ErrorKind) -> Weight {
    match kind {
        ErrorKind::Unavailable => Weight::Opens,
        ErrorKind::Transient | ErrorKind::Timeout => Weight::Counts,
        ErrorKind::Throttled
        | ErrorKind::Record
        | ErrorKind::Config
        | ErrorKind::Auth
        | ErrorKind::Fenced
        | ErrorKind::Gap
        | ErrorKind::Bug => Weight::Nothing,
    }
}

/// What the operator should know and do: the error's own advice, or that of its kind.
pub fn advice(error: &Error) -> &str {
    error.operator_advice().unwrap_or(match error.kind() {
        ErrorKind::Transient | ErrorKind::Timeout => "it is tried again by itself",
        ErrorKind::Throttled => "the far side asks for patience; give it room, or lower the rate",
        ErrorKind::Unavailable => "bring the far side back; nothing is lost or skipped meanwhile",
        ErrorKind::Record => "repair the record at its source, or send it to a dead-letter sink",
        ErrorKind::Config => "correct the configuration or the far side",
        ErrorKind::Auth => "check user, password and permissions",
        ErrorKind::Fenced => "another host has taken over this task; nothing to do, if that is meant",
        ErrorKind::Gap => "what was not yet read has expired; decide whether the loss is acceptable",
        ErrorKind::Bug => "please report it; the task is built anew",
    })
}

/// The error with its advice, as a reason in `/health` and in the log.
pub fn reason(error: &Error) -> String {
    format!("{error}; {}", advice(error))
}

#[cfg(test)]
mod tests {
    use super::{Decision, Weight, decide, reason, weight};
    use crate::state::State;
    use weir_sdk::{Error, ErrorKind};

    #[test]
    fn the_table() {
        let row = |kind: &ErrorKind| (kind.as_str(), decide(*kind), weight(*kind));
        let table: Vec<_> = ErrorKind::ALL.iter().map(row).collect();
        assert_eq!(
            table,
            [
                ("transient", Decision::Retry, Weight::Counts),
                ("throttled", Decision::Wait, Weight::Nothing),
                ("timeout", Decision::Retry, Weight::Counts),
                ("unavailable", Decision::Park, Weight::Opens),
                ("record", Decision::Dead, Weight::Nothing),
                ("config", Decision::End(State::Failed), Weight::Nothing),
                ("auth", Decision::End(State::Failed), Weight::Nothing),
                ("fenced", Decision::End(State::Stopped), Weight::Nothing),
                ("gap", Decision::End(State::Gap), Weight::Nothing),
                ("bug", Decision::Rebuild, Weight::Nothing),
            ]
        );
    }

    #[test]
    fn an_errors_own_advice_comes_before_that_of_its_kind() {
        let error = Error::new(ErrorKind::Config, "no topic `orders`");
        assert!(reason(&error).starts_with("no topic `orders`; correct the configuration"));
        assert_eq!(reason(&error.advice("create it")), "no topic `orders`; create it");
    }
}
