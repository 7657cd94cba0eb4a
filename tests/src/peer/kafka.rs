//! Apache Kafka as a combined KRaft node.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::Peer;
use crate::program;

/// Features that this Ottla does not have yet are off in the peer too, so that both are asked the
/// same and should answer the same.
pub const FEATURES_OFF: &[&str] =
    &["transaction.version=0", "group.version=0", "share.version=0", "streams.version=0"];

fn properties_path(peer: &Peer) -> PathBuf {
    peer.directory.join("server.properties")
}

/// Writes `server.properties` and formats the log directory.
pub fn format(peer: &Peer) {
    let mut properties = format!(
        "process.roles=broker,controller\n\
         listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}\n\
         advertised.listeners=PLAINTEXT://127.0.0.1:{port}\n\
         controller.listener.names=CONTROLLER\n\
         controller.quorum.bootstrap.servers=127.0.0.1:{controller}\n\
         log.dirs={directory}/data\n",
        port = peer.port,
        controller = peer.controller_port,
        directory = peer.directory.display(),
    );
    for (key, value) in &peer.overrides {
        properties.push_str(&format!("{key}={value}\n"));
    }
    let path = properties_path(peer);
    fs::write(&path, properties).expect("the peer's directory can be written");
    let path = path.display().to_string();
    let mut arguments = vec!["format", "--standalone", "-t", "Vt6ZAsSRQzKTlHsmVVl1bw", "-c", &path];
    FEATURES_OFF.iter().for_each(|feature| arguments.extend(["--feature", feature]));
    program::run(program::java("kafka.tools.StorageTool", &arguments)).ok();
}

/// The broker's command line.
pub fn command(peer: &Peer) -> Command {
    server(&properties_path(peer))
}

/// A server's command line, with the memory settings of its own start script.
pub fn server(properties: &Path) -> Command {
    let logging = crate::root().join("tests/peers/log4j2.properties");
    let mut java = program::command(&["java", "-Xmx1g", "-Xms1g", "-server", "-XX:+UseG1GC"]);
    java.args(["-XX:MaxGCPauseMillis=20", "-Djava.awt.headless=true"]);
    java.arg(format!("-Dlog4j2.configurationFile={}", logging.display()));
    java.args(["-cp", &program::class_path(), "kafka.Kafka"]).arg(properties);
    java
}
