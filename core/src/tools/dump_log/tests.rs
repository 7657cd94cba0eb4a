use bytes::Bytes;

use super::*;
use crate::log::MemoryStore;
use crate::record::{BatchBuilder, BatchOptions};

const LOG: &str = "t-0/00000000000000000000.log";

/// Code, standard output and standard error.
fn dumped(arguments: &str, files: &[(&str, &[u8])]) -> (i32, String, String) {
    let arguments: Vec<String> = arguments.split_whitespace().map(str::to_owned).collect();
    let tool = DumpLog::start(&arguments).unwrap();
    let mut store = MemoryStore::new();
    store.create_dir("t-0").unwrap();
    for (path, bytes) in files {
        let file = store.create(path).unwrap();
        store.append(&file, &[std::io::IoSlice::new(bytes)]).unwrap();
    }
    let compressors = Compressors::default();
    let lent = DumpLent { compressors: &compressors, current_directory: "/here" };
    let (mut stdout, mut stderr) = (String::new(), String::new());
    let code = tool.run(&mut store, lent, &mut |output| {
        stdout.push_str(&output.stdout);
        stderr.push_str(&output.stderr);
    });
    (code, stdout, stderr)
}

fn log() -> Bytes {
    let mut batch = BatchBuilder::new(BatchOptions { partition_leader_epoch: 4, ..BatchOptions::default() });
    batch.append(1_000, Some(b"k"), Some(b"v"), &[(b"h", None)]);
    batch.append(2_000, None, None, &[]);
    batch.build(&Compressors::default())
}

#[test]
fn batches_and_records_as_apache_kafka_prints_them() {
    let (code, text, _) = dumped(&format!("--files {LOG} --print-data-log"), &[(LOG, &log())]);
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[..2], ["Dumping t-0/00000000000000000000.log", "Log starting offset: 0"]);
    let batch = "baseOffset: 0 lastOffset: 1 count: 2 baseSequence: -1 lastSequence: -1 producerId: -1 \
                 producerEpoch: -1 partitionLeaderEpoch: 4 isTransactional: false isControl: false \
                 deleteHorizonMs: OptionalLong.empty position: 0 CreateTime: 2000 size: ";
    assert!(lines[2].starts_with(batch) && lines[2].ends_with("isvalid: true"), "{text}");
    assert_eq!(
        lines[3],
        "| offset: 0 CreateTime: 1000 keySize: 1 valueSize: 1 sequence: -1 headerKeys: [h] key: k payload: v"
    );
    assert_eq!(
        lines[4],
        "| offset: 1 CreateTime: 2000 keySize: -1 valueSize: -1 sequence: -1 headerKeys: []"
    );
    assert_eq!((lines.len(), code), (5, 0));
}

#[test]
fn a_damaged_batch_is_invalid_and_a_torn_end_is_counted() {
    let mut bytes = log().to_vec();
    let end = bytes.len() - 1;
    bytes[end] ^= 1;
    bytes.extend_from_slice(&[0; 7]);
    let (code, text, _) = dumped(&format!("--files {LOG}"), &[(LOG, &bytes)]);
    assert!(text.contains("isvalid: false"), "{text}");
    assert!(text.ends_with("Found 7 invalid bytes at the end of 00000000000000000000.log\n"), "{text}");
    assert_eq!(code, 0);
}

#[test]
fn an_index_is_compared_with_its_log() {
    let index = "t-0/00000000000000000000.index";
    let entries: Vec<u8> = [5_u32, 0, 0, 0].iter().flat_map(|part| part.to_be_bytes()).collect();
    let files: &[(&str, &[u8])] = &[(LOG, &log()), (index, &entries)];
    let (code, text, complaints) = dumped(&format!("--files {index}"), files);
    assert_eq!(text, format!("Dumping {index}\noffset: 5 position: 0\n"));
    assert_eq!(complaints, format!("Mismatches in :/here/{index}\n  Index offset: 5, log offset: 1\n"));
    assert_eq!(code, 0);
    let (code, text, complaints) = dumped(&format!("--files {index}"), &[(index, &entries)]);
    assert_eq!((code, text), (1, format!("Dumping {index}\n")));
    assert_eq!(complaints, format!("ERROR java.nio.file.NoSuchFileException: {LOG}\n"));
}

#[test]
fn what_is_no_file_of_a_log_is_left_alone() {
    let (code, text, complaints) = dumped("--files leader-epoch-checkpoint", &[]);
    assert_eq!(text, "Dumping leader-epoch-checkpoint\n");
    assert_eq!((code, complaints), (0, "Ignoring unknown file leader-epoch-checkpoint\n".to_owned()));
}

#[test]
fn java_classes_are_refused() {
    let start = |arguments: &[&str]| {
        DumpLog::start(&arguments.iter().map(|argument| (*argument).to_owned()).collect::<Vec<_>>())
    };
    let exit = start(&["--files", LOG, "--value-decoder-class", "com.example.Mine"]).unwrap_err();
    assert!(exit.code == 1 && exit.stderr.contains("Java classes cannot be loaded"), "{exit:?}");
    assert!(
        start(&["--files", LOG, "--value-decoder-class", "org.apache.kafka.tools.api.LongDecoder"]).is_ok()
    );
}
