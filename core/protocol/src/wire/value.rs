//! Values as the walks see them: borrowed, one field at a time.

use std::fmt;

use bytes::Bytes;

use super::{
    DecodeError, Decoder, EncodeError, Encoder, MessageSpec, Records, Schema,
    read::{Trace, read},
    write::write,
};
use crate::{ApiKey, Str, Uuid};

/// A generated structure. Fields go by their index in the schema.
pub trait Struct: fmt::Debug {
    fn schema(&self) -> &'static Schema;
    /// The field at this index; [`Ref::Null`] past the last.
    fn get(&self, at: usize) -> Ref<'_>;
    /// The field at this index; [`Mut::Nothing`] past the last.
    fn get_mut(&mut self, at: usize) -> Mut<'_>;
}

/// A message: a structure with versions.
pub trait Message: Struct + Clone + Default + PartialEq + Sized + 'static {
    const SPEC: &'static MessageSpec;

    /// Reads one message; what follows it stays in the decoder ([`Decoder::finish`] insists on nothing).
    fn decode(decoder: &mut Decoder, version: i16) -> Result<Self, DecodeError> {
        let mut message = Self::default();
        read(decoder, Self::SPEC, version, Some(&mut message), &mut Trace::Off)?;
        Ok(message)
    }

    /// Appends the message. A field that `version` lacks must hold its default, unless Kafka calls it ignorable.
    fn encode(&self, encoder: &mut Encoder, version: i16) -> Result<(), EncodeError> {
        write(encoder, Self::SPEC, version, self)
    }

    /// The bytes that [`Message::encode`] would append, records slices included.
    fn encoded_len(&self, version: i16) -> Result<usize, EncodeError> {
        Self::SPEC.encoded_len(version, self)
    }
}

/// The body of a request.
pub trait Request: Message {
    const API_KEY: ApiKey;
    type Response: Response;
}

/// The body of a response.
pub trait Response: Message {
    const API_KEY: ApiKey;
}

/// A field, to be written.
#[derive(Clone, Copy, Debug)]
pub enum Ref<'a> {
    Null,
    Bool(bool),
    Int8(i8),
    Int16(i16),
    Uint16(u16),
    Int32(i32),
    Uint32(u32),
    Int64(i64),
    Float64(f64),
    Uuid(&'a Uuid),
    Str(&'a Str),
    Bytes(&'a Bytes),
    Records(&'a Records),
    Struct(&'a dyn Struct),
    List(&'a dyn List),
}

/// A field, to be read into. [`Mut::Nothing`] takes any value and drops it.
#[derive(Debug)]
pub enum Mut<'a> {
    Nothing,
    Bool(&'a mut bool),
    Int8(&'a mut i8),
    Int16(&'a mut i16),
    Uint16(&'a mut u16),
    Int32(&'a mut i32),
    Uint32(&'a mut u32),
    Int64(&'a mut i64),
    Float64(&'a mut f64),
    Uuid(&'a mut Uuid),
    Str(&'a mut Str),
    Bytes(&'a mut Bytes),
    Records(&'a mut Records),
    Struct(&'a mut dyn Struct),
    List(&'a mut dyn List),
    Optional(&'a mut dyn Optional),
}

/// The type of a field.
pub trait Value: fmt::Debug {
    fn get(&self) -> Ref<'_>;
    fn get_mut(&mut self) -> Mut<'_>;
}

/// An array.
pub trait List: fmt::Debug {
    fn len(&self) -> usize;
    /// The element at this index; [`Ref::Null`] past the last.
    fn get(&self, at: usize) -> Ref<'_>;
    /// Empties the array and makes room for as many elements.
    fn restart(&mut self, capacity: usize);
    /// Appends a default element, to be read into.
    fn push(&mut self) -> Mut<'_>;
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A nullable field.
pub trait Optional: fmt::Debug {
    fn clear(&mut self);
    /// Makes it a default value, to be read into.
    fn fill(&mut self) -> Mut<'_>;
}

macro_rules! values {
    ($($kind:ty = $variant:ident),*) => { $(
        impl Value for $kind {
            fn get(&self) -> Ref<'_> { Ref::$variant(*self) }
            fn get_mut(&mut self) -> Mut<'_> { Mut::$variant(self) }
        }
    )* };
}
macro_rules! borrowed_values {
    ($($kind:ty = $variant:ident),*) => { $(
        impl Value for $kind {
            fn get(&self) -> Ref<'_> { Ref::$variant(self) }
            fn get_mut(&mut self) -> Mut<'_> { Mut::$variant(self) }
        }
    )* };
}
values!(
    bool = Bool,
    i8 = Int8,
    i16 = Int16,
    u16 = Uint16,
    i32 = Int32,
    u32 = Uint32,
    i64 = Int64,
    f64 = Float64
);
borrowed_values!(Uuid = Uuid, Str = Str, Bytes = Bytes, Records = Records);

impl<T: Struct> Value for T {
    fn get(&self) -> Ref<'_> {
        Ref::Struct(self)
    }

    fn get_mut(&mut self) -> Mut<'_> {
        Mut::Struct(self)
    }
}

impl<T: Value + Default> Value for Vec<T> {
    fn get(&self) -> Ref<'_> {
        Ref::List(self)
    }

    fn get_mut(&mut self) -> Mut<'_> {
        Mut::List(self)
    }
}

impl<T: Value + Default> Value for Option<T> {
    fn get(&self) -> Ref<'_> {
        self.as_ref().map_or(Ref::Null, Value::get)
    }

    fn get_mut(&mut self) -> Mut<'_> {
        Mut::Optional(self)
    }
}

impl<T: Value + Default> List for Vec<T> {
    fn len(&self) -> usize {
        Vec::len(self)
    }

    fn get(&self, at: usize) -> Ref<'_> {
        <[T]>::get(self, at).map_or(Ref::Null, Value::get)
    }

    fn restart(&mut self, capacity: usize) {
        self.clear();
        self.reserve_exact(capacity);
    }

    fn push(&mut self) -> Mut<'_> {
        Vec::push(self, T::default());
        self.last_mut().map_or(Mut::Nothing, Value::get_mut)
    }
}

impl<T: Value + Default> Optional for Option<T> {
    fn clear(&mut self) {
        *self = None;
    }

    fn fill(&mut self) -> Mut<'_> {
        self.insert(T::default()).get_mut()
    }
}
