//! The page's server and its WebSockets: who may talk to them, and what they carry.

#[allow(dead_code)]
mod echo;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use echo::Echo;
use futures_util::{SinkExt as _, StreamExt as _};
use ottla_core::metrics::Measured;
use ottla_core::network::Target;
use ottla_server::dispatcher::Dispatcher;
use ottla_server::events::{Events, Watched};
use ottla_server::http::{self, Web};
use ottla_server::memory::Memory;
use ottla_server::metrics::{Metered, Process};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async};

/// Nothing happens here, but that it may leave.
#[derive(Debug, Default)]
struct Silent {
    events: Events,
    leaves: AtomicBool,
}

impl Watched for Silent {
    fn events(&self) -> &Events {
        &self.events
    }

    fn survey(&self) {}
}

impl Metered for Silent {
    fn is_ready(&self) -> bool {
        !self.leaves.load(Ordering::SeqCst)
    }

    fn measure(&self) -> oneshot::Receiver<Vec<Measured>> {
        oneshot::channel().1
    }

    fn exposition(&self, _: &[Measured], _: &Process) -> String {
        String::new()
    }
}

struct Fixture {
    echo: Arc<Echo>,
    silent: Arc<Silent>,
    address: SocketAddr,
    _stop: oneshot::Sender<()>,
    _directory: tempfile::TempDir,
}

async fn fixture() -> Fixture {
    let directory = tempfile::tempdir().expect("directory");
    let echo = Echo::new(&directory);
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
    let address = listener.local_addr().expect("address");
    let silent = Arc::<Silent>::default();
    let web = Web {
        service: Arc::clone(&echo) as _,
        watched: Arc::clone(&silent) as _,
        metered: Arc::clone(&silent) as _,
        node_id: 7,
        listener: "PLAINTEXT".into(),
        request_bytes_max: 10_000,
        own_names: ["kafka.example".to_owned()].into(),
        dispatcher: Dispatcher::start(tokio::runtime::Handle::current()).expect("thread"),
        memory: Memory::new(-1),
    };
    let (stop, stopped) = oneshot::channel::<()>();
    tokio::spawn(http::serve(listener, web, async move {
        let _ = stopped.await;
    }));
    Fixture { echo, silent, address, _stop: stop, _directory: directory }
}

impl Fixture {
    /// Status line and the rest of a response.
    async fn get(&self, path: &str, host: &str) -> (String, String) {
        let mut stream = TcpStream::connect(self.address).await.expect("connected");
        let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.expect("written");
        let mut response = String::new();
        stream.read_to_string(&mut response).await.expect("read");
        let (status, rest) = response.split_once("\r\n").expect("a status line");
        (status["HTTP/1.1 ".len()..].to_owned(), rest.to_owned())
    }

    /// The status of an upgrade, or the socket.
    async fn open(
        &self,
        path: &str,
        host: &str,
        origin: Option<&str>,
    ) -> Result<WebSocketStream<TcpStream>, u16> {
        let stream = TcpStream::connect(self.address).await.expect("connected");
        let mut request = format!("ws://{host}{path}").into_client_request().expect("a request");
        if let Some(origin) = origin {
            request.headers_mut().insert("origin", HeaderValue::from_str(origin).expect("a header"));
        }
        match client_async(request, stream).await {
            Ok((socket, _)) => Ok(socket),
            Err(Error::Http(response)) => Err(response.status().as_u16()),
            Err(error) => panic!("{error}"),
        }
    }
}

#[tokio::test]
async fn one_that_leaves_is_not_ready() {
    let fixture = fixture().await;
    assert_eq!(fixture.get("/ready", "localhost").await.0, "200 OK");
    fixture.silent.leaves.store(true, Ordering::SeqCst);
    assert_eq!(fixture.get("/ready", "localhost").await.0, "503 Service Unavailable");
    assert_eq!(fixture.get("/health", "localhost").await.0, "200 OK");
}

