//! Is anybody there? What librdkafka's callbacks say about all brokers together.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rdkafka::error::RDKafkaErrorCode;
use tokio::sync::watch;
use tokio::time::{Instant, timeout};
use weir_sdk::{Error, ErrorKind};

use crate::errors;

/// How long all brokers may be down before it counts: a connection that was cut is back within some tens of
/// milliseconds, and librdkafka says "all brokers down" for a cut connection too.
const GRACE: Duration = Duration::from_millis(500);

/// A complaint older than this tells nothing: librdkafka never says that a broker is back, but while one is gone and
/// wanted it complains anew with every attempt to connect. An idle connection that was closed is complained of once.
const FRESH: Duration = Duration::from_secs(3);

/// Shared by the producers that a sink has one after the other.
#[derive(Debug)]
pub(crate) struct FarSide {
    down: watch::Sender<Option<Down>>,
    /// The same, for the one look each delivery report takes.
    is_down: AtomicBool,
    /// The last complaint about a single connection: why, when all are down.
    complaint: Mutex<Option<Complaint>>,
}

/// What librdkafka said of a connection.
#[derive(Clone, Debug)]
struct Complaint {
    error: Error,
    at: Instant,
}

impl Complaint {
    /// Wrong credentials or an unknown CA are why; the refused connections that follow are not. Unless they follow long
    /// after: then something else is the matter.
    fn says_more_than(&self, later: &Error, now: Instant) -> bool {
        let is_of_operator = |error: &Error| matches!(error.kind(), ErrorKind::Auth | ErrorKind::Config);
        is_of_operator(&self.error) && !is_of_operator(later) && now - self.at < FRESH
    }
}

/// All brokers are down.
#[derive(Clone, Debug)]
struct Down {
    why: Error,
    last_complaint: Instant,
}

impl FarSide {
    pub(crate) fn new() -> Self {
        let (down, is_down) = (watch::Sender::new(None), AtomicBool::new(false));
        Self { down, is_down, complaint: Mutex::default() }
    }

    /// A broker answered.
    pub(crate) fn answered(&self) {
        if self.is_down.load(Ordering::Relaxed) {
            self.is_down.store(false, Ordering::Relaxed);
            *self.complaint.lock().unwrap_or_else(PoisonError::into_inner) = None;
            self.down.send_replace(None);
        }
    }

    /// librdkafka complained of a connection, or of all of them.
    pub(crate) fn complained(&self, code: RDKafkaErrorCode, reason: &str) {
        let last_complaint = Instant::now();
        let mut complaint = self.complaint.lock().unwrap_or_else(PoisonError::into_inner);
        let all_down = code == RDKafkaErrorCode::AllBrokersDown;
        if !all_down {
            let error = errors::of_complaint(code, reason);
            if complaint.as_ref().is_none_or(|known| !known.says_more_than(&error, last_complaint)) {
                *complaint = Some(Complaint { error, at: last_complaint });
            }
        }
        if all_down || self.is_down.load(Ordering::Relaxed) {
            let why = complaint.as_ref().map_or_else(|| errors::of(code), |known| known.error.clone());
            self.is_down.store(true, Ordering::Relaxed);
            self.down.send_replace(Some(Down { why, last_complaint }));
        }
    }

    /// librdkafka logged something. That a broker hangs up, as it does on who does not speak as its listener wants,
    /// stands nowhere else.
    pub(crate) fn logged(&self, message: &str) {
        if let Some((_thread, words)) = message.split_once("]: ")
            && words.contains(": Disconnected")
        {
            self.complained(RDKafkaErrorCode::BrokerTransportFailure, words);
        }
    }

    /// The last complaint since a broker answered.
    pub(crate) fn complaint(&self) -> Option<Error> {
        let complaint = self.complaint.lock().unwrap_or_else(PoisonError::into_inner);
        complaint.as_ref().map(|known| known.error.clone())
    }

