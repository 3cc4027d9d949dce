//! `Orders`: what the operator wants of a task, as its supervisor hears it.
//!
//! Not a queue of commands but the newest wish: two pauses are one, and a pause that is taken back before it was heard
//! never was.

use std::time::Duration;

use tokio::sync::watch;

/// What the operator can ask of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// Halt: settle what was read, save, close, and stay so.
    Pause,
    /// Go on after a pause.
    Resume,
    /// Build it anew at once, whatever it waits for.
    Restart,
}

impl Command {
    /// Every command.
    pub const ALL: [Self; 3] = [Self::Pause, Self::Resume, Self::Restart];

    /// The name on the command line and in addresses.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Restart => "restart",
        }
    }
}

/// The wish: halted or not, and which one it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Wish {
    halted: bool,
    number: u64,
}

/// Gives one task its orders.
#[derive(Clone, Debug)]
pub struct Giver {
    wishes: watch::Sender<Wish>,
    obeyed: watch::Receiver<u64>,
}

/// Hears the orders of one task.
#[derive(Debug)]
pub struct Orders {
    wishes: watch::Receiver<Wish>,
    obeyed: watch::Sender<u64>,
    taken: Wish,
}

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Nothing new was ordered.
    GoOn,
    /// Build it anew, with the shortest delays.
    Anew,
    /// Halt until there is another order.
    Halt,
}

/// The two ends.
pub fn channel() -> (Giver, Orders) {
    let (wishes, heard) = watch::channel(Wish::default());
    let (told, obeyed) = watch::channel(0);
    (Giver { wishes, obeyed }, Orders { wishes: heard, obeyed: told, taken: Wish::default() })
}

impl Giver {
    /// Gives the order; an order that asks for what is wanted already changes nothing.
    pub fn order(&self, command: Command) {
        self.wishes.send_if_modified(|wish| {
            let halted = match command {
                Command::Pause => true,
                Command::Resume => false,
                Command::Restart => wish.halted,
            };
            let changes = wish.halted != halted || (command == Command::Restart && !halted);
            *wish = Wish { halted, number: wish.number + u64::from(changes) };
            changes
        });
    }

    /// The operator wants it halted.
    pub fn is_halted(&self) -> bool {
        self.wishes.borrow().halted
    }

    /// The task has ended for good: nobody hears orders any more.
    pub fn is_over(&self) -> bool {
        self.wishes.is_closed()
    }

    /// Waits until the newest order is obeyed, or the task has ended; `false` when `limit` passed first.
    pub async fn obeyed(&self, limit: Duration) -> bool {
        let (mut obeyed, wanted) = (self.obeyed.clone(), self.wishes.borrow().number);
        let done = obeyed.wait_for(|number| *number >= wanted);
        tokio::time::timeout(limit, done).await.is_ok()
    }
}

impl Orders {
    /// Hears the newest order; from now on [`changed`](Self::changed) waits for another one.
    pub fn take(&mut self) -> Next {
        let wish = *self.wishes.borrow();
        let is_new = wish.number != self.taken.number;
        self.taken = wish;
        match wish {
            Wish { halted: true, .. } => Next::Halt,
            Wish { halted: false, .. } if is_new => Next::Anew,
            Wish { halted: false, .. } => Next::GoOn,
        }
    }

    /// What was taken is done, and shown on the board.
    pub fn obeyed(&self) {
        self.obeyed.send_replace(self.taken.number);
    }

    /// There is an order that was not taken yet.
    pub fn are_new(&self) -> bool {
        self.wishes.borrow().number != self.taken.number
    }

    /// Waits until there is an order that was not taken yet.
    pub async fn changed(&mut self) {
        let taken = self.taken.number;
        if self.wishes.wait_for(|wish| wish.number != taken).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Command, Next, channel};
    use std::time::Duration;

    #[tokio::test(start_paused = true)]
    async fn orders_are_wishes_not_a_queue() {
        let (giver, mut orders) = channel();
        assert_eq!(orders.take(), Next::GoOn);
        giver.order(Command::Resume);
        assert!(!orders.are_new(), "it runs already");
        giver.order(Command::Pause);
        giver.order(Command::Pause);
        giver.order(Command::Restart);
        assert!(!giver.obeyed(Duration::from_secs(1)).await);
        orders.changed().await;
        assert_eq!(orders.take(), Next::Halt);
        orders.obeyed();
        assert!(giver.obeyed(Duration::ZERO).await);
        giver.order(Command::Resume);
        giver.order(Command::Restart);
        assert_eq!((orders.take(), orders.take()), (Next::Anew, Next::GoOn));
        drop(orders);
        giver.order(Command::Restart);
        assert!(giver.is_over() && giver.obeyed(Duration::from_secs(1)).await);
    }
}
