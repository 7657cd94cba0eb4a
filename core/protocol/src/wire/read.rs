//! The walk that reads: a frame into a structure, into a tree of byte ranges, or into nothing.
#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use super::{
    DecodeError, DecodeErrorKind, Decoder, Field, Kind, MessageSpec, Mut, Records, Schema, Struct,
    decoder::Prefix,
};
use crate::tree::Builder;

/// Strings are no longer in compact form than in the old one.
const STRING_BYTES_MAX: usize = i16::MAX as usize;

/// Who watches the walk.
#[derive(Debug)]
pub(crate) enum Trace {
    Off,
    Tree(Builder),
}

/// Reads one message of `spec` at `version` into `target`, or only checks it.
pub(crate) fn read(
    decoder: &mut Decoder,
    spec: &MessageSpec,
    version: i16,
    target: Option<&mut dyn Struct>,
    trace: &mut Trace,
) -> Result<(), DecodeError> {
    if !spec.versions.contains(version) {
        return Err(decoder.error(DecodeErrorKind::UnsupportedVersion(version)));
    }
    let flexible = spec.flexible.contains(version);
    Reader { decoder, version, flexible, trace }.structure(spec.schema, target)
}

/// Where a field of the message itself begins, if `version` has it and it is no tagged one; what is before it is read.
pub(crate) fn find(decoder: &mut Decoder, spec: &MessageSpec, version: i16, name: &str) -> Option<usize> {
    let flexible = spec.flexible.contains(version);
    let mut reader = Reader { decoder, version, flexible, trace: &mut Trace::Off };
    for field in spec.schema.fields.iter().filter(|field| field.is_plain_at(version)) {
        if field.name == name {
            return Some(reader.decoder.position());
        }
        reader.field(field, Mut::Nothing).ok()?;
    }
    None
}

struct Reader<'a> {
    decoder: &'a mut Decoder,
    version: i16,
    flexible: bool,
    trace: &'a mut Trace,
}

