//! `/metrics`: what was done with a node can be counted.

#[allow(dead_code)]
mod kafka;

use ottla_server::store::FileStore;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

async fn scrape(node: &kafka::Running<FileStore>) -> String {
    let mut stream = TcpStream::connect(node.serve_http().await).await.expect("connected");
    let request = "GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    stream.write_all(request.as_bytes()).await.expect("written");
    let mut response = String::new();
    stream.read_to_string(&mut response).await.expect("read");
    assert!(response.starts_with("HTTP/1.1 200 OK"), "{response}");
    assert!(response.contains("content-type: text/plain; version=0.0.4"), "{response}");
    response
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_was_done_is_counted() {
    let directory = tempfile::tempdir().expect("directory");
    let node = kafka::start(FileStore::default(), &directory.path().display().to_string(), &[]).await;
    let mut client = node.connect().await;
    client.create_topic("t", 2).await;
    assert_eq!(client.produce("t", 0, b"one").await, Ok(0));
    assert_eq!(client.produce("t", 1, b"two").await, Ok(0));
    let (first, second) = tokio::join!(scrape(&node), scrape(&node));
    for text in [first, second] {
        for line in [
            "kafka_server_brokertopicmetrics_messagesin_total 2",
            "kafka_server_brokertopicmetrics_messagesin_total{topic=\"t\"} 2",
            "kafka_server_replicamanager_partitioncount 2",
            "kafka_server_replicamanager_leadercount 2",
            "kafka_log_log_logendoffset{topic=\"t\",partition=\"1\"} 1",
            "kafka_controller_kafkacontroller_activecontrollercount 1",
            "kafka_controller_kafkacontroller_globalpartitioncount 2",
            "kafka_server_socket_server_metrics_connection_count 1",
            "kafka_network_requestmetrics_requests_total{request=\"Produce\",version=\"9\"} 2",
            "kafka_network_requestmetrics_totaltime_seconds_count{request=\"Produce\"} 2",
        ] {
            assert!(text.lines().any(|it| it == line), "{line}\nis not in\n{text}");
        }
    }
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_dashboard_asks_for_what_there_is() {
    let directory = tempfile::tempdir().expect("directory");
    let node = kafka::start(FileStore::default(), &directory.path().display().to_string(), &[]).await;
    let text = scrape(&node).await;
    node.stop().await;
    let dashboard = include_str!("../deploy/grafana-dashboard.json");
    let is_name = |letter: char| letter.is_ascii_lowercase() || letter == '_';
    let words = dashboard.split(|letter| !is_name(letter));
    let names: Vec<_> =
        words.filter(|word| word.starts_with("kafka_") || word.starts_with("process_")).collect();
    assert!(names.len() > 10, "{names:?}");
    for name in names {
        let family = format!("# TYPE {} ", name.trim_end_matches("_bucket"));
        assert!(text.contains(&family), "no node says {name}");
    }
}
