//! Clients that break the protocol lose their connection, not the server.
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{run, start, texts};

pub(super) const STARTUP: [u8; 31] =
    *b"\x04\x00\x00\x01\x01\x00\x00\x00\x16\x00\x01\x00\x0bCQL_VERSION\x00\x053.3.1";

pub(super) async fn open(server: &weir_scylla_dev::ScyllaDev) -> TcpStream {
    TcpStream::connect(server.address()).await.unwrap()
}

/// All that the server sends until it closes the connection.
async fn last_words(mut stream: TcpStream) -> Vec<u8> {
    let mut answer = Vec::new();
    let closed = tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut answer)).await;
    closed.expect("the server closes the connection").unwrap_or_default();
    answer
}

pub(super) async fn frame(stream: &mut TcpStream) -> (u8, Vec<u8>) {
    let mut header = [0; 9];
    stream.read_exact(&mut header).await.unwrap();
    let mut body = vec![0; u32::from_be_bytes([header[5], header[6], header[7], header[8]]) as usize];
    stream.read_exact(&mut body).await.unwrap();
    (header[4], body)
}

#[tokio::test]
async fn version_5_is_refused_as_a_driver_expects() {
    let (server, _session) = start().await;
    let mut stream = open(&server).await;
    stream.write_all(b"\x05\x00\x00\x2a\x05\x00\x00\x00\x00").await.unwrap();
    let answer = last_words(stream).await;
    assert_eq!(answer[..5], [0x84, 0, 0, 0x2A, 0x00], "an ERROR of version 4 for the same stream");
    assert_eq!(answer[9..13], 0x0A_i32.to_be_bytes());
    assert!(String::from_utf8_lossy(&answer).contains("Invalid or unsupported protocol version: 5"));
}

#[tokio::test]
async fn garbage_ends_the_connection_and_nothing_else() {
    let (server, session) = start().await;
    let noise: Vec<u8> = (0..5000_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 11) as u8).collect();
    for bytes in [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".as_slice(),
        &noise,
        b"\x16\x03\x01",
        b"\x04\x00\x00\x00\x07\x7f\xff\xff\xff",
    ] {
        let mut stream = open(&server).await;
        stream.write_all(bytes).await.unwrap();
        let answer = last_words(stream).await;
        assert_eq!(answer[4], 0x00, "an ERROR frame");
    }
    run(&session, "CREATE TABLE t (p int PRIMARY KEY)").await;
}

#[tokio::test]
async fn half_a_frame_waits_for_the_other_half() {
    let (server, session) = start().await;
    let mut stream = open(&server).await;
    for byte in STARTUP {
        stream.write_all(&[byte]).await.unwrap();
        stream.flush().await.unwrap();
    }
    assert_eq!(frame(&mut stream).await.0, 0x02, "READY");
    // Half a frame, then gone.
    stream.write_all(b"\x04\x00\x00\x01\x07\x00\x00").await.unwrap();
    drop(stream);
    assert_eq!(texts(&session, "SELECT key FROM system.local").await, ["'local'"]);
}

#[tokio::test]
async fn bodies_that_do_not_read_are_errors_and_the_connection_goes_on() {
    let (server, _session) = start().await;
    let mut stream = open(&server).await;
    stream.write_all(b"\x04\x00\x00\x01\x07\x00\x00\x00\x00").await.unwrap();
    let (opcode, body) = frame(&mut stream).await;
    assert_eq!((opcode, &body[..4]), (0, &0x0A_i32.to_be_bytes()[..]), "a QUERY before STARTUP");
    stream.write_all(&STARTUP).await.unwrap();
    assert_eq!(frame(&mut stream).await.0, 0x02);
    for opcode in [0x07_u8, 0x09, 0x0A, 0x0B, 0x0D, 0x0F, 0x77] {
        for body in [&[][..], &[0xFF; 3], &[0x7F, 0xFF, 0xFF, 0xFF, 1], &[0, 1, b'x', 0, 1, 0x41, 0xFF, 0xFF]]
        {
            let mut request = vec![4, 0, 0, 9, opcode, 0, 0, 0, body.len() as u8];
            request.extend_from_slice(body);
            stream.write_all(&request).await.unwrap();
            let (answer, _) = frame(&mut stream).await;
            assert_eq!(answer, 0, "opcode {opcode:#x} with body {body:?}");
        }
    }
}
