//! A network of its own for each node, so that links between nodes can be cut: namespaces that meet at a bridge. Needs root on Linux.
//!
//! A cut link loses packets silently and in one direction: the sender believes its neighbour to be where nobody is.

use std::net::Ipv4Addr;
use std::process::{Command, Stdio};

/// Belongs to nobody.
const NOWHERE: &str = "02:00:00:00:00:01";

/// Namespaces with one address each, and a bridge with an address for whoever is outside.
#[derive(Debug)]
pub struct Network {
    nodes: usize,
}

impl Network {
    /// Nodes 1, 2, …; `None` where that is not allowed.
    pub fn of(nodes: usize) -> Option<Self> {
        let network = Self { nodes };
        let bridge = network.bridge();
        let mut well = ip(&format!("link add {bridge} type bridge"))
            && ip(&format!("addr add {}/24 dev {bridge}", network.address(254)))
            && ip(&format!("link set {bridge} up"));
        for id in 1..=nodes {
            let (namespace, link) = (network.namespace(id), format!("ov{}-{id}", std::process::id()));
            well = well
                && ip(&format!("netns add {namespace}"))
                && ip(&format!("link add {link} type veth peer name eth0 netns {namespace}"))
                && ip(&format!("link set {link} master {bridge} up"))
                && ip(&format!("-n {namespace} addr add {}/24 dev eth0", network.address(id)))
                && ip(&format!("-n {namespace} link set eth0 up"))
                && ip(&format!("-n {namespace} link set lo up"));
        }
        well.then_some(network)
    }

    /// Where a node listens.
    pub fn address(&self, id: usize) -> Ipv4Addr {
        let number = std::process::id();
        let octet = |shift: u32| u8::try_from(number >> shift & 0x7f).expect("seven bits");
        Ipv4Addr::new(10, 128 + octet(7), octet(0), u8::try_from(id).expect("few nodes"))
    }

    /// The same command as a process of a node.
    pub fn inside(&self, id: usize, command: &Command) -> Command {
        let mut inside = Command::new("ip");
        inside.args(["netns", "exec", &self.namespace(id)]);
        inside.arg(command.get_program()).args(command.get_args());
        inside.envs(command.get_envs().filter_map(|(key, value)| Some((key, value?))));
        if let Some(directory) = command.get_current_dir() {
            inside.current_dir(directory);
        }
        inside
    }

    /// Nothing that one node sends reaches another any more.
    pub fn cut(&self, from: usize, to: usize) {
        let (namespace, to) = (self.namespace(from), self.address(to));
        ip(&format!("-n {namespace} neigh replace {to} lladdr {NOWHERE} dev eth0 nud permanent"));
    }

    /// It does again.
    pub fn heal(&self, from: usize, to: usize) {
        let (namespace, to) = (self.namespace(from), self.address(to));
        ip(&format!("-n {namespace} neigh del {to} dev eth0"));
    }

    fn namespace(&self, id: usize) -> String {
        format!("ottla-{}-{id}", std::process::id())
    }

    fn bridge(&self) -> String {
        format!("ob{}", std::process::id())
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        for id in 1..=self.nodes {
            ip(&format!("netns del {}", self.namespace(id)));
        }
        ip(&format!("link del {}", self.bridge()));
    }
}

/// `ip` with these words; whether it did it.
fn ip(words: &str) -> bool {
    let mut ip = Command::new("ip");
    let ended = ip.args(words.split(' ')).stdout(Stdio::null()).stderr(Stdio::null()).status();
    ended.is_ok_and(|status| status.success())
}
