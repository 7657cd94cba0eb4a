//! Framing, order, slices, back-pressure and limits of the Kafka listener, in front of a service that is no broker.

mod echo;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::{BufMut as _, BytesMut};
use echo::{Echo, WAITING_MAX};
use ottla_core::config::{BrokerConfig, Origin, Setting};
use ottla_server::dispatcher::Dispatcher;
use ottla_server::kafka_listener::{KafkaListener, Limits, Stops};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::watch;

struct Fixture {
    echo: Arc<Echo>,
    address: SocketAddr,
    stop: watch::Sender<bool>,
    _directory: tempfile::TempDir,
}

async fn fixture(settings: &[(&str, &str)]) -> Fixture {
    let setting = |(key, value): &(&str, &str)| {
        ((*key).to_owned(), Setting { value: (*value).to_owned(), origin: Origin::Override })
    };
    let listener = ("listeners", "PLAINTEXT://127.0.0.1:0");
    let settings = settings.iter().chain([&listener]).map(setting);
    let config = BrokerConfig::resolve(settings, true).expect("configuration").config;
    let directory = tempfile::tempdir().expect("directory");
    let echo = Echo::new(&directory);
    let listener = KafkaListener::bind(&config.listeners[0], &config).await.expect("bound");
    let address = listener.address().expect("address");
    let dispatcher = Dispatcher::start(tokio::runtime::Handle::current()).expect("thread");
    let (stop, stopped) = watch::channel(false);
    let limits = Limits::new(&config).await;
    let stops = Stops { listener: stopped.clone(), connections: stopped };
    tokio::spawn(listener.serve(Arc::clone(&echo) as _, limits, dispatcher, stops));
    Fixture { echo, address, stop, _directory: directory }
}

impl Fixture {
    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.expect("connected")
    }
}

fn framed<'a>(bodies: impl IntoIterator<Item = &'a str>) -> BytesMut {
    let mut bytes = BytesMut::new();
    for body in bodies {
        bytes.put_u32(u32::try_from(body.len()).expect("short"));
        bytes.put_slice(body.as_bytes());
    }
    bytes
}

async fn read_frame(stream: &mut TcpStream) -> Vec<u8> {
    let len = stream.read_u32().await.expect("a response");
    let mut body = vec![0; usize::try_from(len).expect("fits")];
    stream.read_exact(&mut body).await.expect("a whole response");
    body
}

/// Whether the server closed the connection.
async fn is_closed(stream: &mut TcpStream) -> bool {
    is_closed_within(stream, Duration::from_secs(5)).await
}