    /// Ends when all brokers have been down for [`GRACE`], with the reason. Otherwise never.
    pub(crate) async fn gone(&self) -> Error {
        let mut down = self.down.subscribe();
        let is_fresh =
            |down: &Option<Down>| down.as_ref().is_some_and(|down| down.last_complaint.elapsed() < FRESH);
        loop {
            if down.wait_for(is_fresh).await.is_err() {
                return std::future::pending().await;
            }
            let is_back = timeout(GRACE, down.wait_for(Option::is_none)).await.is_ok();
            if !is_back && let Some(down) = down.borrow().clone() {
                return down.why;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{FRESH, FarSide, GRACE};
    use rdkafka::error::RDKafkaErrorCode::{AllBrokersDown, Authentication, BrokerTransportFailure};
    use tokio::time::{Instant, sleep, timeout};
    use weir_sdk::ErrorKind;

    #[tokio::test(start_paused = true)]
    async fn a_short_interruption_does_not_count() {
        let far_side = FarSide::new();
        assert!(timeout(GRACE * 10, far_side.gone()).await.is_err());
        far_side.complained(AllBrokersDown, "1/1 brokers are down");
        assert!(timeout(GRACE / 2, far_side.gone()).await.is_err());
        far_side.answered();
        assert!(timeout(GRACE * 10, far_side.gone()).await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn an_old_complaint_tells_nothing_until_it_is_repeated() {
        let far_side = FarSide::new();
        far_side.complained(AllBrokersDown, "an idle connection was closed");
        sleep(FRESH).await;
        assert!(timeout(GRACE * 10, far_side.gone()).await.is_err());
        far_side.complained(BrokerTransportFailure, "127.0.0.1:1/1: Connection refused");
        assert!(far_side.gone().await.message().starts_with("127.0.0.1:1/1: Connection refused"));
    }

    #[tokio::test(start_paused = true)]
    async fn the_reason_is_the_last_complaint_and_credentials_come_first() {
        let far_side = FarSide::new();
        let started = Instant::now();
        far_side.complained(BrokerTransportFailure, "127.0.0.1:1/1: Connection refused");
        far_side.complained(AllBrokersDown, "1/1 brokers are down");
        let gone = far_side.gone().await;
        assert_eq!((gone.kind(), started.elapsed()), (ErrorKind::Unavailable, GRACE));
        assert!(gone.message().starts_with("127.0.0.1:1/1: Connection refused"), "{gone:?}");

        far_side.answered();
        far_side.complained(Authentication, "SASL authentication error");
        far_side.complained(BrokerTransportFailure, "disconnected");
        far_side.complained(AllBrokersDown, "1/1 brokers are down");
        assert_eq!(far_side.gone().await.kind(), ErrorKind::Auth);
    }

    #[tokio::test(start_paused = true)]
    async fn a_broker_that_hangs_up_is_why() {
        let far_side = FarSide::new();
        far_side.logged("[thrd:app]: something experimental");
        far_side.logged("[thrd:a:1/bootstrap]: a:1/bootstrap: Disconnected: closed (after 1ms in state UP)");
        far_side.complained(AllBrokersDown, "1/1 brokers are down");
        let gone = far_side.gone().await;
        assert!(gone.message().starts_with("a:1/bootstrap: Disconnected: closed"), "{gone:?}");
        assert!(gone.operator_advice().unwrap().contains("`tls`"), "{gone:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn credentials_that_were_wrong_once_are_not_why_a_broker_is_gone_today() {
        let far_side = FarSide::new();
        far_side.complained(Authentication, "one of three brokers has another password");
        sleep(FRESH).await;
        far_side.complained(BrokerTransportFailure, "127.0.0.1:1/1: Connection refused");
        far_side.complained(AllBrokersDown, "3/3 brokers are down");
        assert_eq!(far_side.gone().await.kind(), ErrorKind::Unavailable);
    }
}
