//! What the file store promises beyond the conformance test that every store passes (`tests/store_conformance.rs`).

use std::fs;
use std::io::IoSlice;

use ottla_core::log::store::{LogStore as _, StoreError};
use tempfile::TempDir;

use super::{Durable as _, FileStore};

/// A store, a fresh directory, and a path in it.
fn store() -> (FileStore, TempDir, String) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = format!("{}/a.log", directory.path().display());
    (FileStore::new(4), directory, path)
}

#[test]
fn more_files_than_descriptors() {
    let (mut store, directory, _) = store();
    let path = |index: usize| format!("{}/{index}", directory.path().display());
    let files: Vec<_> = (0..40).map(|index| store.create(&path(index)).expect("created")).collect();
    for round in 0..3_u8 {
        for (index, file) in files.iter().enumerate() {
            store.append(file, &[IoSlice::new(&[index as u8, round])]).expect("appended");
        }
    }
    let open = fs::read_dir("/proc/self/fd").expect("descriptors").filter(|entry| {
        let target = entry.as_ref().ok().and_then(|entry| fs::read_link(entry.path()).ok());
        target.is_some_and(|target| target.starts_with(directory.path()))
    });
    assert!(open.count() <= 4);
    for (index, file) in files.iter().enumerate() {
        let mut bytes = [0; 8];
        assert_eq!(store.read_at(file, 0, &mut bytes), Ok(6));
        assert_eq!(bytes[..6], [index as u8, 0, index as u8, 1, index as u8, 2]);
    }
}

#[test]
fn a_file_follows_the_rename_of_its_directory_after_its_descriptor_was_closed() {
    let (mut store, directory, _) = store();
    let root = directory.path().display();
    store.create_dir(&format!("{root}/t-0")).expect("directory");
    let file = store.create(&format!("{root}/t-0/x")).expect("created");
    for index in 0..10 {
        store.create(&format!("{root}/other-{index}")).expect("created");
    }
    store.rename(&format!("{root}/t-0"), &format!("{root}/t-0.deleted")).expect("renamed");
    store.append(&file, &[IoSlice::new(b"abc")]).expect("appended");
    assert_eq!(fs::read(directory.path().join("t-0.deleted/x")).expect("read"), b"abc");
    let again = store.open(&format!("{root}/./t-0.deleted//x")).expect("opened");
    assert!(again.is(&file));
}

#[test]
fn truncation_leaves_the_inode_of_a_slice_alone() {
    let (mut store, directory, path) = store();
    let file = store.create(&path).expect("created");
    store.append(&file, &[IoSlice::new(b"0123456789")]).expect("appended");
    let slice = store.slice(&file, 2..8).expect("slice");
    // The cache forgets its descriptor; the slice keeps its own.
    for index in 0..10 {
        store.create(&format!("{path}-{index}")).expect("created");
    }
    store.truncate(&file, 4).expect("truncated");
    store.append(&file, &[IoSlice::new(b"abcdef")]).expect("appended");
    assert_eq!(&store.read_slice(&slice).expect("read")[..], b"234567");
    assert_eq!(fs::read(&path).expect("read"), b"0123abcdef");
    let names: Vec<_> = store.list(&directory.path().display().to_string()).expect("list");
    assert!(names.iter().all(|entry| !entry.name.ends_with(".deleted")));
}

#[test]
fn truncation_without_slices_keeps_the_inode() {
    use std::os::unix::fs::MetadataExt as _;
    let (mut store, _directory, path) = store();
    let file = store.create(&path).expect("created");
    store.append(&file, &[IoSlice::new(b"0123456789")]).expect("appended");
    let before = fs::metadata(&path).expect("metadata").ino();
    drop(store.slice(&file, 0..10).expect("slice"));
    store.truncate(&file, 5).expect("truncated");
    assert_eq!((fs::metadata(&path).expect("metadata").ino(), store.len(&file)), (before, Ok(5)));
}

#[test]
fn more_parts_than_one_write_takes() {
    let (mut store, _directory, path) = store();
    let file = store.create(&path).expect("created");
    let bytes: Vec<u8> = (0..3_000_u32).flat_map(u32::to_be_bytes).collect();
    let parts: Vec<_> = bytes.chunks(4).map(IoSlice::new).collect();
    store.append(&file, &parts).expect("appended");
    assert_eq!(fs::read(&path).expect("read"), bytes);
}

#[test]
fn a_full_disk_cuts_the_append_back() {
    // The device that is always full.
    if fs::metadata("/dev/full").is_err() {
        return;
    }
    let (mut store, _directory, path) = store();
    std::os::unix::fs::symlink("/dev/full", &path).expect("link");
    let file = store.open(&path).expect("opened");
    assert_eq!(store.append(&file, &[IoSlice::new(b"x")]), Err(StoreError::NoSpace));
    assert_eq!(store.len(&file), Ok(0));
}

#[test]
fn errors_name_the_path() {
    let (mut store, directory, _) = store();
    let path = directory.path().display().to_string();
    let Err(StoreError::Io(reason)) = store.open(&path) else { panic!("a directory is not a file") };
    assert!(reason.contains(&path), "{reason}");
}

#[test]
fn syncs_reach_files_and_directories() {
    let (mut store, directory, path) = store();
    let file = store.create(&path).expect("created");
    assert_eq!(store.sync_file(&file), Ok(()));
    assert_eq!(store.sync_directory(&directory.path().display().to_string()), Ok(()));
    store.remove(&path).expect("removed");
    assert_eq!(store.sync_file(&file), Err(StoreError::NotFound));
}

#[test]
fn a_volume_is_as_large_as_the_system_says() {
    let (store, directory, _) = store();
    let volume = store.volume(&directory.path().display().to_string()).expect("it is there");
    assert!(volume.total > 0 && volume.usable <= volume.total, "{volume:?}");
    assert_eq!(store.volume("/no/such/directory"), None);
}
