//! The handle of a running broker.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::mpsc;

use crate::serve::{self, Order, Shared};
use crate::topics;

/// An in-memory broker on a TCP port of this machine. Dropping it stops it and forgets its data.
#[derive(Debug)]
pub struct RedpandaDev {
    address: SocketAddr,
    shared: Arc<Shared>,
    orders: Option<mpsc::UnboundedSender<Order>>,
    thread: Option<JoinHandle<()>>,
}

impl RedpandaDev {
    /// Starts a broker on `address`, such as `127.0.0.1:0` for a port chosen by the system.
    /// It accepts connections when this returns.
    pub fn start(address: impl ToSocketAddrs) -> io::Result<Self> {
        let asked = address.to_socket_addrs()?.next().ok_or_else(|| {
            io::Error::new(io::ErrorKind::InvalidInput, "the address to listen on names no host")
        })?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let listener = runtime.block_on(async { serve::reserve(asked)?.listen(serve::BACKLOG) })?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared::new(address));
        let (orders, inbox) = mpsc::unbounded_channel();
        let serving = serve::run(listener, address, Arc::clone(&shared), inbox);
        let thread = std::thread::Builder::new()
            .name("redpanda-dev".to_owned())
            .spawn(move || runtime.block_on(serving))?;
        Ok(Self { address, shared, orders: Some(orders), thread: Some(thread) })
    }

    /// Where clients connect; the same before, during and after a pause.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Creates a topic with the given number of partitions. It is an error if the topic exists.
    pub fn create_topic(&self, name: &str, partitions: i32) -> io::Result<()> {
        topics::create(&mut self.shared.state(), name, partitions)
    }

    /// The number of records ever appended to a partition, or none if there is no such partition.
    pub fn end_offset(&self, topic: &str, partition: i32) -> Option<i64> {
        let state = self.shared.state();
        state.topics.get(topic)?.partitions.get(&partition).map(|log| log.high_watermark)
    }

    /// The broker is gone: the port refuses, every connection is cut, what was being answered stays unanswered.
    /// The data stays. Pausing a paused broker changes nothing.
    pub fn pause(&self) -> io::Result<()> {
        self.order(Order::Pause)
    }

    /// The broker is back on its port, with its data. Resuming a running broker changes nothing.
    pub fn resume(&self) -> io::Result<()> {
        self.order(Order::Resume)
    }

    /// From now on each answer leaves this much later than it could; requests take effect at once all the same.
    /// Zero releases the answers that are still held back.
    pub fn delay_answers(&self, delay: Duration) {
        self.shared.delay_answers(delay);
    }

    /// Cuts all connections, gives the port back and waits until that is done. The data is gone.
    pub fn stop(mut self) {
        self.finish();
    }

    fn order(&self, order: fn(SyncSender<io::Result<()>>) -> Order) -> io::Result<()> {
        let gone = || io::Error::other("the broker's thread has ended");
        let (done, answer) = sync_channel(1);
        self.orders.as_ref().ok_or_else(gone)?.send(order(done)).map_err(|_| gone())?;
        answer.recv().map_err(|_| gone())?
    }

    fn finish(&mut self) {
        self.orders = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the embedded broker's thread panicked");
        }
    }
}

impl Drop for RedpandaDev {
    fn drop(&mut self) {
        self.finish();
    }
}
