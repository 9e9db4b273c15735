//! The ledger in the store: entries appended with a commit, read back and proved.

use super::Store;
use super::head::Head;
use super::save::check_justification;
use crate::engine::Batch;
use crate::error::{Error, Result};
use crate::ledger::{
    self, Detail, Entry, Frontier, GENESIS, Hash, Source, Tile, Tree, WIDTH, fold, grown,
    grown_row, leaf_hash,
};
use crate::seal::{Committed, NodeId, Place, Signer, StoreId, kind, sha256, with_scratch};
use std::collections::{BTreeMap, HashMap};

/// One ledger entry, proved, with its detail where its namespace still has its key.
#[derive(Debug, Clone)]
pub struct LedgerEntry {
    /// As hashed.
    pub entry: Entry,
    /// Its hash.
    pub hash: Hash,
    /// None when the namespace was forgotten.
    pub detail: Option<(Detail, [u8; 16])>,
}

/// An entry, its namespace and its sealed detail.
type Record = (Entry, [u8; 16], Vec<u8>);

/// An entry with its detail and the salt of that.
type Disclosed = (Entry, Option<(Detail, [u8; 16])>);

/// The tree with entries that are not on disk yet, and the tiles that they fill.
struct Growing<'a> {
    store: &'a Store,
    /// Number of the first such entry.
    first: u64,
    leaves: &'a [Hash],
    tiles: HashMap<Tile, Vec<Hash>>,
}

impl Source for Growing<'_> {
    fn tile(&self, tile: Tile) -> Result<Vec<Hash>> {
        self.tiles.get(&tile).map_or_else(|| self.store.tile(tile), |hashes| Ok(hashes.clone()))
    }

    fn leaf(&self, seq: u64) -> Result<Hash> {
        let fresh = seq.checked_sub(self.first).and_then(|at| self.leaves.get(at as usize));
        fresh.map_or_else(|| self.store.leaf(seq), |leaf| Ok(*leaf))
    }
}

impl Source for Store {
    fn tile(&self, tile: Tile) -> Result<Vec<Hash>> {
        let missing = || Error::new("missing", "a tile of the ledger's tree is not in the store");
        let bytes = self.ledger_node(kind::TILE, tile.node_id())?.ok_or_else(missing)?;
        tile.decode(&bytes)
    }

    fn leaf(&self, seq: u64) -> Result<Hash> {
        Ok(leaf_hash(self.entry_json(seq)?.as_bytes()))
    }
}

impl Store {
    /// The tiles that `leaves` fill in a tree that had `first` entries.
    pub(super) fn sealed_tiles(&self, first: u64, leaves: &[Hash]) -> Result<Batch> {
        let mut growing = Growing { store: self, first, leaves, tiles: HashMap::new() };
        let mut batch = Batch::default();
        for size in (first..).take(leaves.len()).map(|seq| seq + 1) {
            for tile in grown(size) {
                let hashes = grown_row(&growing, size, tile)?;
                let plain = hashes.as_flattened();
                self.add_ledger_node(&mut batch, kind::TILE, tile.node_id(), plain)?;
                growing.tiles.insert(tile, hashes);
            }
        }
        Ok(batch)
    }

    /// Seals a node of the ledger into a batch.
    pub(super) fn add_ledger_node(
        &self,
        batch: &mut Batch,
        kind: u8,
        id: NodeId,
        plain: &[u8],
    ) -> Result<()> {
        let place = Place { kind, id };
        with_scratch(|scratch| {
            batch.add(id, |out| self.sealer.seal(scratch, place, Committed::No, plain, out))
        })
    }

    /// The newest `limit` entries of the ledger, newest first, each proved by the hash chain.
    pub fn ledger(&self, limit: u64) -> Result<Vec<LedgerEntry>> {
        let view = self.view()?;
        let head = &view.head;
        let size = head.frontier.size();
        let mut chain = head.chain;
        let mut found = Vec::new();
        for seq in (size.saturating_sub(limit)..size).rev() {
            let read = self.read_entry(seq)?;
            let hash = proved(&read.0, seq, &chain)?;
            chain = read.0.prev;
            found.push(self.disclosed(read, hash)?);
        }
        Ok(found)
    }