async fn is_closed_within(stream: &mut TcpStream, patience: Duration) -> bool {
    let read = tokio::time::timeout(patience, stream.read_u8()).await;
    matches!(read, Ok(Err(_)))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pipelined_requests_are_answered_in_order() {
    let fixture = fixture(&[]).await;
    let mut stream = fixture.connect().await;
    let bodies: Vec<String> = (0..500).map(|number| format!("request {number}")).collect();
    let bytes = framed(bodies.iter().map(String::as_str));
    for piece in bytes.chunks(13) {
        stream.write_all(piece).await.expect("written");
    }
    for body in &bodies {
        assert_eq!(read_frame(&mut stream).await, body.as_bytes());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slices_of_every_length_arrive_in_their_places() {
    let fixture = fixture(&[]).await;
    let mut stream = fixture.connect().await;
    for request in [
        "slice 0-0",
        "slice 5-6 7-7 100-1000",
        "slice 0-16383 3-16387 9-16394",
        "slice 1-6000000 5-10 0-40000",
        "slice 10-20 70000-3000000",
    ] {
        stream.write_all(&framed([request])).await.expect("written");
        assert!(read_frame(&mut stream).await == fixture.echo.sliced(request), "{request}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_reader_gets_everything_and_delays_nobody() {
    let fixture = fixture(&[]).await;
    let (mut slow, mut quick) = (fixture.connect().await, fixture.connect().await);
    let request = "slice 0-6000000";
    for _ in 0..10 {
        slow.write_all(&framed([request])).await.expect("written");
    }
    tokio::time::sleep(Duration::from_millis(200)).await;
    for number in 0..50 {
        let body = number.to_string();
        quick.write_all(&framed([body.as_str()])).await.expect("written");
        let answer = tokio::time::timeout(Duration::from_secs(2), read_frame(&mut quick)).await;
        assert_eq!(answer.expect("in time"), body.as_bytes());
    }
    let expected = fixture.echo.sliced(request);
    for _ in 0..10 {
        assert!(read_frame(&mut slow).await == expected);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_that_is_behind_is_not_fed() {
    let fixture = fixture(&[]).await;
    fixture.echo.held.store(true, Ordering::SeqCst);
    let mut stream = fixture.connect().await;
    let bodies: Vec<String> = (0..10).map(|number| number.to_string()).collect();
    stream.write_all(&framed(bodies.iter().map(String::as_str))).await.expect("written");
    tokio::time::sleep(Duration::from_millis(200)).await;
    let waiting = fixture.echo.sessions.lock().expect("lock")[0].waiting.lock().expect("lock").len();
    assert_eq!(waiting, WAITING_MAX);
    fixture.echo.release();
    for body in &bodies {
        assert_eq!(read_frame(&mut stream).await, body.as_bytes());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_lengths_and_closes_end_a_connection() {
    let fixture = fixture(&[("socket.request.max.bytes", "100")]).await;
    for bytes in [&[0xff, 0xff, 0xff, 0xff][..], &[0, 0, 0, 101]] {
        let mut stream = fixture.connect().await;
        stream.write_all(bytes).await.expect("written");
        assert!(is_closed(&mut stream).await);
    }
    let mut stream = fixture.connect().await;
    stream.write_all(&framed(["before", "close", "after"])).await.expect("written");
    assert_eq!(read_frame(&mut stream).await, b"before");
    let after = tokio::time::timeout(Duration::from_secs(5), async {
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest).await;
        rest
    });
    assert!(after.await.is_ok(), "closed");
    tokio::time::timeout(Duration::from_secs(5), async {
        while fixture.echo.open.load(Ordering::SeqCst) > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await
    .expect("every session ended");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_are_counted_by_address() {
    let fixture = fixture(&[("max.connections.per.ip", "2")]).await;
    let mut streams = [fixture.connect().await, fixture.connect().await];
    for stream in &mut streams {
        stream.write_all(&framed(["hello"])).await.expect("written");
        read_frame(stream).await;
    }
    assert!(is_closed(&mut fixture.connect().await).await);
    drop(streams);
    tokio::time::sleep(Duration::from_millis(100)).await;
    let mut stream = fixture.connect().await;
    stream.write_all(&framed(["hello"])).await.expect("written");
    assert_eq!(read_frame(&mut stream).await, b"hello");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn idle_connections_are_closed_and_busy_ones_are_not() {
    let fixture = fixture(&[("connections.max.idle.ms", "1000")]).await;
    let (mut idle, mut busy) = (fixture.connect().await, fixture.connect().await);
    for _ in 0..12 {
        busy.write_all(&framed(["hello"])).await.expect("written");
        assert_eq!(read_frame(&mut busy).await, b"hello");
        tokio::time::sleep(Duration::from_millis(120)).await;
    }
    assert!(is_closed(&mut idle).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stopping_closes_connections() {
    let fixture = fixture(&[]).await;
    let mut stream = fixture.connect().await;
    stream.write_all(&framed(["hello"])).await.expect("written");
    assert_eq!(read_frame(&mut stream).await, b"hello");
    fixture.stop.send_replace(true);
    assert!(is_closed(&mut stream).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stopping_answers_what_was_asked_first() {
    let fixture = fixture(&[]).await;
    let mut stream = fixture.connect().await;
    fixture.echo.held.store(true, Ordering::SeqCst);
    stream.write_all(&framed(["hello"])).await.expect("written");
    let is_held = |echo: &Echo| {
        let sessions = echo.sessions.lock().expect("lock");
        sessions.first().is_some_and(|session| !session.waiting.lock().expect("lock").is_empty())
    };
    while !is_held(&fixture.echo) {
        tokio::task::yield_now().await;
    }
    fixture.stop.send_replace(true);
    tokio::time::sleep(Duration::from_millis(50)).await;
    fixture.echo.release();
    assert_eq!(read_frame(&mut stream).await, b"hello");
    assert!(is_closed(&mut stream).await);
}

/// `queued.max.request.bytes`: who sends or asks for much waits for those who have, others do not, and who has it gives it back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn long_requests_share_their_memory() {
    let settings = [("socket.request.max.bytes", "1000000"), ("queued.max.request.bytes", "1000000")];
    let fixture = fixture(&settings).await;
    let (long, short) = ("l".repeat(1_000_000), "s".repeat(300_000));
    let (long, short) = (framed([long.as_str()]), framed([short.as_str()]));
    let (mut first, mut second, mut third) =
        (fixture.connect().await, fixture.connect().await, fixture.connect().await);
    let waits = async |stream: &mut TcpStream| {
        tokio::time::timeout(Duration::from_millis(300), stream.peek(&mut [0])).await.is_err()
    };

    // The first has begun, and all is taken. What is short is read all the same.
    first.write_all(&long[..900_000]).await.expect("written");
    assert!(waits(&mut first).await);
    second.write_all(&short).await.expect("written");
    third.write_all(&framed(["third"])).await.expect("written");
    assert_eq!(read_frame(&mut third).await, b"third");
    assert!(waits(&mut second).await);
    first.write_all(&long[900_000..]).await.expect("written");
    assert_eq!(read_frame(&mut first).await, &long[4..]);
    assert_eq!(read_frame(&mut second).await, &short[4..]);

    // The second does not end: somebody needs what it holds.
    second.write_all(&long[..900_000]).await.expect("written");
    assert!(waits(&mut second).await);
    third.write_all(&short).await.expect("written");
    assert!(is_closed_within(&mut second, Duration::from_secs(30)).await);
    assert_eq!(read_frame(&mut third).await, &short[4..]);
}
