//! Connections of a client or tool to brokers: what `core::client` asks for, over blocking sockets.
//!
//! A tool is a sequential program: one thread drives it, one more for each connection reads frames, one reads standard input.

use std::collections::HashMap;
use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, TcpStream, ToSocketAddrs as _};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use ottla_core::network::{LinkEffect, LinkEvent, LinkId, Target};

use crate::frames::RESPONSE_BYTES_MAX;

/// How long one of a name's addresses may take to answer (`socket.connection.setup.timeout.ms`).
const SETUP_TIMEOUT: Duration = Duration::from_secs(10);

/// The open links of one client.
#[derive(Debug)]
pub struct Links<E> {
    events: Sender<E>,
    /// `None` until the connection stands.
    streams: HashMap<LinkId, Arc<Mutex<Option<TcpStream>>>>,
}

impl<E: From<LinkEvent> + Send + 'static> Links<E> {
    /// No link yet; what happens on them goes into `events`.
    pub fn new(events: Sender<E>) -> Self {
        Self { events, streams: HashMap::new() }
    }

    /// Does what the client asks for.
    pub fn perform(&mut self, effect: LinkEffect) {
        match effect {
            LinkEffect::Open { link, target } => self.open(link, target),
            LinkEffect::Send { link, frame } => {
                let sent = self.streams.get(&link).map(|stream| {
                    let mut stream = stream.lock().unwrap_or_else(PoisonError::into_inner);
                    stream.as_mut().map_or(Ok(()), |stream| stream.write_all(&frame))
                });
                if let Some(Err(error)) = sent {
                    self.streams.remove(&link);
                    let _ = self.events.send(LinkEvent::Closed(link, error.to_string()).into());
                }
            }
            LinkEffect::Close { link } => {
                if let Some(stream) = self.streams.remove(&link)
                    && let Some(stream) = &*stream.lock().unwrap_or_else(PoisonError::into_inner)
                {
                    let _ = stream.shutdown(Shutdown::Both);
                }
            }
        }
    }

    fn open(&mut self, link: LinkId, target: Target) {
        let (place, events) = (Arc::new(Mutex::new(None)), self.events.clone());
        self.streams.insert(link, Arc::clone(&place));
        std::thread::spawn(move || {
            let closed = match connect(&target) {
                Ok(stream) => {
                    let read = stream.try_clone();
                    *place.lock().unwrap_or_else(PoisonError::into_inner) = Some(stream);
                    if events.send(LinkEvent::Opened(link).into()).is_err() {
                        return;
                    }
                    read.and_then(|stream| read_frames(link, stream, &events))
                }
                Err(error) => Err(error),
            };
            let reason =
                closed.err().map_or_else(|| "closed by the broker".to_owned(), |error| error.to_string());
            let _ = events.send(LinkEvent::Closed(link, reason).into());
        });
    }
}

fn connect(target: &Target) -> io::Result<TcpStream> {
    let mut refused = io::Error::from(io::ErrorKind::NotFound);
    for address in (&*target.host, target.port).to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, SETUP_TIMEOUT) {
            Ok(stream) => {
                stream.set_nodelay(true)?;
                return Ok(stream);
            }
            Err(error) => refused = error,
        }
    }
    Err(refused)
}

/// Reads until the end of the connection, or until nobody listens.
fn read_frames<E: From<LinkEvent>>(
    link: LinkId,
    mut stream: TcpStream,
    events: &Sender<E>,
) -> io::Result<()> {
    loop {
        let mut prefix = [0; 4];
        match stream.read_exact(&mut prefix) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
            Err(error) => return Err(error),
        }
        let len = usize::try_from(i32::from_be_bytes(prefix)).ok().filter(|len| *len <= RESPONSE_BYTES_MAX);
        let len = len.ok_or_else(|| {
            io::Error::other("not a Kafka broker: the length of its response makes no sense")
        })?;
        let mut frame = vec![0; len];
        stream.read_exact(&mut frame)?;
        if events.send(LinkEvent::Received(link, Bytes::from(frame)).into()).is_err() {
            return Ok(());
        }
    }
}