    /// Up to `limit` entries from `start` on, which must follow the entry with the hash `chain`.
    pub fn ledger_after(&self, start: u64, chain: Hash, limit: u64) -> Result<Vec<LedgerEntry>> {
        let mut chain = chain;
        let mut found = Vec::new();
        for seq in start..start.saturating_add(limit) {
            let read = self.read_entry(seq)?;
            follows(&read.0, seq, &chain)?;
            chain = sha256(&[read.0.json().as_bytes()]);
            found.push(self.disclosed(read, chain)?);
        }
        Ok(found)
    }

    /// Size and root of the ledger's tree, now or when it had `size` entries, and the hash of its
    /// last entry then; proved.
    pub fn tree_head(&self, size: Option<u64>) -> Result<(u64, Hash, Hash)> {
        let view = self.view()?;
        let head = &view.head;
        let now = head.frontier.size();
        match size {
            Some(size) if size != now => {
                within(size, now + 1)?;
                let chain = match size.checked_sub(1) {
                    Some(last) => self.chain_at(head, last)?,
                    None => GENESIS,
                };
                Ok((size, self.root_at(head, size)?, chain))
            }
            _ => Ok((now, head.frontier.root(), head.chain)),
        }
    }

    /// Proves that entry `seq` is in the tree; gives its JSON, the path, and the tree's size and
    /// root.
    pub fn prove(&self, seq: u64) -> Result<(String, Vec<Hash>, u64, Hash)> {
        let view = self.view()?;
        let head = &view.head;
        within(seq, head.frontier.size())?;
        let json = self.entry_json(seq)?;
        let path = Tree::new(self, &head.frontier).inclusion(seq, leaf_hash(json.as_bytes()))?;
        Ok((json, path, head.frontier.size(), head.frontier.root()))
    }

    /// Proves that the tree of `new` entries continues that of `old`.
    pub fn prove_consistency(&self, old: u64, new: u64) -> Result<Vec<Hash>> {
        let view = self.view()?;
        let head = &view.head;
        within(new, head.frontier.size() + 1)?;
        within(old, new + 1)?;
        Tree::new(self, &head.frontier).consistency(old, new)
    }

    /// Commits an entry that concerns the store itself.
    pub fn note(&self, operation: &str, memory_type: &str, justification: &str) -> Result<()> {
        check_justification(justification)?;
        self.writable_view()?;
        let operation = operation.to_owned();
        let detail = Detail {
            memory_type: memory_type.to_owned(),
            justification: justification.to_owned(),
            ..Detail::default()
        };
        self.write(move |change| {
            let sealer = &change.store.sealer;
            change.log(&operation, &detail, sealer)
        })
    }

    /// The store's id.
    pub fn id(&self) -> StoreId {
        self.sealer.context().store
    }

    /// Signs the ledger's checkpoints.
    pub fn signer(&self) -> Result<Signer> {
        let keyring = self.keyring.lock().map_err(|_| Error::new("store", "the keys are gone"))?;
        Signer::new(keyring.signing_seed.bytes())
    }

    /// The root of the ledger's tree when it had `size` entries, proved from the head.
    pub(super) fn root_at(&self, head: &Head, size: u64) -> Result<Hash> {
        Tree::new(self, &head.frontier).root_at(size)
    }

    /// The hash of entry `seq`, proved from the head.
    pub(super) fn chain_at(&self, head: &Head, seq: u64) -> Result<Hash> {
        if seq + 1 == head.frontier.size() {
            return Ok(head.chain);
        }
        let json = self.entry_json(seq)?;
        Tree::new(self, &head.frontier).inclusion(seq, leaf_hash(json.as_bytes()))?;
        Ok(sha256(&[json.as_bytes()]))
    }

    fn disclosed(&self, read: Record, hash: Hash) -> Result<LedgerEntry> {
        let seq = read.0.seq;
        let (entry, detail) = match self.detail_of(read) {
            // Sealed anew, and the key before destroyed, since it was read.
            Err(error) if error.slug() == "wrong-context" => {
                self.detail_of(self.read_entry(seq)?)?
            }
            disclosed => disclosed?,
        };
        Ok(LedgerEntry { entry, hash, detail })
    }