#[tokio::test]
async fn only_names_that_nobody_else_can_take_are_answered() {
    let fixture = fixture().await;
    for host in ["localhost", "localhost:8080", "127.0.0.1:1", "[::1]:8080", "192.0.2.7", "Kafka.Example:80"]
    {
        assert_eq!(fixture.get("/ready", host).await.0, "200 OK", "{host}");
    }
    for host in ["evil.example", "localhost.evil.example:8080", "", "127.0.0.1.evil.example"] {
        assert_eq!(fixture.get("/ready", host).await.0, "421 Misdirected Request", "{host}");
    }
    assert_eq!(fixture.get("/health", "probe.internal").await.0, "200 OK");
}

#[tokio::test]
async fn a_node_that_does_not_answer_has_no_metrics() {
    let (status, _) = fixture().await.get("/metrics", "localhost").await;
    assert_eq!(status, "503 Service Unavailable");
}

#[tokio::test]
async fn the_page_says_how_it_is_built() {
    // The tests' working directory has no dist folder.
    let fixture = fixture().await;
    let (status, rest) = fixture.get("/topics", "localhost").await;
    assert_eq!(status, "200 OK");
    assert!(rest.contains("text/html") && rest.contains("trunk build"), "{rest}");
    assert_eq!(fixture.get("/app.js", "localhost").await.0, "404 Not Found");
}

