//! The walk that writes, or counts.

use super::{
    EncodeError, EncodeErrorKind, Encoder, Field, Kind, MessageSpec, Preset, Records, Ref, Schema, Struct,
};

/// Appends `message`, which must be of `spec`, at `version`.
pub(crate) fn write(
    encoder: &mut Encoder,
    spec: &MessageSpec,
    version: i16,
    message: &dyn Struct,
) -> Result<(), EncodeError> {
    if !spec.versions.contains(version) {
        return Err(EncodeError::new(EncodeErrorKind::UnsupportedVersion(version)));
    }
    Writer { encoder, version, flexible: spec.flexible.contains(version) }.structure(message)
}

struct Writer<'a> {
    encoder: &'a mut Encoder,
    version: i16,
    flexible: bool,
}

impl Writer<'_> {
    fn structure(&mut self, value: &dyn Struct) -> Result<(), EncodeError> {
        let schema = value.schema();
        for (at, field) in schema.fields.iter().enumerate() {
            if field.is_plain_at(self.version) {
                self.field(field, value.get(at))?;
            } else if !field.ignorable
                && !field.is_tagged_at(self.version)
                && !is_default(field.default, value.get(at))
            {
                return Err(
                    EncodeError::new(EncodeErrorKind::FieldNotInVersion(self.version)).in_field(field.name)
                );
            }
        }
        if self.flexible { self.tagged_fields(schema, value) } else { Ok(()) }
    }

    fn tagged_fields(&mut self, schema: &'static Schema, value: &dyn Struct) -> Result<(), EncodeError> {
        let version = self.version;
        // One bit for each of the schema's tags: build.rs sees to it that they are few.
        let mut present = 0_u64;
        for (bit, at) in schema.tags.iter().enumerate() {
            let Some(field) = schema.fields.get(*at) else { continue };
            if field.is_tagged_at(version) && !is_default(field.default, value.get(*at)) {
                present |= 1 << bit;
            }
        }
        self.encoder.put_varint(present.count_ones());
        if present == 0 {
            return Ok(());
        }
        for (bit, at) in schema.tags.iter().enumerate() {
            let Some(field) = schema.fields.get(*at).filter(|_| present & 1 << bit != 0) else { continue };
            let held = value.get(*at);
            let mut counter = Encoder::counter();
            Writer { encoder: &mut counter, version, flexible: true }.field(field, held)?;
            self.encoder.put_varint(field.tag as u32);
            self.encoder.put_varint(length(counter.len())?);
            self.field(field, held)?;
        }
        Ok(())
    }

    fn field(&mut self, field: &Field, value: Ref<'_>) -> Result<(), EncodeError> {
        let flexible = self.flexible && !field.inflexible;
        let nullable = field.nullable.contains(self.version);
        let written = match (is_null(value), nullable) {
            (true, false) => Err(EncodeError::new(EncodeErrorKind::UnexpectedNull)),
            (true, true) if field.is_tagged_structure_at(self.version) => {
                self.encoder.put_varint(0);
                Ok(())
            }
            (true, true) => {
                self.null(&field.kind, flexible);
                Ok(())
            }
            (false, nullable) => {
                if nullable && field.is_tagged_structure_at(self.version) {
                    self.encoder.put_varint(1);
                } else if nullable && matches!(field.kind, Kind::Struct(_)) {
                    self.encoder.put_i8(1);
                }
                self.value(value, flexible)
            }
        };
        written.map_err(|error| error.in_field(field.name))
    }

    fn null(&mut self, kind: &Kind, flexible: bool) {
        match kind {
            Kind::Struct(_) => self.encoder.put_i8(-1),
            _ if flexible => self.encoder.put_varint(0),
            Kind::String => self.encoder.put_i16(-1),
            _ => self.encoder.put_i32(-1),
        }
    }

    fn value(&mut self, value: Ref<'_>, flexible: bool) -> Result<(), EncodeError> {
        match value {
            Ref::Null => return Err(EncodeError::new(EncodeErrorKind::UnexpectedNull)),
            Ref::Bool(value) => self.encoder.put_i8(i8::from(value)),
            Ref::Int8(value) => self.encoder.put_i8(value),
            Ref::Int16(value) => self.encoder.put_i16(value),
            Ref::Uint16(value) => self.encoder.put(&value.to_be_bytes()),
            Ref::Int32(value) => self.encoder.put_i32(value),
            Ref::Uint32(value) => self.encoder.put(&value.to_be_bytes()),
            Ref::Int64(value) => self.encoder.put_i64(value),
            Ref::Float64(value) => self.encoder.put(&value.to_be_bytes()),
            Ref::Uuid(value) => self.encoder.put_uuid(value),
            Ref::Str(value) => {
                let bytes = value.as_bytes();
                // Compact or not, a string is no longer than an i16 says.
                let Ok(short) = i16::try_from(bytes.len()) else { return Err(too_long(bytes.len())) };
                if flexible {
                    self.encoder.put_varint(short as u32 + 1);
                } else {
                    self.encoder.put_i16(short);
                }
                self.encoder.put(bytes);
            }
            Ref::Bytes(value) => {
                self.length(value.len(), flexible)?;
                self.encoder.put(value);
            }
            Ref::Records(value) => {
                self.length(value.len(), flexible)?;
                match value {
                    Records::Bytes(bytes) => self.encoder.put_records(bytes),
                    Records::Slice { len } => self.encoder.put_hole(*len),
                    Records::Null => {}
                }
            }
            Ref::Struct(value) => self.structure(value)?,
            Ref::List(list) => {
                self.length(list.len(), flexible)?;
                for at in 0..list.len() {
                    self.value(list.get(at), flexible).map_err(|error| error.in_element(at))?;
                }
            }
        }
        Ok(())
    }

    fn length(&mut self, count: usize, flexible: bool) -> Result<(), EncodeError> {
        let count = length(count)?;
        if flexible {
            self.encoder.put_varint(count + 1);
        } else {
            self.encoder.put_i32(count as i32);
        }
        Ok(())
    }
}

