//! Links of two clients in one tool, told apart: those of the first have even numbers, those of the second odd ones.

use crate::client::{LinkEffect, LinkEvent, LinkId};

/// What a client, 0 or 1, asks of the shell.
pub fn outward(effect: LinkEffect, client: u64) -> LinkEffect {
    let named = |link: LinkId| LinkId(link.0 * 2 + client);
    match effect {
        LinkEffect::Open { link, target } => LinkEffect::Open { link: named(link), target },
        LinkEffect::Send { link, frame } => LinkEffect::Send { link: named(link), frame },
        LinkEffect::Close { link } => LinkEffect::Close { link: named(link) },
    }
}

/// Whose link it is, and what happened on it.
pub fn inward(event: LinkEvent) -> (u64, LinkEvent) {
    let named = |link: LinkId| LinkId(link.0 / 2);
    match event {
        LinkEvent::Opened(link) => (link.0 % 2, LinkEvent::Opened(named(link))),
        LinkEvent::Received(link, frame) => (link.0 % 2, LinkEvent::Received(named(link), frame)),
        LinkEvent::Closed(link, reason) => (link.0 % 2, LinkEvent::Closed(named(link), reason)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_back_goes_to_who_asked() {
        for (client, link) in [(0, 0), (1, 0), (0, 7), (1, 7)] {
            let LinkEffect::Close { link: outer } = outward(LinkEffect::Close { link: LinkId(link) }, client)
            else {
                panic!("another effect")
            };
            assert_eq!(inward(LinkEvent::Opened(outer)), (client, LinkEvent::Opened(LinkId(link))));
        }
    }
}
