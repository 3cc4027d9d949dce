//! The handle of a running broker.

use std::io;
use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
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
        // Bound without the runtime: the caller may be inside of another one, where none may block or be dropped.
        let listener = TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
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
        self.create_topic_with(name, partitions, &[])
    }

    /// Creates a topic with settings of its own, such as `max.message.bytes`.
    pub fn create_topic_with(
        &self,
        name: &str,
        partitions: i32,
        settings: &[(&str, &str)],
    ) -> io::Result<()> {
        topics::create(&mut self.shared.state(), name, partitions, settings)
    }

    /// From now on a topic must be created before it is written to; at first a write creates it.
    pub fn refuse_unknown_topics(&self) {
        let mut state = self.shared.state();
        state.broker_configs.insert("auto.create.topics.enable".to_owned(), "false".to_owned());
    }

    /// The number of records ever appended to a partition, or none if there is no such partition.
    pub fn end_offset(&self, topic: &str, partition: i32) -> Option<i64> {
        let state = self.shared.state();
        state.topics.get(topic)?.partitions.get(&partition).map(|log| log.high_watermark)
    }

    /// How many connections are open.
    pub fn connections(&self) -> usize {
        self.shared.connections()
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
