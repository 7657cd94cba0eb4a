//! placeholder
use super::*;
use crate::log::LogStore;
pub fn handle<S: LogStore>(_env: &mut Env<'_, '_, S>, _request: &Request, _body: Bytes) -> Handled<S> { Err("no".into()) }
