//! `Stop`: the wish to end, its deadline, and who hears of them.

use std::convert::Infallible;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

/// Heard by everything that runs. Cloning shares it.
#[derive(Clone, Debug)]
pub struct Stop(watch::Receiver<Option<Instant>>);

/// Says stop; dropped, it says nothing more.
#[derive(Debug)]
pub struct Stopper(watch::Sender<Option<Instant>>);

impl Stopper {
    /// A stopper that has said nothing, and its listener.
    pub fn new() -> (Self, Stop) {
        let (sender, receiver) = watch::channel(None);
        (Self(sender), Stop(receiver))
    }

    /// Asks to stop: to drain within `limit`, and to give up what is left then. A later call can only shorten it.
    pub fn stop(&self, limit: Duration) {
        self.stop_at(Instant::now() + limit);
    }

    /// Says what `stop` says, as long as it is awaited.
    pub async fn follow(&self, stop: &Stop) -> Infallible {
        let mut receiver = stop.0.clone();
        loop {
            let deadline = *receiver.borrow_and_update();
            deadline.into_iter().for_each(|deadline| self.stop_at(deadline));
            if receiver.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    fn stop_at(&self, deadline: Instant) {
        self.0.send_if_modified(|current| {
            let sooner = current.is_none_or(|current| deadline < current);
            if sooner {
                *current = Some(deadline);
            }
            sooner
        });
    }
}

impl Stop {
    /// Somebody asked to stop.
    pub fn is_requested(&self) -> bool {
        self.0.borrow().is_some()
    }

    /// Waits until somebody asks to stop.
    pub async fn requested(&self) {
        let mut receiver = self.0.clone();
        if receiver.wait_for(Option::is_some).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Waits until the deadline has passed.
    pub async fn deadline(&self) {
        let mut receiver = self.0.clone();
        loop {
            let Ok(deadline) = receiver.wait_for(Option::is_some).await.map(|deadline| *deadline) else {
                return std::future::pending().await;
            };
            let Some(deadline) = deadline else { continue };
            tokio::select! {
                () = tokio::time::sleep_until(deadline) => return,
                Ok(()) = receiver.changed() => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Stopper;
    use std::time::Duration;
    use tokio::time::Instant;

    #[tokio::test(start_paused = true)]
    async fn a_second_request_can_only_shorten_the_deadline() {
        let (stopper, stop) = Stopper::new();
        assert!(!stop.is_requested());
        let began = Instant::now();
        stopper.stop(Duration::from_secs(30));
        stopper.stop(Duration::from_secs(60));
        stop.requested().await;
        let waiting = tokio::spawn(async move { stop.deadline().await });
        tokio::time::sleep(Duration::from_secs(5)).await;
        stopper.stop(Duration::ZERO);
        waiting.await.unwrap();
        assert_eq!(began.elapsed(), Duration::from_secs(5));
    }

    #[tokio::test(start_paused = true)]
    async fn a_follower_stops_with_its_leader_or_before() {
        let (leader, leads) = Stopper::new();
        let (follower, follows) = Stopper::new();
        let began = Instant::now();
        tokio::spawn(async move { follower.follow(&leads).await });
        leader.stop(Duration::from_secs(30));
        follows.requested().await;
        leader.stop(Duration::from_secs(2));
        follows.deadline().await;
        assert_eq!(began.elapsed(), Duration::from_secs(2));
    }
}
