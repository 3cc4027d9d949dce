//! `Conditions`: what is weaker than promised just now, said by whoever knows of it for as long as it is so.
//!
//! A guard, not an event: nobody can forget to take the word back, and one that ends with its connector takes it along.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

/// The conditions of one task. Cloning shares them.
#[derive(Clone, Default)]
pub struct Conditions(Arc<Inner>);

#[derive(Default)]
struct Inner {
    held: Mutex<Held>,
    changed: OnceLock<Box<dyn Fn() + Send + Sync>>,
}

#[derive(Default)]
struct Held {
    next: u64,
    reasons: BTreeMap<u64, String>,
}

/// One condition; it ends when this is dropped.
#[must_use = "the condition ends when this is dropped"]
pub struct Degraded {
    conditions: Conditions,
    number: u64,
}

impl Conditions {
    /// A guarantee is weaker than promised as long as the answer lives; `reason` says which, why, and what to do.
    pub fn degraded(&self, reason: impl Into<String>) -> Degraded {
        let mut held = self.held();
        let number = held.next;
        held.next += 1;
        held.reasons.insert(number, reason.into());
        drop(held);
        self.tell();
        Degraded { conditions: self.clone(), number }
    }

    /// The reasons that hold now, oldest first; `None` when every guarantee is as promised.
    pub fn reason(&self) -> Option<String> {
        let held = self.held();
        let reasons: Vec<&str> = held.reasons.values().map(String::as_str).collect();
        (!reasons.is_empty()).then(|| reasons.join("; "))
    }

    /// Calls this after each change, on the thread that changed it. Only the first observer counts.
    pub fn observe(&self, changed: impl Fn() + Send + Sync + 'static) {
        // A second observer would be a second host.
        self.0.changed.set(Box::new(changed)).ok();
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.0.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self) {
        if let Some(changed) = self.0.changed.get() {
            changed();
        }
    }
}

impl fmt::Debug for Conditions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.held().reasons.values()).finish()
    }
}

impl fmt::Debug for Degraded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let held = self.conditions.held();
        f.debug_tuple("Degraded").field(&held.reasons.get(&self.number)).finish()
    }
}

impl Drop for Degraded {
    fn drop(&mut self) {
        self.conditions.held().reasons.remove(&self.number);
        self.conditions.tell();
    }
}

#[cfg(test)]
mod tests {
    use super::Conditions;
    use std::sync::{Arc, Mutex};

    #[test]
    fn a_condition_holds_as_long_as_its_guard() {
        let conditions = Conditions::default();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (shown, watched) = (seen.clone(), conditions.clone());
        conditions.observe(move || shown.lock().unwrap().push(watched.reason()));
        let first = conditions.degraded("little memory");
        let second = conditions.clone().degraded("clocks differ");
        assert_eq!(format!("{second:?}"), r#"Degraded(Some("clocks differ"))"#);
        drop(first);
        drop(second);
        let wanted =
            [Some("little memory"), Some("little memory; clocks differ"), Some("clocks differ"), None];
        assert_eq!(*seen.lock().unwrap(), wanted.map(|reason| reason.map(str::to_owned)));
    }
}
