//! Many texts at once.

use crate::error::{Error, Result};
use std::borrow::Cow;
use std::num::NonZero;
use std::sync::{Mutex, OnceLock};
use std::thread;

/// Turns one text into one vector.
pub trait Embed: Sync {
    /// Numbers in a vector.
    fn dimension(&self) -> usize;

    /// Writes the vector of `text`, of unit length, into `out`, which is `dimension` long.
    ///
    /// # Errors
    /// `empty-text`: nothing in it can be embedded.
    fn embed(&self, text: &str, out: &mut [f32]) -> Result<()>;
}

/// Below this a second thread costs more than it saves: about a millisecond of work.
const WORTH_A_THREAD_BYTES: usize = 128 << 10;
/// Texts that a thread takes at once: few enough that all end at about the same time.
const TEXTS_AT_ONCE: usize = 64;

/// Writes the vectors of `texts`, one after the other, into `out`; each depends on its text alone.
///
/// # Errors
/// `empty-text`, with the `index` of the first such text.
pub fn embed_all(engine: &impl Embed, texts: &[Cow<'_, str>], out: &mut [f32]) -> Result<()> {
    let rows = TEXTS_AT_ONCE * engine.dimension();
    let blocks = texts.chunks(TEXTS_AT_ONCE).zip(out.chunks_mut(rows));
    let blocks = Mutex::new(blocks.enumerate());
    let failed = Mutex::new(None);
    let work = || {
        while let Some((number, (texts, out))) = blocks.lock().ok().and_then(|mut all| all.next()) {
            if let Err((index, error)) = embed_block(engine, texts, out) {
                keep_first(&failed, number * TEXTS_AT_ONCE + index, error);
            }
        }
    };
    let size: usize = texts.iter().map(|text| text.len()).sum();
    let others = if size < WORTH_A_THREAD_BYTES { 0 } else { cores() - 1 };
    thread::scope(|scope| {
        for _ in 0..others.min(texts.len() / TEXTS_AT_ONCE) {
            scope.spawn(work);
        }
        work();
    });
    match failed.into_inner() {
        Ok(Some((index, error))) => Err(Error::with(error, "index", index as u64)),
        _ => Ok(()),
    }
}

fn embed_block(
    engine: &impl Embed,
    texts: &[Cow<'_, str>],
    out: &mut [f32],
) -> std::result::Result<(), (usize, Error)> {
    for (index, (text, out)) in texts.iter().zip(out.chunks_mut(engine.dimension())).enumerate() {
        engine.embed(text, out).map_err(|error| (index, error))?;
    }
    Ok(())
}

/// Keeps the failure of the first text, whichever thread met one first.
fn keep_first(failed: &Mutex<Option<(usize, Error)>>, index: usize, error: Error) {
    if let Ok(mut failed) = failed.lock()
        && failed.as_ref().is_none_or(|(first, _)| index < *first)
    {
        *failed = Some((index, error));
    }
}

/// Asked once: the answer is read from the system's files.
fn cores() -> usize {
    static CORES: OnceLock<usize> = OnceLock::new();
    *CORES.get_or_init(|| thread::available_parallelism().map_or(1, NonZero::get))
}
