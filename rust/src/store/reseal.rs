//! What lives in namespaces with a new key, sealed anew under it; then the old key is destroyed.

use super::Store;
use super::commit::Change;
use super::rewrap::{fresh_root, still_wrapped};
use super::rotate::log;
use super::save::AGAIN;
use super::snapshot::EXPIRED;
use crate::engine::{Batch, Engine};
use crate::error::{Error, Result};
use crate::keys;
use crate::ledger;
use crate::seal::{NodeId, Sealer, epoch_of, kind, with_scratch};
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::{self, ThreadId};

/// Bytes that one commit seals anew, roughly: others wait for it as long as for a save of that size.
const BATCH_BYTES: usize = 4 << 20;
/// The same on a full disk, where it must find room beside what it takes the place of.
const SMALL_BATCH_BYTES: usize = 128 << 10;
/// Ledger entries that are looked at for one.
const BATCH_ENTRIES: u64 = 4096;

/// Called with how many nodes are done, and how many there are; an error ends it there.
pub type Progress<'a> = &'a mut dyn FnMut(u64, u64) -> Result<()>;

/// What was sealed anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Resealed {
    /// How many nodes and ledger entries.
    pub nodes: u64,
    /// Bytes of their envelopes.
    pub size_bytes: u64,
    /// Whether the provider replaced its key, too, so that no old `keys.sealed` opens.
    pub replaced: bool,
}

/// A namespace with keys that are to be destroyed.
struct Space {
    sealer: Arc<Sealer>,
    /// What lives in it.
    ids: Vec<NodeId>,
}

/// What is to be done, by namespace, and for how many nodes.
struct Work {
    spaces: HashMap<[u8; 16], Space>,
    entries: u64,
}

/// Whose turn it is to end purges, in this process.
#[derive(Default)]
pub struct Turns {
    one: Mutex<()>,
    led: Mutex<Option<ThreadId>>,
}

/// A turn, until it is dropped.
struct Turn<'t> {
    turns: &'t Turns,
    _one: MutexGuard<'t, ()>,
}

impl Turns {
    fn take(&self) -> Result<Turn<'_>> {
        let (me, led) = (Some(thread::current().id()), || self.led.lock().map_err(broken));
        if *led()? == me {
            // It would wait for itself.
            return Err(Error::new("store", "what is told of progress must not change the store"));
        }
        let turn = Turn { turns: self, _one: self.one.lock().map_err(broken)? };
        *led()? = me;
        Ok(turn)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if let Ok(mut led) = self.turns.led.lock() {
            *led = None;
        }
    }
}

fn broken<T>(_: T) -> Error {
    Error::new("store", "an earlier purge died; reopen the store")
}

impl Work {
    fn size(&self) -> u64 {
        self.spaces.values().map(|space| space.ids.len() as u64).sum::<u64>() + self.entries
    }

    fn sealers(&self) -> Arc<[Arc<Sealer>]> {
        self.spaces.values().map(|space| Arc::clone(&space.sealer)).collect()
    }
}

impl Store {
    /// Ends all purges: what lives in their namespaces is sealed anew, and the old keys are destroyed.
    /// Does nothing if there are none.
    pub fn finish_purges(&self, progress: Progress<'_>) -> Result<Resealed> {
        // Purges that wait here share what comes next.
        let _turn = self.resealing.take()?;
        let mut resealed = Resealed::default();
        loop {
            let renewed = self.newest_keys()?.renewed();
            if renewed.is_empty() {
                return Ok(resealed);
            }
            match self.seal_anew(&renewed, &mut resealed, progress) {
                // The keys were replaced once more, or what was to be sealed was deleted.
                Err(error) if [AGAIN, EXPIRED].contains(&error.slug()) => {}
                done => {
                    done?;
                    resealed.replaced = self.destroy_outlived(&renewed)?;
                    return Ok(resealed);
                }
            }
        }
    }

    /// Whether a purge is not ended.
    pub(super) fn is_purging(&self) -> Result<bool> {
        Ok(!self.keyring()?.renewed().is_empty())
    }

    fn seal_anew(
        &self,
        renewed: &[([u8; 16], u32)],
        resealed: &mut Resealed,
        progress: Progress<'_>,
    ) -> Result<()> {
        self.name_keys()?;
        let work = self.reading(|view| {
            let known: HashSet<_> = self.namespaces(view)?.into_iter().collect();
            let mut spaces = HashMap::new();
            for (namespace, _) in renewed.iter().filter(|(namespace, _)| known.contains(namespace))
            {
                let sealer = Arc::new(self.namespace_sealer(namespace)?);
                let mut ids = self.nodes_in(&sealer, &self.namespace_map(&view.head, &sealer)?)?;
                // As they lie in the file.
                ids.sort_unstable();
                spaces.insert(*namespace, Space { sealer, ids });
            }
            Ok(Work { spaces, entries: view.head.frontier.size() })
        })?;
        let (mut done, all, mut most_bytes) = (0, work.size(), BATCH_BYTES);
        progress(done, all)?;
        for space in work.spaces.values() {
            let mut rest = space.ids.as_slice();
            while !rest.is_empty() {
                let (batch, count) = self.batch_of_nodes(&space.sealer, rest, most_bytes)?;
                match self.put_anew(batch, &work, resealed) {
                    Err(error) if error.slug() == "full" && most_bytes > SMALL_BATCH_BYTES => {
                        most_bytes = SMALL_BATCH_BYTES;
                        continue;
                    }
                    put => put?,
                }
                (rest, done) = (rest.get(count..).unwrap_or_default(), done + count as u64);
                progress(done, all)?;
            }
        }
        let mut seq = 0;
        while seq < work.entries {
            let end = work.entries.min(seq + BATCH_ENTRIES);
            self.put_anew(self.batch_of_entries(&work, seq..end)?, &work, resealed)?;
            (seq, done) = (end, done + end - seq);
            progress(done, all)?;
        }
        Ok(())
    }

