//! [`Operation`]: what an operator, or bad luck, does to a broker.

use serde::{Deserialize, Serialize};

use super::Machines;

/// What is done to a broker. Its disk keeps everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Operation {
    /// The process is gone at once: SIGKILL.
    Kill,
    /// The process is asked to stop: it hands over first. SIGTERM.
    Stop,
    /// It is started.
    Start,
    /// The process stands still: SIGSTOP.
    Pause,
    /// It goes on: SIGCONT.
    Resume,
    /// Nothing comes through to it or from it.
    CutOff,
    /// Everything does again.
    Reconnect,
}

/// Does it; the error is what is wrong about the broker, as a shell would say.
pub fn carry_out(world: &mut Machines, broker: i32, operation: Operation) -> Result<(), String> {
    let host = world.hosts().find(|(id, _)| *id == broker).map(|(_, host)| host.node().is_some());
    let Some(is_running) = host else { return Err(format!("there is no broker {broker}")) };
    let needs_process =
        matches!(operation, Operation::Kill | Operation::Stop | Operation::Pause | Operation::Resume);
    if needs_process && !is_running {
        return Err("No such process".to_owned());
    }
    match operation {
        Operation::Kill => {
            // What waited for the process is lost with it.
            world.resume_host(broker);
            world.crash_host(broker);
        }
        // A process that stands still hears of it once it goes on: nothing is kept for it here.
        Operation::Stop if world.is_paused(broker) => {
            return Err(format!("broker {broker} stands still: kill -CONT first"));
        }
        Operation::Stop => world.stop_host(broker),
        Operation::Start if is_running => return Err(format!("broker {broker} is running")),
        Operation::Start => world.start_host(broker)?,
        Operation::Pause => world.freeze_host(broker),
        Operation::Resume => world.resume_host(broker),
        Operation::CutOff => world.cut_off(broker),
        Operation::Reconnect => world.reconnect(broker),
    }
    Ok(())
}

/// The number of a broker's process: another one in each of its lives.
pub fn process_id(broker: i32, incarnation: u64) -> u32 {
    let life = u32::try_from(incarnation.saturating_sub(1) % 100).unwrap_or(0);
    broker.unsigned_abs() * 100 + 1 + life
}
