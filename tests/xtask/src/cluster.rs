//! `cargo xtask cluster N`: a cluster on this machine.

use std::fs;
use std::path::Path;
use std::process::Child;
use std::time::Duration;

use crate::repository;
use crate::shell::{Failure, Outcome, command, run};

/// A cold release build on two cores.
const BUILD_MAX: Duration = Duration::from_secs(40 * 60);
const FORMAT_MAX: Duration = Duration::from_secs(60);
const NODES_MAX: usize = 9;
/// Where the brokers listen from, and the controllers.
const BROKERS: usize = 9092;
const CONTROLLERS: usize = 19092;
const CLUSTER_ID: &str = "Vt6ZAsSRQzKTlHsmVVl1bw";

/// Builds what is missing, formats the nodes that are new, and runs them until they are stopped.
pub fn cluster(arguments: &[&str]) -> Outcome {
    let count = arguments.first().and_then(|count| count.parse().ok()).unwrap_or(3_usize);
    if !(1..=NODES_MAX).contains(&count) {
        return Err(Failure::usage(format!("a cluster has 1 to {NODES_MAX} nodes")));
    }
    println!("[1/3] the server (a first release build takes some minutes)");
    run(command("cargo build --release --package ottla-server".split(' ')), BUILD_MAX)
        .map_err(|failure| failure.advise("read the compiler's first error above"))?;
    let binary = repository::target().join("release/ottla");
    println!("[2/3] {count} nodes in ./data-cluster");
    let place = repository::root().join("data-cluster");
    fs::create_dir_all(&place)?;
    let voters = |from: usize| (1..=count).map(move |id| format!("{id}@127.0.0.1:{}", from + id - 1));
    let voters = voters(CONTROLLERS).collect::<Vec<_>>().join(",");
    for id in 1..=count {
        let file = place.join(format!("{id}.properties"));
        fs::write(&file, properties(id, count, &voters, &place.join(id.to_string())))?;
        let mut format = command([binary.as_path()]);
        format.args(["format", "--ignore-formatted", "--cluster-id", CLUSTER_ID, "--config"]).arg(&file);
        run(format, FORMAT_MAX)?;
    }
    println!("[3/3] starting");
    let mut nodes: Vec<(usize, Child)> = Vec::new();
    for id in 1..=count {
        let mut server = command([binary.as_path()]);
        server.arg("server").arg(place.join(format!("{id}.properties")));
        nodes.push((id, server.spawn()?));
    }
    println!("\nThe brokers listen on localhost:{BROKERS} and the ports after it. Ctrl-C stops all. Try:\n");
    println!(
        "  target/release/ottla kafka-topics --bootstrap-server localhost:{BROKERS} --create --topic t --partitions 3"
    );
    println!("  target/release/ottla kafka-topics --bootstrap-server localhost:{BROKERS} --describe");
    for (id, node) in &nodes {
        println!("  kill -9 {:<8} # node {id}", node.id());
    }
    for (id, node) in &mut nodes {
        let status = node.wait()?;
        println!("node {id} ended with {status}");
    }
    Ok(())
}

fn properties(id: usize, count: usize, voters: &str, data: &Path) -> String {
    let (broker, controller) = (BROKERS + id - 1, CONTROLLERS + id - 1);
    let (replicas, in_sync) = (count.min(3), count.min(3).div_ceil(2));
    // One page for all of them is enough.
    let page = if id == 1 { "127.0.0.1:8080" } else { "" };
    format!(
        "process.roles=broker,controller\nnode.id={id}\ncontroller.quorum.voters={voters}\n\
         listeners=PLAINTEXT://127.0.0.1:{broker},CONTROLLER://127.0.0.1:{controller}\n\
         advertised.listeners=PLAINTEXT://localhost:{broker},CONTROLLER://127.0.0.1:{controller}\n\
         controller.listener.names=CONTROLLER\n\
         listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT\n\
         log.dirs={}\nottla.http.listeners={page}\ndefault.replication.factor={replicas}\n\
         offsets.topic.replication.factor={replicas}\nmin.insync.replicas={in_sync}\n",
        data.display()
    )
}
