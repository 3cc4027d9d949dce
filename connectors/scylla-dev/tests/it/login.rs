//! Logging in: who knows the password gets in, nobody else does, and before that nothing is answered.
use scylla::client::session_builder::SessionBuilder;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use weir_scylla_dev::ScyllaDev;

use super::bad_clients::{STARTUP, frame, open};

async fn guarded() -> ScyllaDev {
    ScyllaDev::builder().password("app", "secret").start().await.unwrap()
}

/// Sends a request, gives the answer's opcode and body.
async fn ask(stream: &mut TcpStream, opcode: u8, body: &[u8]) -> (u8, Vec<u8>) {
    let mut request = vec![4, 0, 0, 9, opcode, 0, 0, 0, u8::try_from(body.len()).unwrap()];
    request.extend_from_slice(body);
    stream.write_all(&request).await.unwrap();
    frame(stream).await
}

fn refusal(answer: &(u8, Vec<u8>)) -> (i32, String) {
    assert_eq!(answer.0, 0, "an ERROR");
    let code = i32::from_be_bytes(answer.1[..4].try_into().unwrap());
    (code, String::from_utf8(answer.1[6..].to_vec()).unwrap())
}

#[tokio::test]
async fn the_driver_logs_in() {
    let server = guarded().await;
    let builder = || SessionBuilder::new().known_node_addr(server.address());
    let session = builder().user("app", "secret").build().await.unwrap();
    assert_eq!(super::texts(&session, "SELECT key FROM system.local").await, ["'local'"]);
    let wrong = builder().user("app", "Secret").build().await.unwrap_err();
    assert!(format!("{wrong:?}").contains("Username and/or password are incorrect"), "{wrong:?}");
    builder().build().await.expect_err("no credentials at all");
}

#[tokio::test]
async fn nothing_is_answered_before_the_login() {
    let server = guarded().await;
    let mut stream = open(&server).await;
    stream.write_all(&STARTUP).await.unwrap();
    let (opcode, body) = frame(&mut stream).await;
    assert_eq!(opcode, 0x03, "AUTHENTICATE");
    assert_eq!(body[2..], *b"org.apache.cassandra.auth.PasswordAuthenticator");
    for (opcode, body) in
        [(0x07, &b"\0\0\0\x21SELECT key FROM system.local LIMIT 1\0\x01\0"[..]), (0x0B, b"\0\0")]
    {
        let (code, text) = refusal(&ask(&mut stream, opcode, body).await);
        assert_eq!((code, text), (0x000A, format!("Unexpected message {opcode}, expecting SASL_RESPONSE")));
    }
    assert_eq!(ask(&mut stream, 0x05, b"").await.0, 0x06, "OPTIONS are answered at any time");
    for (token, text) in [
        (&b"\0\0\0\x0B\0app\0wrong!"[..], "Username and/or password are incorrect"),
        (b"\0\0\0\x05\0app\0", "Password must not be null"),
        (b"\0\0\0\x08\0\0secret", "Authentication ID must not be null"),
        (b"\xff\xff\xff\xff", "Authentication ID must not be null"),
    ] {
        assert_eq!(refusal(&ask(&mut stream, 0x0F, token).await), (0x0100, text.to_owned()));
    }
    let answer = ask(&mut stream, 0x0F, b"\0\0\0\x0B\0app\0secret").await;
    assert_eq!(answer, (0x10, vec![0; 4]), "AUTH_SUCCESS with an empty token");
    assert_eq!(ask(&mut stream, 0x0B, b"\0\x01\0\x0DSCHEMA_CHANGE").await.0, 0x02, "READY");
}