/// Lengths fit an `i32`, and plus one an unsigned variable-length integer.
fn length(count: usize) -> Result<u32, EncodeError> {
    i32::try_from(count).map(|count| count as u32).map_err(|_| too_long(count))
}

fn too_long(length: usize) -> EncodeError {
    EncodeError::new(EncodeErrorKind::TooLong(length))
}

fn is_null(value: Ref<'_>) -> bool {
    matches!(value, Ref::Null | Ref::Records(Records::Null))
}

/// Whether `value` is the default that Kafka gives the field: such a field is not missed at versions without
/// it, and not written when tagged.
pub(crate) fn is_default(preset: Preset, value: Ref<'_>) -> bool {
    let number = match preset {
        Preset::Int(number) => number,
        Preset::Zero => 0,
        Preset::Null => return is_null(value),
        Preset::Text(text) => return matches!(value, Ref::Str(value) if **value == *text),
    };
    match value {
        Ref::Null => false,
        Ref::Bool(value) => value == (number != 0),
        Ref::Int8(value) => i64::from(value) == number,
        Ref::Int16(value) => i64::from(value) == number,
        Ref::Uint16(value) => i64::from(value) == number,
        Ref::Int32(value) => i64::from(value) == number,
        Ref::Uint32(value) => i64::from(value) == number,
        Ref::Int64(value) => value == number,
        Ref::Float64(value) => value == number as f64,
        Ref::Uuid(value) => value.is_zero(),
        Ref::Str(value) => value.is_empty(),
        Ref::Bytes(value) => value.is_empty(),
        Ref::Records(value) => *value == Records::Null,
        Ref::List(value) => value.is_empty(),
        Ref::Struct(value) => {
            let fields = value.schema().fields.iter().enumerate();
            fields.into_iter().all(|(at, field)| is_default(field.default, value.get(at)))
        }
    }
}
