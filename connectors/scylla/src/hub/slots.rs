//! Things that several share by a key, each made by the first who asks and gone with the last who holds it.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::time::Instant;
use weir_sdk::Error;

use super::failure::Failure;

/// The things that are held, by key.
pub struct Slots<K, V>(Mutex<Vec<(K, Arc<Slot<V>>)>>);

type Slot<V> = tokio::sync::Mutex<Held<V>>;

struct Held<V> {
    thing: Weak<V>,
    failure: Failure,
}

impl<K: PartialEq, V> Slots<K, V> {
    /// The thing of this key; `make` makes it if nobody holds one that `is_fit`. Whoever waits for one that is being
    /// made gets that one, or the error of making it.
    pub async fn get<F>(&self, key: K, is_fit: impl Fn(&V) -> bool, make: F) -> Result<Arc<V>, Error>
    where
        F: Future<Output = Result<Arc<V>, Error>>,
    {
        let asked = Instant::now();
        let slot = self.slot(key);
        let mut held = slot.lock().await;
        if let Some(thing) = held.thing.upgrade().filter(|thing| is_fit(thing)) {
            return Ok(thing);
        }
        held.failure.since(asked)?;
        let thing = make.await.inspect_err(|error| held.failure.set(error))?;
        held.thing = Arc::downgrade(&thing);
        Ok(thing)
    }

    fn slot(&self, key: K) -> Arc<Slot<V>> {
        let mut slots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        slots.retain(|(_, slot)| {
            Arc::strong_count(slot) > 1 || slot.try_lock().is_ok_and(|held| held.thing.strong_count() > 0)
        });
        if let Some((_, slot)) = slots.iter().find(|(known, _)| *known == key) {
            return slot.clone();
        }
        let slot = Arc::new(Slot::new(Held { thing: Weak::new(), failure: Failure::default() }));
        slots.push((key, slot.clone()));
        slot
    }
}

impl<K, V> Default for Slots<K, V> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

/// Keys may hold secrets.
impl<K, V> fmt::Debug for Slots<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let slots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        f.debug_struct("Slots").field("held", &slots.len()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::Slots;
    use std::sync::Arc;
    use std::time::Duration;
    use weir_sdk::{Error, ErrorKind};

    fn any(_: &u32) -> bool {
        true
    }

    #[tokio::test(start_paused = true)]
    async fn one_is_made_for_all_who_ask_and_another_when_nobody_holds_it() {
        let slots = Slots::<&str, u32>::default();
        let make = |number| async move {
            tokio::time::sleep(Duration::from_secs(1)).await;
            Ok(Arc::new(number))
        };
        let (a, b, c) = tokio::join!(
            slots.get("x", any, make(1)),
            slots.get("x", any, make(2)),
            slots.get("y", any, make(3))
        );
        let a = a.unwrap();
        assert_eq!((*a, *b.unwrap(), *c.unwrap()), (1, 1, 3));
        let large = |number: &u32| *number > 1;
        let new = slots.get("x", large, make(5)).await.unwrap();
        assert_eq!((*a, *new), (1, 5), "one that is not fit is left to those who hold it");
        assert_eq!(*slots.get("x", any, make(6)).await.unwrap(), 5);
        drop(new);
        assert_eq!(*slots.get("x", any, make(4)).await.unwrap(), 4);
        assert_eq!(format!("{slots:?}"), "Slots { held: 1 }", "`y` is forgotten");
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_gets_the_error_and_who_comes_later_tries_again() {
        let slots = Slots::<&str, u32>::default();
        let fail = || async {
            tokio::time::sleep(Duration::from_secs(5)).await;
            Err::<Arc<u32>, _>(Error::new(ErrorKind::Unavailable, "nobody there"))
        };
        let begun = tokio::time::Instant::now();
        let (a, b) = tokio::join!(slots.get("x", any, fail()), slots.get("x", any, fail()));
        assert_eq!(
            (a.unwrap_err().kind(), b.unwrap_err().kind()),
            (ErrorKind::Unavailable, ErrorKind::Unavailable)
        );
        assert_eq!(begun.elapsed(), Duration::from_secs(5), "one waits for both");
        tokio::time::advance(Duration::from_millis(1)).await;
        assert_eq!(*slots.get("x", any, async { Ok(Arc::new(7)) }).await.unwrap(), 7);
    }
}
