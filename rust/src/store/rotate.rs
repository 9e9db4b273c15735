//! New epochs, when they are due.
//!
//! `keys.sealed` first, then the commit: a process that dies in between leaves a key that the head
//! does not know yet, never a head whose keys are missing.

use super::Store;
use super::commit::{Change, Commit};
use super::head::Head;
use super::save::check_justification;
use crate::error::{Error, Result};
use crate::keys;
use crate::ledger::Detail;
use crate::seal::random;

/// Rotation is chaotic: due 1 to 7 days after the last one, drawn uniformly, so that nobody can
/// tell from outside when.
const ROTATION_S: std::ops::RangeInclusive<u64> = 86_400..=604_800;
const SECOND_NS: u64 = 1_000_000_000;
/// Nodes of one epoch. Each node has a key of its own, so no limit of AES-GCM is near: this only
/// bounds how much one epoch key has part in, at some 10 TB of nodes as agents' states make them.
pub(super) const MOST_SEALED: u64 = 1 << 32;

/// Draws when the epoch that begins `now_ns` ends.
pub fn draw_due_ns(now_ns: u64) -> Result<u64> {
    let span = ROTATION_S.end() - ROTATION_S.start() + 1;
    // 2^64 modulo the span is far below what could be noticed.
    let drawn_s = ROTATION_S.start() + u64::from_le_bytes(random()?) % span;
    Ok(now_ns.saturating_add(drawn_s * SECOND_NS))
}

fn is_due(due_ns: u64, sealed: u64, now_ns: u64) -> bool {
    // A due time beyond what can be drawn was drawn by a clock that was ahead.
    let unknown = due_ns > now_ns.saturating_add(ROTATION_S.end() * SECOND_NS);
    now_ns >= due_ns || unknown || sealed >= MOST_SEALED
}

/// When writing ends, if no rotation succeeds: after twice the interval.
fn limit_ns(rotated_ns: u64, due_ns: u64) -> u64 {
    due_ns.saturating_add(due_ns.saturating_sub(rotated_ns))
}

impl Store {
    /// Begins a new epoch: what is written from now on is sealed under a new key.
    pub fn rotate(&self, justification: &str) -> Result<()> {
        check_justification(justification)?;
        self.writable_view()?;
        let justification = justification.to_owned();
        self.write(move |change| begin_epoch(change, &justification))
    }

    /// Begins a new epoch in a commit if one is due. A failure is only a warning, until twice the
    /// interval has passed: no save fails because of a rotation before.
    pub(super) fn rotate_when_due(&self, head: &Head, commit: &mut Commit<'_>) -> Result<()> {
        let now_ns = self.clock.now_ns()?;
        if !is_due(head.rotation_due_ns, head.sealed, now_ns) {
            return Ok(());
        }
        let Err(failed) = commit.take(&mut |change| begin_epoch(change, "")) else {
            return Ok(());
        };
        if now_ns < limit_ns(head.rotated_ns, head.rotation_due_ns) {
            self.warn_of_keys(format!(
                "the keys of the store are due to be rotated, which fails: {failed}"
            ));
            return Ok(());
        }
        let what = format!(
            "the keys of the store were due to be rotated long ago, which fails: {failed}; nothing \
             is written until it succeeds"
        );
        Err(Error::new("rotation-overdue", what))
    }

    /// Notes what of the keys is left undone although nothing failed.
    pub(super) fn warn_of_keys(&self, what: String) {
        self.warn(Error::new("keys-behind", what));
    }
}

fn begin_epoch(change: &mut Change<'_>, justification: &str) -> Result<()> {
    new_epoch(change, Vec::new())?;
    log(change, "rotate", justification)
}

/// Begins a new epoch, with keys of their own for it in these namespaces.
pub(super) fn new_epoch(change: &mut Change<'_>, renewed: Vec<[u8; 16]>) -> Result<()> {
    let now_ns = change.store.clock.now_ns()?;
    let due_ns = draw_due_ns(now_ns)?;
    let rewrite = keys::Change { new_epoch: true, renewed, ..keys::Change::default() };
    change.store.newest_keys()?.rewrite(&change.store.folder, rewrite)?;
    change.edit_head(move |head| {
        head.rotated_ns = now_ns;
        head.rotation_due_ns = due_ns;
        head.sealed = 0;
    });
    Ok(())
}

/// Adds an entry about the store itself to the ledger.
pub(super) fn log(change: &mut Change<'_>, operation: &str, justification: &str) -> Result<()> {
    let detail = Detail { justification: justification.to_owned(), ..Detail::default() };
    change.log(operation, &detail, &change.store.sealer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_due_time_lies_one_to_seven_days_ahead_and_anywhere_in_between() {
        let drawn: Vec<u64> = (0..2000).map(|_| draw_due_ns(5).unwrap_or_default()).collect();
        let (first, last) = (86_400 * SECOND_NS + 5, 604_800 * SECOND_NS + 5);
        assert!(drawn.iter().all(|due| (first..=last).contains(due)));
        // Each tenth of the span is hit; missing one has a chance of 0.9^2000.
        let tenth = (last - first) / 10;
        for part in 0..10 {
            let range = first + part * tenth..first + (part + 1) * tenth;
            assert!(drawn.iter().any(|due| range.contains(due)));
        }
    }

    #[test]
    fn a_rotation_is_due_by_time_by_number_or_after_a_clock_went_wrong() {
        assert!(!is_due(100, MOST_SEALED - 1, 99));
        assert!(is_due(100, 0, 100));
        assert!(is_due(100, MOST_SEALED, 1));
        assert!(is_due(604_800 * SECOND_NS + 2, 0, 1));
        assert!(!is_due(604_800 * SECOND_NS + 1, 0, 1));
        assert_eq!(limit_ns(40, 100), 160);
    }
}
