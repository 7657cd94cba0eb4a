//! What every [`LogStore`] promises, whoever implements it: one test body, run on files and in memory.

use std::io::IoSlice;

use ottla_core::log::MemoryStore;
use ottla_core::log::store::{Entry, LogStore, StoreError};
use ottla_server::store::FileStore;

#[test]
fn files() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let root = directory.path().display().to_string();
    conforms(&mut FileStore::new(2), &root);
}

#[test]
fn memory() {
    conforms(&mut MemoryStore::default(), "data");
}

/// Everything a machine may rely on. `root` exists and is empty, or can be created.
fn conforms<S: LogStore>(store: &mut S, root: &str) {
    store.create_dir(root).expect("a root");
    directories(store, &format!("{root}/directories"));
    contents(store, &format!("{root}/contents"));
    slices_outlive(store, &format!("{root}/slices"));
    names(store, &format!("{root}/names"));
    small_files(store, &format!("{root}/small"));
}

fn directories<S: LogStore>(store: &mut S, root: &str) {
    let nested = format!("{root}/a/b");
    store.create_dir(&nested).expect("with its parents");
    store.create_dir(&nested).expect("again");
    for name in ["z", "x", "y"] {
        let file = store.create(&format!("{root}/a/{name}")).expect("created");
        store.append(&file, &[IoSlice::new(name.as_bytes())]).expect("appended");
    }
    let file = |name: &str| Entry { name: name.into(), is_dir: false, len: 1 };
    let directory = Entry { name: "b".into(), is_dir: true, len: 0 };
    assert_eq!(store.list(&format!("{root}/a")), Ok(vec![directory, file("x"), file("y"), file("z")]));
    assert_eq!(store.list(&format!("{root}/nowhere")), Err(StoreError::NotFound));
    store.remove(&format!("{root}/a")).expect("with all it holds");
    assert_eq!(store.list(root), Ok(vec![]));
    assert_eq!(store.remove(&format!("{root}/a")), Err(StoreError::NotFound));
}

fn contents<S: LogStore>(store: &mut S, root: &str) {
    store.create_dir(root).expect("directory");
    let path = format!("{root}/file");
    assert_eq!(store.open(&path).err(), Some(StoreError::NotFound));
    let file = store.create(&path).expect("created");
    assert_eq!(store.create(&path).err(), Some(StoreError::AlreadyExists));
    assert_eq!(store.len(&file), Ok(0));

    let parts: [&[u8]; 4] = [b"ab", b"", b"cde", b"f"];
    store.append(&file, &parts.map(IoSlice::new)).expect("appended");
    store.append(&file, &[]).expect("nothing appended");
    let other = store.open(&path).expect("opened");
    store.append(&other, &[IoSlice::new(b"gh")]).expect("appended by another handle");
    assert_eq!((store.len(&file), store.len(&other)), (Ok(8), Ok(8)));

    let mut bytes = [0; 4];
    assert_eq!(store.read_at(&file, 1, &mut bytes), Ok(4));
    assert_eq!(&bytes, b"bcde");
    assert_eq!(store.read_at(&file, 6, &mut bytes), Ok(2));
    assert_eq!(&bytes[..2], b"gh");
    assert_eq!(store.read_at(&file, 8, &mut bytes), Ok(0));
    assert_eq!(store.read_at(&file, 1_000, &mut bytes), Ok(0));

    store.truncate(&file, 9).expect("nothing to cut");
    assert_eq!(store.len(&file), Ok(8));
    store.truncate(&file, 3).expect("truncated");
    assert_eq!(store.len(&other), Ok(3));
    store.append(&file, &[IoSlice::new(b"XY")]).expect("appended behind the cut");
    assert_eq!(store.read(&path), Ok(b"abcXY".to_vec()));
}

fn slices_outlive<S: LogStore>(store: &mut S, root: &str) {
    store.create_dir(&format!("{root}/d")).expect("directory");
    let path = format!("{root}/d/log");
    let file = store.create(&path).expect("created");
    store.append(&file, &[IoSlice::new(b"0123456789")]).expect("appended");
    assert!(store.slice(&file, 4..11).is_err(), "a slice beyond the end");
    let slice = store.slice(&file, 3..9).expect("slice");
    let empty = store.slice(&file, 10..10).expect("empty slice");
    assert_eq!(store.read_slice(&empty).as_deref(), Ok(&b""[..]));

    store.truncate(&file, 4).expect("truncated");
    store.append(&file, &[IoSlice::new(b"abcdefgh")]).expect("overwritten");
    assert_eq!(store.read_slice(&slice).as_deref(), Ok(&b"345678"[..]));
    assert_eq!(store.read(&path), Ok(b"0123abcdefgh".to_vec()));

    let later = store.slice(&file, 3..6).expect("slice");
    store.rename(&format!("{root}/d"), &format!("{root}/e")).expect("renamed");
    assert_eq!(store.read_slice(&later).as_deref(), Ok(&b"3ab"[..]));
    store.append(&file, &[IoSlice::new(b"!")]).expect("the handle follows");
    assert_eq!(store.read(&format!("{root}/e/log")), Ok(b"0123abcdefgh!".to_vec()));
    store.remove(&format!("{root}/e")).expect("removed");
    assert_eq!(store.read_slice(&slice).as_deref(), Ok(&b"345678"[..]));
    assert_eq!(store.read_slice(&later).as_deref(), Ok(&b"3ab"[..]));
}

fn names<S: LogStore>(store: &mut S, root: &str) {
    store.create_dir(root).expect("directory");
    let [one, two] = [format!("{root}/one"), format!("{root}/two")];
    let first = store.create(&one).expect("created");
    store.append(&first, &[IoSlice::new(b"first")]).expect("appended");
    let second = store.create(&two).expect("created");
    store.append(&second, &[IoSlice::new(b"second")]).expect("appended");

    store.rename(&one, &two).expect("renamed over a file");
    assert_eq!(store.read(&two), Ok(b"first".to_vec()));
    assert_eq!(store.open(&one).err(), Some(StoreError::NotFound));
    assert_eq!(store.rename(&one, &two), Err(StoreError::NotFound));
    assert_eq!(store.len(&first), Ok(5));

    store.remove(&two).expect("removed");
    let third = store.create(&two).expect("the name is free");
    store.append(&third, &[IoSlice::new(b"third")]).expect("appended");
    assert!(store.append(&first, &[IoSlice::new(b"lost")]).is_err(), "a removed file takes nothing");
    assert_eq!(store.read(&two), Ok(b"third".to_vec()));
}

fn small_files<S: LogStore>(store: &mut S, root: &str) {
    store.create_dir(root).expect("directory");
    let path = format!("{root}/checkpoint");
    for text in ["0\n1\n", "a longer text than before\n", ""] {
        store.write_replacing(&path, text.as_bytes()).expect("written");
        assert_eq!(store.read(&path), Ok(text.as_bytes().to_vec()));
    }
    assert_eq!(store.list(root).map(|entries| entries.len()), Ok(1));
}
