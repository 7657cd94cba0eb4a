//! Kafka's frames over a plain socket, one request at a time.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use bytes::Bytes;
use ottla_protocol::{Decoder, Encoder, Message as _, Request, ResponseHeader, encode_request};

/// How long a peer may take to answer a request.
pub const ANSWER_MAX: Duration = Duration::from_secs(10);

/// A length on the wire above this is not an answer.
const FRAME_BYTES_MAX: usize = 128 << 20;

/// One connection to a broker.
#[derive(Debug)]
pub struct Wire {
    stream: TcpStream,
}

impl Wire {
    /// Connects, or fails at once when nobody listens.
    pub fn connect(address: SocketAddr) -> io::Result<Self> {
        Self::connect_within(address, ANSWER_MAX)
    }

    /// The same with another patience for answers.
    pub fn connect_within(address: SocketAddr, answer_max: Duration) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&address, Duration::from_secs(5))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(answer_max))?;
        Ok(Self { stream })
    }

    /// Sends one frame (header and body, without its length).
    pub fn send(&mut self, frame: &[u8]) -> io::Result<()> {
        let length = i32::try_from(frame.len()).map_err(io::Error::other)?;
        self.stream.write_all(&[&length.to_be_bytes(), frame].concat())
    }

    /// Reads one frame, without its length.
    pub fn receive(&mut self) -> io::Result<Vec<u8>> {
        let mut length = [0; 4];
        self.stream.read_exact(&mut length)?;
        let length = usize::try_from(i32::from_be_bytes(length)).map_err(io::Error::other)?;
        if length > FRAME_BYTES_MAX {
            return Err(io::Error::other(format!("a frame of {length} bytes")));
        }
        let mut frame = vec![0; length];
        self.stream.read_exact(&mut frame)?;
        Ok(frame)
    }

    /// Sends one frame and waits for the next answer.
    pub fn ask(&mut self, frame: &[u8]) -> io::Result<Vec<u8>> {
        self.send(frame)?;
        self.receive()
    }

    /// Sends a request and waits for its response.
    pub fn call<R: Request>(&mut self, request: &R, version: i16) -> io::Result<R::Response> {
        let answer = self.ask(&frame(request, version)?)?;
        response::<R>(answer.into(), version)
    }
}

/// A request as a frame, without its length.
pub fn frame<R: Request>(request: &R, version: i16) -> io::Result<Bytes> {
    let mut encoder = Encoder::new();
    encode_request(&mut encoder, version, 1, Some("tests".into()), request).map_err(io::Error::other)?;
    Ok(encoder.into_bytes().map_err(io::Error::other)?.slice(4..))
}

/// What the frame of a response says.
pub fn response<R: Request>(frame: Bytes, version: i16) -> io::Result<R::Response> {
    let mut decoder = Decoder::new(frame);
    let header = R::API_KEY.response_header_version(version);
    ResponseHeader::decode(&mut decoder, header).map_err(io::Error::other)?;
    R::Response::decode(&mut decoder, version).map_err(io::Error::other)
}

/// True when the broker answers a Metadata request and names itself in it.
pub fn answers_metadata(address: SocketAddr) -> bool {
    brokers_known(address) > 0
}

/// How many brokers a broker names when it is asked for Metadata; 0 if it does not answer.
pub fn brokers_known(address: SocketAddr) -> u32 {
    // Metadata v1, correlation id 7, no client id, no topics.
    let request = [0, 3, 0, 1, 0, 0, 0, 7, 0xff, 0xff, 0, 0, 0, 0];
    let answer = Wire::connect(address).and_then(|mut wire| wire.ask(&request));
    // Correlation id, then the number of brokers.
    match answer {
        Ok(answer) if answer.len() > 8 && answer[..4] == [0, 0, 0, 7] => {
            u32::from_be_bytes([answer[4], answer[5], answer[6], answer[7]])
        }
        _ => 0,
    }
}

/// Creates a topic (CreateTopics v2), whether it was there or not.
pub fn create_topic(address: SocketAddr, name: &str, partitions: i32) {
    let mut frame = vec![0, 19, 0, 2, 0, 0, 0, 9, 0xff, 0xff, 0, 0, 0, 1];
    frame.extend((name.len() as i16).to_be_bytes());
    frame.extend(name.as_bytes());
    frame.extend(partitions.to_be_bytes());
    // One replica, no assignments, no configs, 30 s, for real.
    frame.extend([0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x75, 0x30, 0]);
    let answer =
        Wire::connect(address).and_then(|mut wire| wire.ask(&frame)).expect("CreateTopics is answered");
    // Correlation id, throttle time, one topic, its name, its error code.
    let at = 4 + 4 + 4 + 2 + name.len();
    let code = i16::from_be_bytes([answer[at], answer[at + 1]]);
    assert!(matches!(code, 0 | 36), "CreateTopics {name}: error code {code}");
}
