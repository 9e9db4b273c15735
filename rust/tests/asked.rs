//! A store in a folder, everything that it can be asked, and where its pages keep what.

use crate::memory::Random;
use _core::engine::lmdb::{DATA_FILE, Sync};
use _core::error::Error;
use _core::keys::{Key, Provider};
use _core::seal::sha256;
use _core::state::{Arena, Flat};
use _core::store::{
    Access, AuditReads, Clock, Limits, Options, Origin, Save, Store, Unseen, Which,
};
use _core::tree::Nodes;
use _core::witness::FileWitness;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub const PAGE: usize = 4096;
pub const META_BYTES: usize = 152;
pub const HEADER_BYTES: usize = 16;
/// Where a meta page keeps its last page and its transaction.
pub const LAST_PAGE_AT: usize = 136;
pub const TRANSACTION_AT: usize = 144;
/// What damage may be called; `unknown-name` or an untyped failure may not.
pub const DAMAGE: [&str; 6] =
    ["malformed", "not-a-store", "tampered", "missing", "wrong-context", "rolled-back"];

pub fn torture() -> bool {
    std::env::var_os("DACHI_TORTURE").is_some()
}

/// A folder that is removed at the end.
pub struct Folder(pub PathBuf);

impl Folder {
    pub fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("dachi-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    pub fn data(&self) -> PathBuf {
        self.0.join(DATA_FILE)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

pub fn u16_at(page: &[u8], at: usize) -> usize {
    usize::from(u16::from_ne_bytes(page[at..at + 2].try_into().unwrap()))
}

pub fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_ne_bytes(bytes[at..at + 8].try_into().unwrap())
}

pub fn set_u64(bytes: &mut [u8], at: usize, value: u64) {
    bytes[at..at + 8].copy_from_slice(&value.to_ne_bytes());
}

/// Which of the two meta pages LMDB serves.
pub fn newer(bytes: &[u8]) -> usize {
    usize::from(u64_at(bytes, TRANSACTION_AT) < u64_at(bytes, PAGE + TRANSACTION_AT))
}

// --- a store and what it answers -----------------------------------------------------------------

/// A provider whose only key never changes.
struct Fixed;

impl Provider for Fixed {
    fn wrap(&self, _: &Key) -> Result<Vec<u8>, Error> {
        Ok(vec![0; 32])
    }

    fn unwrap(&self, _: &[u8]) -> Result<Key, Error> {
        Ok(Key::new([7; 32]))
    }

    fn retire(&self, _: &[u8]) -> Result<bool, Error> {
        Ok(false)
    }
}

pub fn open(folder: &Path, witness: bool) -> Result<Store, Error> {
    Store::open(Options {
        folder: folder.to_owned(),
        id: [1; 16],
        root: Key::new([7; 32]),
        wrapped_root: vec![0; 32],
        provider: Arc::new(Fixed),
        clock: Clock::default(),
        limits: Limits::default(),
        vectors_bytes: 0,
        witness: if witness {
            Some(Box::new(FileWitness::new(&folder.join("witness"))))
        } else {
            None
        },
        unseen: Unseen::Warned,
        adopt: None,
        access: Access::Write,
        sync: Sync::BenchOnlyNever,
        audit_reads: AuditReads::Off,
    })
}

fn state(random: &mut Random, entries: usize) -> Flat {
    let (mut paths, mut values) = (Arena::default(), Arena::default());
    for at in 0..entries {
        paths.push(format!("layer{}.field{at:05}", at % 3).as_bytes());
        let len = [0, 500, 600, 3_000, 20_000][random.below(5)];
        let len = if random.below(12) == 0 { len } else { random.below(60) };
        let bytes: Vec<u8> = (0..len).map(|_| random.next() as u8).collect();
        values.push(&bytes);
    }
    Flat { paths, values, ..Flat::default() }
}

pub fn save(folder: &Path, random: &mut Random, names: &[&str]) {
    let store = open(folder, true).unwrap();
    for name in names {
        let save = Save { name, justification: "a reason", base: None, origin: Origin::Walk };
        store.save(&save, &state(random, 200)).unwrap();
    }
}

fn loaded(store: &Store, name: &str, which: &Which) -> Result<String, Error> {
    let loaded = store.load(name, which)?;
    let mut bytes = loaded.values.bytes().to_vec();
    let nodes = store.nodes_of(&loaded);
    for (_, blob) in &loaded.blobs {
        blob.append_to(&nodes as &dyn Nodes, &mut bytes)?;
    }
    let (paths, values) = (sha256(&[loaded.paths.bytes()]), sha256(&[&bytes]));
    Ok(format!("{paths:x?} {values:x?}"))
}

/// Everything a store can be asked, each question with its answer or error.
pub fn ask(store: &Store) -> Vec<Result<String, Error>> {
    let mut said = vec![
        store.names().map(|names| format!("{names:?}")),
        store.verify(&mut |_| Ok(())).map(|report| format!("{report:?}")),
        store.ledger(1_000).map(|entries| format!("{}", entries.len())),
    ];
    for name in ["one", "two"] {
        said.push(store.history(name, usize::MAX).map(|versions| format!("{versions:?}")));
        said.push(loaded(store, name, &Which::Latest));
        said.push(loaded(store, name, &Which::Number(1)));
    }
    said
}
