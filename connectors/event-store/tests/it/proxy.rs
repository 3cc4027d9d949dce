//! A proxy in front of the server that loses a request, or the answer to it, once: outcomes that nobody knows.
use std::io;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};

/// What to lose, together with the connection it went over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lose {
    Request,
    Answer,
}

/// The kind of request that a fault waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Opcode {
    Execute = 0x0a,
    Batch = 0x0d,
}

#[derive(Debug, Clone)]
struct Fault {
    lose: Lose,
    opcode: Opcode,
    marker: &'static str,
}

/// A listener that passes everything on, except what it was told to lose.
#[derive(Debug, Clone)]
pub(crate) struct Proxy {
    pub(crate) address: String,
    faults: Arc<Mutex<Vec<Fault>>>,
}

impl Proxy {
    pub(crate) async fn before(server: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let proxy = Self { address, faults: Arc::default() };
        let (faults, server) = (Arc::clone(&proxy.faults), server.to_owned());
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let Ok(server) = TcpStream::connect(&server).await else { continue };
                tokio::spawn(pass_on(client, server, Arc::clone(&faults)));
            }
        });
        proxy
    }

    /// Loses the next request of this kind that has `marker` in it, or its answer.
    pub(crate) fn lose(&self, lose: Lose, opcode: Opcode, marker: &'static str) {
        self.faults.lock().unwrap().push(Fault { lose, opcode, marker });
    }

    /// Loses nothing any more.
    pub(crate) fn heal(&self) {
        self.faults.lock().unwrap().clear();
    }

    /// Faults that have not happened yet.
    pub(crate) fn outstanding(&self) -> usize {
        self.faults.lock().unwrap().len()
    }
}

async fn pass_on(client: TcpStream, server: TcpStream, faults: Arc<Mutex<Vec<Fault>>>) {
    let (mut from_client, to_client) = client.into_split();
    let (from_server, mut to_server) = server.into_split();
    let doomed = Arc::new(Mutex::new(None));
    let answers = tokio::spawn(answers(from_server, to_client, Arc::clone(&doomed)));
    while let Ok(frame) = read_frame(&mut from_client).await {
        match take_fault(&faults, &frame) {
            Some(Lose::Request) => break,
            Some(Lose::Answer) => *doomed.lock().unwrap() = Some(stream_of(&frame)),
            None => {}
        }
        if to_server.write_all(&frame).await.is_err() {
            break;
        }
    }
    if doomed.lock().unwrap().is_none() {
        answers.abort();
    }
}

/// Passes answers on until the doomed one comes: by then the server has carried out its request.
async fn answers(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, doomed: Arc<Mutex<Option<[u8; 2]>>>) {
    while let Ok(frame) = read_frame(&mut from).await {
        let lost = *doomed.lock().unwrap() == Some(stream_of(&frame));
        if lost || to.write_all(&frame).await.is_err() {
            break;
        }
    }
}

fn take_fault(faults: &Mutex<Vec<Fault>>, frame: &[u8]) -> Option<Lose> {
    let mut faults = faults.lock().unwrap();
    let at = faults.iter().position(|fault| {
        let marker = fault.marker.as_bytes();
        frame[4] == fault.opcode as u8 && frame.windows(marker.len()).any(|w| w == marker)
    })?;
    Some(faults.remove(at).lose)
}

/// A frame of the protocol's version 4: nine bytes of header, the last four the length of what follows.
async fn read_frame(from: &mut OwnedReadHalf) -> io::Result<Vec<u8>> {
    let mut frame = vec![0; 9];
    from.read_exact(&mut frame).await?;
    let length = u32::from_be_bytes([frame[5], frame[6], frame[7], frame[8]]);
    frame.resize(9 + length as usize, 0);
    from.read_exact(&mut frame[9..]).await?;
    Ok(frame)
}

fn stream_of(frame: &[u8]) -> [u8; 2] {
    [frame[2], frame[3]]
}