#[tokio::test]
async fn origins() {
    let fixture = fixture().await;
    for (host, origin) in [
        ("localhost:8080", None),
        ("localhost:8080", Some("http://localhost:8080")),
        ("localhost:8080", Some("http://127.0.0.1:3000")),
        ("kafka.example", Some("https://kafka.example")),
    ] {
        assert!(fixture.open("/kafka/7", host, origin).await.is_ok(), "{host} {origin:?}");
    }
    for (host, origin) in [
        ("localhost:8080", "http://evil.example"),
        ("localhost:8080", "null"),
        ("localhost:8080", "http://localhost.evil.example"),
        ("kafka.example", "http://localhost:8080"),
        ("kafka.example", "http://kafka.example:81"),
    ] {
        assert_eq!(fixture.open("/kafka/7", host, Some(origin)).await.err(), Some(403), "{host} {origin}");
    }
    assert_eq!(fixture.open("/kafka/7", "evil.example", None).await.err(), Some(421));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_frame_per_message_without_a_length() {
    let fixture = fixture().await;
    let mut socket = fixture.open("/kafka/7", "localhost", None).await.expect("open");
    let requests = ["hello", "slice 0-100", "slice 3-6000000 7-9", "bye"];
    for request in requests {
        socket.send(Message::binary(request.as_bytes())).await.expect("sent");
    }
    for request in requests {
        let expected = if request.starts_with("slice") {
            fixture.echo.sliced(request)
        } else {
            request.as_bytes().to_vec()
        };
        let answer = socket.next().await.expect("an answer").expect("an answer").into_data();
        assert!(answer == expected, "{request}");
    }
    socket.send(Message::binary(vec![0; 10_001])).await.expect("sent");
    assert!(!matches!(socket.next().await, Some(Ok(Message::Binary(_)))), "longer than a request may be");

    let mut socket = fixture.open("/kafka/7", "localhost", None).await.expect("open");
    socket.send(Message::text("hello")).await.expect("sent");
    assert!(matches!(socket.next().await, Some(Ok(Message::Close(Some(_))))));
}

/// Node 8, which says what it is told to.
async fn other(fixture: &Fixture) -> TcpListener {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
    let port = listener.local_addr().expect("address").port();
    fixture.echo.others.lock().expect("lock").insert(8, Target { host: "127.0.0.1".into(), port });
    listener
}

async fn opened(fixture: &Fixture, other: &TcpListener) -> (WebSocketStream<TcpStream>, TcpStream) {
    let (socket, there) = tokio::join!(fixture.open("/kafka/8", "localhost", None), other.accept());
    (socket.expect("open"), there.expect("accepted").0)
}

#[tokio::test]
async fn a_tunnel_leads_to_brokers_that_the_cluster_knows_and_nowhere_else() {
    let fixture = fixture().await;
    let other = other(&fixture).await;
    let evil = fixture.open("/kafka/8", "localhost", Some("http://evil.example")).await;
    assert_eq!(evil.err(), Some(403));
    assert_eq!(fixture.open("/kafka/9", "localhost", None).await.err(), Some(404));
    opened(&fixture, &other).await;
    drop(other);
    assert_eq!(fixture.open("/kafka/8", "localhost", None).await.err(), Some(502));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tunnel_carries_frames_both_ways_at_once() {
    // Each way far more than the sockets on it take.
    const REQUESTS: usize = 4_000;
    const REQUEST_BYTES: usize = 10_000;
    const RESPONSES: usize = 4;
    const RESPONSE_BYTES: usize = 10 << 20;
    let fixture = fixture().await;
    let other = other(&fixture).await;
    let (socket, mut there) = opened(&fixture, &other).await;
    let (mut send, mut receive) = socket.split();
    let node = tokio::spawn(async move {
        // It reads once all that it says was taken.
        for number in 0..RESPONSES {
            there.write_u32(RESPONSE_BYTES as u32).await.expect("written");
            there.write_all(&vec![number as u8; RESPONSE_BYTES]).await.expect("written");
        }
        let mut frame = vec![0; REQUEST_BYTES];
        for number in 0..REQUESTS {
            assert_eq!(there.read_u32().await.expect("a length"), REQUEST_BYTES as u32);
            there.read_exact(&mut frame).await.expect("a frame");
            assert!(frame.iter().all(|byte| *byte == number as u8));
        }
        there
    });
    let client = tokio::spawn(async move {
        for number in 0..REQUESTS {
            send.send(Message::binary(vec![number as u8; REQUEST_BYTES])).await.expect("sent");
        }
        send
    });
    for number in 0..RESPONSES {
        let response = receive.next().await.expect("a response").expect("a response").into_data();
        assert!(response == vec![number as u8; RESPONSE_BYTES], "response {number}");
    }
    let (_there, _send) = (node.await.expect("all came"), client.await.expect("all were sent"));
}

#[tokio::test]
async fn a_tunnel_ends_with_either_side() {
    let fixture = fixture().await;
    let other = other(&fixture).await;
    let is_closed = async |mut there: TcpStream| {
        assert_eq!(there.read_to_end(&mut Vec::new()).await.expect("an end"), 0);
    };
    let reason = async |mut socket: WebSocketStream<TcpStream>| match socket.next().await {
        Some(Ok(Message::Close(Some(frame)))) => frame.reason.to_string(),
        other => panic!("{other:?}"),
    };

    let (socket, mut there) = opened(&fixture, &other).await;
    there.write_all(&[0, 0, 0, 1, 7, 0, 0]).await.expect("written");
    drop(there);
    let mut socket = socket;
    assert_eq!(socket.next().await.expect("what was said").expect("before it left").into_data()[..], [7]);
    assert_eq!(reason(socket).await, "closed by the other node");

    let (mut socket, there) = opened(&fixture, &other).await;
    socket.close(None).await.expect("closed");
    is_closed(there).await;

    let (socket, there) = opened(&fixture, &other).await;
    drop(socket);
    is_closed(there).await;

    // Longer than a request may be; not a frame; not a length.
    let (mut socket, there) = opened(&fixture, &other).await;
    socket.send(Message::binary(vec![0; 10_001])).await.expect("sent");
    is_closed(there).await;
    let (mut socket, there) = opened(&fixture, &other).await;
    socket.send(Message::text("hello")).await.expect("sent");
    is_closed(there).await;
    assert_eq!(reason(socket).await, "one Kafka frame per binary message");
    let (socket, mut there) = opened(&fixture, &other).await;
    there.write_all(&[0xff; 4]).await.expect("written");
    assert_eq!(reason(socket).await, "the length of a response makes no sense");
    is_closed(there).await;
}
