//! `mailbox.rs` under loom: every interleaving of small scenarios.

use std::sync::Arc;

mod sync {
    pub(crate) use loom::sync::{Mutex, MutexGuard};
}

#[path = "../src/mailbox.rs"]
#[allow(dead_code, unreachable_pub)]
mod mailbox;

use loom::sync::atomic::{AtomicUsize, Ordering};
use mailbox::Mailbox;

/// Keeps what it was told; `inside` counts the threads that drive it.
#[derive(Default)]
struct Recorder {
    seen: Vec<(u8, u8)>,
}

type Box_ = Mailbox<Recorder, (u8, u8)>;

/// Drives until nothing waits or another thread has the machine.
fn drive(mailbox: &Box_, inside: &AtomicUsize, events_max: usize) {
    while let Some(mut turn) = mailbox.claim(events_max) {
        assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0, "two drivers");
        while let Some(event) = turn.next_event() {
            turn.machine().seen.push(event);
        }
        inside.fetch_sub(1, Ordering::SeqCst);
        if !turn.release() {
            break;
        }
    }
}

fn seen(mailbox: &Box_) -> Vec<(u8, u8)> {
    assert_eq!(mailbox.waiting(), 0, "an event was left behind");
    let _ = mailbox.post((255, 0));
    let mut turn = mailbox.claim(1).expect("the machine was given back");
    turn.machine().seen.clone()
}

/// Two threads post two events each: all arrive, each sender's in order, under one driver at a time.
#[test]
fn nothing_is_lost_and_each_sender_is_in_order() {
    for events_max in [1, 8] {
        loom::model(move || {
            let mailbox = Arc::new(Box_::new(Recorder::default()));
            let inside = Arc::new(AtomicUsize::new(0));
            let sender = |id: u8| {
                let (mailbox, inside) = (Arc::clone(&mailbox), Arc::clone(&inside));
                move || {
                    for number in 0..2 {
                        if mailbox.post((id, number)) {
                            drive(&mailbox, &inside, events_max);
                        }
                    }
                }
            };
            let other = loom::thread::spawn(sender(1));
            sender(2)();
            other.join().expect("the other thread");
            let seen = seen(&mailbox);
            for id in [1, 2] {
                let of_sender: Vec<_> = seen.iter().filter(|event| event.0 == id).collect();
                assert_eq!(of_sender, [&(id, 0), &(id, 1)]);
            }
        });
    }
}

/// A machine's effect enters its target's mailbox before the machine is released; so what two threads make of one sender
/// arrives in the sender's order.
#[test]
fn order_is_kept_across_two_machines() {
    loom::model(|| {
        let [first, second] = [0, 1].map(|_| Arc::new(Box_::new(Recorder::default())));
        let inside = [0, 1].map(|_| Arc::new(AtomicUsize::new(0)));
        let worker = |number: u8| {
            let (first, second, inside) = (Arc::clone(&first), Arc::clone(&second), inside.clone());
            move || {
                let mut to_drive = first.post((1, number));
                while to_drive {
                    let Some(mut turn) = first.claim(8) else { break };
                    let mut second_is_free = false;
                    while let Some(event) = turn.next_event() {
                        turn.machine().seen.push(event);
                        let count = u8::try_from(turn.machine().seen.len()).expect("small");
                        second_is_free |= second.post((2, count));
                    }
                    to_drive = turn.release();
                    if second_is_free {
                        drive(&second, &inside[1], 8);
                    }
                }
            }
        };
        let other = loom::thread::spawn(worker(1));
        worker(2)();
        other.join().expect("the other thread");
        assert_eq!(seen(&first).len(), 2);
        assert_eq!(seen(&second), [(2, 1), (2, 2)]);
    });
}