    fn detail_of(&self, (entry, namespace, sealed): Record) -> Result<Disclosed> {
        let detail = if namespace == [0; 16] {
            Some(Detail::open(&self.sealer, &entry, &sealed)?)
        } else {
            match self.namespace_sealer(&namespace) {
                Ok(sealer) => Some(Detail::open(&sealer, &entry, &sealed)?),
                Err(error) if error.slug() == "keyring" => None,
                Err(error) => return Err(error),
            }
        };
        Ok((entry, detail))
    }

    fn ledger_node(&self, kind: u8, id: NodeId) -> Result<Option<Vec<u8>>> {
        let (place, mut plain) = (Place { kind, id }, Vec::new());
        let found = self.opened_node(id, &mut |sealed| {
            plain = with_scratch(|s| self.sealer.open(s, place, Committed::No, sealed))?;
            Ok(())
        })?;
        Ok(found.then_some(plain))
    }

    fn entry_json(&self, seq: u64) -> Result<String> {
        self.read_entry(seq).map(|(entry, _, _)| entry.json())
    }

    pub(super) fn read_entry(&self, seq: u64) -> Result<Record> {
        let record = self.ledger_node(kind::LEDGER, ledger::node_id(seq))?;
        let missing =
            || Error::new("missing", "a ledger entry is not in the store").with("seq", seq);
        ledger::decode(&record.ok_or_else(missing)?)
    }

    /// Proves the whole ledger with its tiles; gives how many entries and nodes it has.
    pub(super) fn verify_ledger(&self, head: &Head) -> Result<(u64, u64)> {
        let (mut frontier, mut rows) = (Frontier::default(), BTreeMap::<u32, Vec<Hash>>::new());
        let mut chain = GENESIS;
        let size = head.frontier.size();
        for seq in 0..size {
            let (entry, _, _) = self.read_entry(seq)?;
            follows(&entry, seq, &chain)?;
            let json = entry.json();
            chain = sha256(&[json.as_bytes()]);
            let leaf = leaf_hash(json.as_bytes());
            frontier.push(leaf);
            rows.entry(0).or_default().push(leaf);
            grown(seq + 1).try_for_each(|tile| self.verify_tile(&mut rows, tile))?;
        }
        if chain != head.chain || frontier != head.frontier {
            return Err(Error::new("tampered", "the ledger is not the one that the head names"));
        }
        Ok((size, size + ledger::tile_count(size)))
    }

    /// Compares a tile with the hashes that were gathered for it, by level.
    fn verify_tile(&self, rows: &mut BTreeMap<u32, Vec<Hash>>, tile: Tile) -> Result<()> {
        let row = rows.entry(tile.level).or_default();
        if self.tile(tile)? != *row {
            let what = "a tile of the ledger's tree is not the one that was written";
            return Err(Error::new("tampered", what).with("node", tile.node_id().to_string()));
        }
        if row.len() as u64 == WIDTH {
            let full = fold(&std::mem::take(row))?;
            rows.entry(tile.level + 1).or_default().push(full);
        }
        Ok(())
    }
}

fn within(number: u64, end: u64) -> Result<()> {
    if number < end {
        return Ok(());
    }
    Err(Error::new("unknown-entry", format!("the ledger has no entry or size {number}"))
        .with("seq", number))
}

fn follows(entry: &Entry, seq: u64, chain: &Hash) -> Result<()> {
    if entry.prev == *chain && entry.seq == seq {
        return Ok(());
    }
    Err(Error::new("tampered", "the ledger's chain is broken").with("seq", seq))
}

fn proved(entry: &Entry, seq: u64, chain: &Hash) -> Result<Hash> {
    let hash = sha256(&[entry.json().as_bytes()]);
    if hash == *chain && entry.seq == seq {
        return Ok(hash);
    }
    Err(Error::new("tampered", "a ledger entry is not the one that was written").with("seq", seq))
}