    /// Sees to it that the head names the keys: who commits follows them from then on. A process
    /// that died may have written them alone.
    fn name_keys(&self) -> Result<()> {
        let generation = self.newest_keys()?.generation;
        if self.view()?.head.key_generation >= generation {
            return Ok(());
        }
        self.write(|change| log(change, "rotate", ""))
    }

    /// The first of these nodes sealed anew, as many as are worth a commit; gives how many were
    /// looked at. Those that are gone, or are sealed anew already, are passed over.
    fn batch_of_nodes(
        &self,
        sealer: &Sealer,
        ids: &[NodeId],
        most_bytes: usize,
    ) -> Result<(Batch, usize)> {
        let (mut batch, since) = (Batch::default(), sealer.since());
        let (mut count, mut size_bytes) = (0, 0);
        for id in ids {
            if size_bytes >= most_bytes {
                break;
            }
            self.opened_node(*id, &mut |sealed| {
                if epoch_of(sealed)? >= since {
                    return Ok(());
                }
                size_bytes += sealed.len();
                with_scratch(|scratch| {
                    batch.add(*id, |out| sealer.reseal(scratch, *id, sealed, out))
                })
            })?;
            count += 1;
        }
        Ok((batch, count))
    }

    /// Entries of the ledger whose details are under keys that are to go.
    fn batch_of_entries(&self, work: &Work, seqs: std::ops::Range<u64>) -> Result<Batch> {
        let mut batch = Batch::default();
        for seq in seqs {
            let (entry, namespace, sealed) = self.read_entry(seq)?;
            let Some(space) = work.spaces.get(&namespace) else { continue };
            if epoch_of(&sealed)? >= space.sealer.since() {
                continue;
            }
            let (mut anew, id) = (Vec::new(), ledger::node_id(seq));
            with_scratch(|scratch| space.sealer.reseal(scratch, id, &sealed, &mut anew))?;
            let record = ledger::encode(&entry, &namespace, &anew);
            self.add_ledger_node(&mut batch, kind::LEDGER, id, &record)?;
        }
        Ok(batch)
    }

    /// Puts nodes in the place of those of the same ids; `AGAIN` if one of these is gone.
    fn put_anew(&self, batch: Batch, work: &Work, resealed: &mut Resealed) -> Result<()> {
        if batch.is_empty() {
            return Ok(());
        }
        let (batch, sealers) = (Arc::new(batch), work.sealers());
        resealed.nodes += batch.len() as u64;
        resealed.size_bytes += batch.size_bytes() as u64;
        let put = || {
            let (batch, sealers) = (Arc::clone(&batch), Arc::clone(&sealers));
            self.write(move |change| {
                let is_there = |(id, _)| change.store.engine.node(id, &mut |_| Ok(()));
                if !batch.nodes().map(is_there).collect::<Result<Vec<_>>>()?.iter().all(|is| *is) {
                    return Err(Error::new(AGAIN, "a node was deleted"));
                }
                let sealers: Vec<_> = sealers.iter().map(|sealer| &**sealer).collect();
                change.add_batches(&sealers, std::slice::from_ref(&batch), 0)
            })
        };
        // A large one must not use up what is set aside: the keys are to be written, too.
        if batch.size_bytes() > 2 * SMALL_BATCH_BYTES { put() } else { self.with_room(put) }
    }

    /// Destroys the keys that nothing is sealed under any more, with what opened them; false if the
    /// provider keeps its key.
    fn destroy_outlived(&self, renewed: &[([u8; 16], u32)]) -> Result<bool> {
        self.with_room(|| {
            // Before anybody waits: a provider may be slow.
            let (mut prepared, outlived) =
                (Some(fresh_root(&*self.provider()?)?), renewed.to_vec());
            self.write(move |change| destroy(change, outlived.clone(), prepared.take()))
        })
    }
}

fn destroy(
    change: &mut Change<'_>,
    outlived: Vec<([u8; 16], u32)>,
    prepared: Option<(keys::Key, Vec<u8>)>,
) -> Result<bool> {
    let provider = change.store.provider()?;
    let root = Some(still_wrapped(&*provider, prepared)?);
    let mut keyring = change.store.newest_keys()?;
    let rewrite = keys::Change { outlived, root, ..keys::Change::default() };
    keyring.rewrite(&change.store.folder, rewrite)?;
    change.store.drop_forgotten(&keyring)?;
    let replaced = provider.retire(keyring.wrapped_root())?;
    drop(keyring);
    log(change, "destroy", "")?;
    Ok(replaced)
}
