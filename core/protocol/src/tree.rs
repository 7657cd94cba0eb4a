//! A frame as a tree of named byte ranges, for those who look at bytes.

use std::{fmt, ops::Range};

use bytes::Bytes;

use crate::{
    ApiKey, DecodeError, Decoder, MessageSpec, decode_request_header,
    records::headers,
    wire::{Trace, read},
};

/// Nodes of one tree at most; what comes after them shows only in the ranges of those above it.
pub const NODES_MAX: usize = 100_000;

/// A field, an element of an array, or the tagged fields of a structure.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Node {
    /// Kafka's name; `[3]` for an element; `tagged fields` for their count.
    pub name: String,
    /// Its bytes in the frame, length prefix included.
    pub range: Range<usize>,
    /// Its value in words; empty where the children say it.
    pub value: String,
    pub children: Vec<Node>,
}

/// Which half of an API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    Request,
    Response,
}

/// The fields of a message body, as far as it reads, and the error that ended the reading.
pub fn field_tree(
    api: ApiKey,
    version: i16,
    direction: Direction,
    body: Bytes,
) -> (Vec<Node>, Option<DecodeError>) {
    let spec = match direction {
        Direction::Request => api.request(),
        Direction::Response => api.response(),
    };
    let Some(spec) = spec else { return (Vec::new(), None) };
    message_tree(spec, version, &mut Decoder::new(body))
}

/// Header and body of a request frame (without its size).
pub fn request_tree(frame: Bytes) -> (Vec<Node>, Option<DecodeError>) {
    let mut decoder = Decoder::new(frame);
    let (api, header) = match decode_request_header(&mut decoder.clone()) {
        Ok(read) => read,
        Err(error) => return (Vec::new(), Some(error)),
    };
    let version = header.request_api_version;
    let header_version = api.request_header_version(version);
    let (mut nodes, error) = message_tree(&headers::request_header::SPEC, header_version, &mut decoder);
    match (error, api.request()) {
        (None, Some(spec)) => {
            let (body, error) = message_tree(spec, version, &mut decoder);
            nodes.extend(body);
            (nodes, error)
        }
        (error, _) => (nodes, error),
    }
}

/// Header and body of a response frame (without its size).
pub fn response_tree(api: ApiKey, version: i16, frame: Bytes) -> (Vec<Node>, Option<DecodeError>) {
    let mut decoder = Decoder::new(frame);
    let header_version = api.response_header_version(version);
    let (mut nodes, error) = message_tree(&headers::response_header::SPEC, header_version, &mut decoder);
    match (error, api.response()) {
        (None, Some(spec)) => {
            let (body, error) = message_tree(spec, version, &mut decoder);
            nodes.extend(body);
            (nodes, error)
        }
        (error, _) => (nodes, error),
    }
}

/// The fields of any message, read from where the decoder stands.
pub fn message_tree(
    spec: &MessageSpec,
    version: i16,
    decoder: &mut Decoder,
) -> (Vec<Node>, Option<DecodeError>) {
    let mut trace = Trace::Tree(Builder::default());
    let error = read(decoder, spec, version, None, &mut trace).err();
    match trace {
        Trace::Tree(builder) => (builder.finish(), error),
        Trace::Off => (Vec::new(), error),
    }
}

/// The tree while it grows: the open nodes, outermost first.
#[derive(Debug, Default)]
pub(crate) struct Builder {
    done: Vec<Node>,
    open: Vec<Node>,
    count: usize,
    /// Open nodes that came after the last that is shown.
    skipped: usize,
}

impl Builder {
    fn finish(self) -> Vec<Node> {
        self.done
    }

    #[cold]
    fn open(&mut self, name: fmt::Arguments<'_>, at: usize) {
        if self.count >= NODES_MAX {
            self.skipped += 1;
        } else {
            self.count += 1;
            self.open.push(Node { name: name.to_string(), range: at..at, ..Node::default() });
        }
    }

    #[cold]
    fn close(&mut self, at: usize) {
        if self.skipped > 0 {
            self.skipped -= 1;
        } else if let Some(mut node) = self.open.pop() {
            node.range.end = at;
            self.open.last_mut().map_or(&mut self.done, |parent| &mut parent.children).push(node);
        }
    }

    #[cold]
    fn value(&mut self, value: fmt::Arguments<'_>) {
        if self.skipped > 0 {
            return;
        }
        if let Some(node) = self.open.last_mut() {
            node.value = value.to_string();
        }
    }
}

/// Who reads without watching pays one comparison a field; the rest is out of its way.
impl Trace {
    #[inline]
    pub(crate) fn open(&mut self, name: &str, at: usize) {
        if let Self::Tree(builder) = self {
            builder.open(format_args!("{name}"), at);
        }
    }

    #[inline]
    pub(crate) fn open_element(&mut self, index: usize, at: usize) {
        if let Self::Tree(builder) = self {
            builder.open(format_args!("[{index}]"), at);
        }
    }

    #[inline]
    pub(crate) fn close(&mut self, at: usize) {
        if let Self::Tree(builder) = self {
            builder.close(at);
        }
    }

    #[inline]
    pub(crate) fn value(&mut self, value: fmt::Arguments<'_>) {
        if let Self::Tree(builder) = self {
            builder.value(value);
        }
    }

    #[inline]
    pub(crate) fn tag_count(&mut self, from: usize, to: usize, count: u32) {
        if let Self::Tree(builder) = self {
            builder.open(format_args!("tagged fields"), from);
            builder.value(format_args!("{count}"));
            builder.close(to);
        }
    }

    pub(crate) fn unknown_tag(&mut self, from: usize, to: usize, tag: u32, size: usize) {
        if let Self::Tree(builder) = self {
            builder.open(format_args!("tag {tag}"), from);
            builder.value(format_args!("{size} bytes"));
            builder.close(to);
        }
    }
}
