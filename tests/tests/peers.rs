//! The harness itself: a broker starts, survives `kill -9`, and ends when it is told to.

use ottla_tests::peer::{Peer, chosen};
use ottla_tests::wire::answers_metadata;

#[test]
fn a_peer_starts_is_killed_starts_again_and_stops() {
    for kind in chosen() {
        let mut peer = Peer::start(kind, &[]);
        println!("{kind:?} answered after {:?}", peer.started_within());
        let address = peer.address();
        peer.kill();
        assert!(!answers_metadata(address), "{kind:?} answers after kill -9");
        peer.restart();
        println!("{kind:?} answered again after {:?}", peer.started_within());
        assert!(peer.stop(), "{kind:?} did not end after SIGTERM");
        assert!(!answers_metadata(address), "{kind:?} answers after SIGTERM");
    }
}
