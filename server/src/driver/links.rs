//! Connections that the machines of this node hold to other nodes.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use bytes::{Buf as _, Bytes, BytesMut};
use ottla_core::broker::node;
use ottla_core::machine::LinkOwner;
use ottla_core::network::{LinkEffect, LinkEvent, LinkId, Target};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::runtime::Handle;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::timeout;

use super::Driver;
use crate::frames::RESPONSE_BYTES_MAX;
use crate::store::Durable;

/// How long a connection may take to stand (`socket.connection.setup.timeout.ms`).
const SETUP_TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes read at a time.
const READ_BYTES: usize = 64 << 10;

type Key = (LinkOwner, LinkId);

/// What is sent on each. The machines bound what is on its way themselves.
#[derive(Debug)]
pub(super) struct Links {
    runtime: Handle,
    open: Arc<Mutex<BTreeMap<Key, UnboundedSender<Bytes>>>>,
}

impl Links {
    /// None yet.
    pub fn new(runtime: Handle) -> Self {
        Self { runtime, open: Arc::default() }
    }

    /// Does what a machine asks for.
    pub fn perform<S: Durable>(&self, owner: LinkOwner, effect: LinkEffect, driver: &Weak<Driver<S>>) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        match effect {
            LinkEffect::Open { link, target } => {
                let (frames, to_send) = unbounded_channel();
                open.insert((owner, link), frames);
                let (driver, all) = (driver.clone(), Arc::clone(&self.open));
                self.runtime.spawn(async move {
                    let ended = speak((owner, link), target, to_send, &driver).await;
                    all.lock().unwrap_or_else(PoisonError::into_inner).remove(&(owner, link));
                    let reason =
                        ended.err().map_or_else(|| "closed by the other side".to_owned(), |e| e.to_string());
                    tell(&driver, owner, LinkEvent::Closed(link, reason));
                });
            }
            LinkEffect::Send { link, frame } => {
                if let Some(frames) = open.get(&(owner, link)) {
                    let _ = frames.send(frame);
                }
            }
            LinkEffect::Close { link } => _ = open.remove(&(owner, link)),
        }
    }
}

fn tell<S: Durable>(driver: &Weak<Driver<S>>, owner: LinkOwner, event: LinkEvent) {
    if let Some(driver) = driver.upgrade() {
        driver.tell(node::linked(owner, event));
    }
}

/// Sends and receives until either side has enough.
async fn speak<S: Durable>(
    (owner, link): Key,
    target: Target,
    frames: UnboundedReceiver<Bytes>,
    driver: &Weak<Driver<S>>,
) -> io::Result<()> {
    let stream = timeout(SETUP_TIMEOUT, TcpStream::connect((&*target.host, target.port))).await??;
    stream.set_nodelay(true)?;
    let (input, output) = stream.into_split();
    tell(driver, owner, LinkEvent::Opened(link));
    tokio::select! {
        ended = read(input, |frame| tell(driver, owner, LinkEvent::Received(link, frame))) => ended,
        ended = write(output, frames) => ended,
    }
}

async fn write(mut output: OwnedWriteHalf, mut frames: UnboundedReceiver<Bytes>) -> io::Result<()> {
    while let Some(frame) = frames.recv().await {
        output.write_all(&frame).await?;
    }
    Ok(())
}

async fn read(mut input: OwnedReadHalf, mut received: impl FnMut(Bytes)) -> io::Result<()> {
    let mut buffer = BytesMut::with_capacity(READ_BYTES);
    loop {
        while let Some(len) = buffer.first_chunk::<4>().map(|prefix| u32::from_be_bytes(*prefix)) {
            let len = usize::try_from(len).ok().filter(|len| *len <= RESPONSE_BYTES_MAX);
            let len = len.ok_or_else(|| io::Error::other("the length of a response makes no sense"))?;
            if buffer.len() < 4 + len {
                buffer.reserve(4 + len - buffer.len());
                break;
            }
            buffer.advance(4);
            received(buffer.split_to(len).freeze());
        }
        if input.read_buf(&mut buffer).await? == 0 {
            return Ok(());
        }
    }
}