impl Reader<'_> {
    fn structure(
        &mut self,
        schema: &'static Schema,
        mut target: Option<&mut dyn Struct>,
    ) -> Result<(), DecodeError> {
        for (at, field) in schema.fields.iter().enumerate() {
            if field.is_plain_at(self.version) {
                let slot = target.as_deref_mut().map_or(Mut::Nothing, |target| target.get_mut(at));
                self.field(field, slot)?;
            }
        }
        if self.flexible { self.tagged_fields(schema, target) } else { Ok(()) }
    }

    fn tagged_fields(
        &mut self,
        schema: &'static Schema,
        mut target: Option<&mut dyn Struct>,
    ) -> Result<(), DecodeError> {
        let from = self.decoder.position();
        let count = self.decoder.varint()?;
        self.trace.tag_count(from, self.decoder.position(), count);
        for _ in 0..count {
            let from = self.decoder.position();
            let tag = self.decoder.varint()?;
            let size = self.decoder.varint()? as usize;
            let remaining = self.decoder.remaining();
            if size > remaining {
                let truncated = DecodeErrorKind::Truncated { needed: size as u64, remaining };
                return Err(self.decoder.error(truncated));
            }
            let known = schema.fields.iter().enumerate().find(|(_, field)| {
                field.is_tagged_at(self.version) && u32::try_from(field.tag).is_ok_and(|known| known == tag)
            });
            let Some((at, field)) = known else {
                self.decoder.skip(size)?;
                self.trace.unknown_tag(from, self.decoder.position(), tag, size);
                continue;
            };
            let slot = target.as_deref_mut().map_or(Mut::Nothing, |target| target.get_mut(at));
            let start = self.decoder.position();
            let end = self.decoder.narrow(size);
            let read = self.field(field, slot);
            self.decoder.widen(end);
            read?;
            let actual = self.decoder.position().saturating_sub(start);
            if actual != size {
                let kind = DecodeErrorKind::TaggedFieldSize { tag, declared: size, actual };
                return Err(self.decoder.error(kind).in_field(field.name));
            }
        }
        Ok(())
    }

    fn field(&mut self, field: &'static Field, slot: Mut<'_>) -> Result<(), DecodeError> {
        self.trace.open(field.name, self.decoder.position());
        let flexible = self.flexible && !field.inflexible;
        let nullable = field.nullable.contains(self.version);
        let read = if nullable && field.is_tagged_structure_at(self.version) {
            self.tagged_structure(&field.kind, slot)
        } else {
            self.value(&field.kind, flexible, nullable, slot)
        };
        self.trace.close(self.decoder.position());
        read.map_err(|error| error.in_field(field.name))
    }

    /// Whether a tagged structure is null is said by a varint, not by a byte of -1 as elsewhere.
    fn tagged_structure(&mut self, kind: &Kind, slot: Mut<'_>) -> Result<(), DecodeError> {
        if self.decoder.varint()? == 0 {
            self.null(slot);
            return Ok(());
        }
        self.value(kind, true, false, slot)
    }

    fn value(
        &mut self,
        kind: &Kind,
        flexible: bool,
        nullable: bool,
        slot: Mut<'_>,
    ) -> Result<(), DecodeError> {
        match *kind {
            Kind::String => {
                let prefix = if flexible { Prefix::Compact } else { Prefix::Int16 };
                let Some((length, slot)) = self.length(prefix, nullable, slot)? else { return Ok(()) };
                if length > STRING_BYTES_MAX {
                    return Err(self.decoder.error(DecodeErrorKind::StringTooLong(length)));
                }
                let text = self.decoder.str(length)?;
                self.trace.value(format_args!("{text:?}"));
                if let Mut::Str(slot) = slot {
                    *slot = text;
                }
            }
            Kind::Bytes => {
                let Some((length, slot)) = self.length(prefix(flexible), nullable, slot)? else {
                    return Ok(());
                };
                let bytes = self.decoder.bytes(length)?;
                self.trace.value(format_args!("{length} bytes"));
                if let Mut::Bytes(slot) = slot {
                    *slot = bytes;
                }
            }
            Kind::Records => {
                let Some((length, slot)) = self.length(prefix(flexible), nullable, slot)? else {
                    return Ok(());
                };
                let bytes = self.decoder.bytes(length)?;
                self.trace.value(format_args!("{length} bytes of records"));
                if let Mut::Records(slot) = slot {
                    *slot = Records::Bytes(bytes);
                }
            }
            Kind::Array(element) => {
                let Some((count, slot)) = self.length(prefix(flexible), nullable, slot)? else {
                    return Ok(());
                };
                self.elements(element, flexible, count, slot)?;
            }
            Kind::Struct(schema) => {
                if nullable && self.decoder.i8()? < 0 {
                    self.null(slot);
                    return Ok(());
                }
                let target = if let Mut::Struct(slot) = present(slot) { Some(slot) } else { None };
                self.structure(schema, target)?;
            }
            // No number is nullable.
            _ => self.number(kind, slot)?,
        }
        Ok(())
    }

    fn elements(
        &mut self,
        element: &'static Kind,
        flexible: bool,
        count: usize,
        slot: Mut<'_>,
    ) -> Result<(), DecodeError> {
        let remaining = self.decoder.remaining();
        let bytes_min = if count == 0 { 1 } else { element.bytes_min(self.version, flexible, false).max(1) };
        if count > remaining.checked_div(bytes_min).unwrap_or(0) {
            return Err(self
                .decoder
                .error(DecodeErrorKind::TooManyElements { count: count as u64, remaining }));
        }
        self.decoder.take_elements(count)?;
        self.trace.value(format_args!("{count} elements"));
        let mut list = if let Mut::List(list) = slot { Some(list) } else { None };
        if let Some(list) = list.as_deref_mut() {
            list.restart(count);
        }
        for at in 0..count {
            let slot = list.as_deref_mut().map_or(Mut::Nothing, |list| list.push());
            self.trace.open_element(at, self.decoder.position());
            let read = self.value(element, flexible, false, slot);
            self.trace.close(self.decoder.position());
            read.map_err(|error| error.in_element(at))?;
        }
        Ok(())
    }

    fn number(&mut self, kind: &Kind, slot: Mut<'_>) -> Result<(), DecodeError> {
        macro_rules! number {
            ($variant:ident, $value:expr) => {{
                let value = $value;
                self.trace.value(format_args!("{value}"));
                if let Mut::$variant(slot) = slot {
                    *slot = value;
                }
            }};
        }
        match kind {
            Kind::Bool => number!(Bool, self.decoder.i8()? != 0),
            Kind::Int8 => number!(Int8, self.decoder.i8()?),
            Kind::Int16 => number!(Int16, self.decoder.i16()?),
            Kind::Uint16 => number!(Uint16, self.decoder.u16()?),
            Kind::Int32 => number!(Int32, self.decoder.i32()?),
            Kind::Uint32 => number!(Uint32, self.decoder.u32()?),
            Kind::Int64 => number!(Int64, self.decoder.i64()?),
            Kind::Float64 => number!(Float64, self.decoder.f64()?),
            Kind::Uuid => number!(Uuid, self.decoder.uuid()?),
            Kind::String | Kind::Bytes | Kind::Records | Kind::Struct(_) | Kind::Array(_) => {}
        }
        Ok(())
    }

    /// A length and where to put what follows; `None` when it was null, which has been put there.
    fn length<'a>(
        &mut self,
        prefix: Prefix,
        nullable: bool,
        slot: Mut<'a>,
    ) -> Result<Option<(usize, Mut<'a>)>, DecodeError> {
        let from = self.decoder.position();
        match self.decoder.length(prefix)? {
            Some(length) => Ok(Some((length, present(slot)))),
            None if nullable => {
                self.null(slot);
                Ok(None)
            }
            None => Err(DecodeError::new(DecodeErrorKind::UnexpectedNull, from)),
        }
    }

    fn null(&mut self, slot: Mut<'_>) {
        self.trace.value(format_args!("null"));
        match slot {
            Mut::Optional(slot) => slot.clear(),
            Mut::Records(slot) => *slot = Records::Null,
            _ => {}
        }
    }
}

/// Lengths of all but strings.
fn prefix(flexible: bool) -> Prefix {
    if flexible { Prefix::Compact } else { Prefix::Int32 }
}

fn present(slot: Mut<'_>) -> Mut<'_> {
    if let Mut::Optional(slot) = slot { slot.fill() } else { slot }
}
