//! `Debug` for every structure, from its schema.

use std::fmt;

use super::{List, Ref, Struct};

pub(crate) fn debug(value: &dyn Struct, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let schema = value.schema();
    let mut out = f.debug_struct(schema.name);
    for (at, field) in schema.fields.iter().enumerate() {
        out.field(field.name, &Shown(value.get(at)));
    }
    out.finish()
}

struct Shown<'a>(Ref<'a>);

impl fmt::Debug for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Ref::Null => f.write_str("null"),
            Ref::Bool(value) => fmt::Debug::fmt(&value, f),
            Ref::Int8(value) => fmt::Debug::fmt(&value, f),
            Ref::Int16(value) => fmt::Debug::fmt(&value, f),
            Ref::Uint16(value) => fmt::Debug::fmt(&value, f),
            Ref::Int32(value) => fmt::Debug::fmt(&value, f),
            Ref::Uint32(value) => fmt::Debug::fmt(&value, f),
            Ref::Int64(value) => fmt::Debug::fmt(&value, f),
            Ref::Float64(value) => fmt::Debug::fmt(&value, f),
            Ref::Uuid(value) => fmt::Display::fmt(value, f),
            Ref::Str(value) => fmt::Debug::fmt(value, f),
            Ref::Bytes(value) => fmt::Debug::fmt(value, f),
            Ref::Records(value) => fmt::Debug::fmt(value, f),
            Ref::Struct(value) => debug(value, f),
            Ref::List(value) => list(value, f),
        }
    }
}

fn list(value: &dyn List, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    f.debug_list().entries((0..value.len()).map(|at| Shown(value.get(at)))).finish()
}
