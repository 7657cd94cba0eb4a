//! placeholder
use super::*;
use crate::log::LogStore;
pub fn handle<S: LogStore>(_env: &mut Env<'_, '_, S>, _request: &Request, _body: Bytes) -> Handled<S> { Err("no".into()) }
pub fn resume<S: LogStore>(_request: &Request, _response: ControllerResponse) -> Outcome<S> { Outcome::Silent }
