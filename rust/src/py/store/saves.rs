//! Saving and loading.

use super::Store;
use super::keys::tell;
use super::later::{Follow, Mark, follow};
use super::loaded::Loaded;
use super::versions::{Pick, VersionRow, row, which};
use crate::py::state::{Capture, keep_warm};
use crate::store::{self, Base, Origin, RESERVED, Save};
use pyo3::prelude::*;
use std::sync::Arc;

/// Name, state, what it must follow, and what is set when it is on disk.
type Part<'py> = (String, Bound<'py, Capture>, Option<Follow<'py>>, Bound<'py, Mark>);

#[pymethods]
impl Store {
    #[pyo3(signature = (name, capture, justification, base, mark))]
    fn save(
        &self,
        py: Python<'_>,
        name: &str,
        capture: &Bound<'_, Capture>,
        justification: &str,
        base: Option<Follow<'_>>,
        mark: &Bound<'_, Mark>,
    ) -> PyResult<VersionRow> {
        let save = Save { name, justification, base: None, origin: Origin::Walk };
        self.committed(py, &save, capture, &follow(base), &mark.get().0)
    }

    fn migrate(
        &self,
        py: Python<'_>,
        name: &str,
        capture: &Bound<'_, Capture>,
        justification: &str,
        base: u64,
    ) -> PyResult<VersionRow> {
        let save = Save { name, justification, base: None, origin: Origin::Migration };
        self.committed(py, &save, capture, &Base::Number(base), &Arc::default())
    }

    fn save_together(
        &self,
        py: Python<'_>,
        parts: Vec<Part<'_>>,
        justification: &str,
    ) -> PyResult<Vec<VersionRow>> {
        let core = self.core()?;
        let mut taken = Vec::with_capacity(parts.len());
        for (name, capture, base, mark) in parts {
            let flat = capture.borrow_mut().take()?;
            let origin = if name.starts_with(RESERVED) { Origin::Shared } else { Origin::Walk };
            taken.push((name, flat, follow(base), Arc::clone(&mark.get().0), origin));
        }
        let saved = py.detach(|| {
            taken.iter().try_for_each(|(name, ..)| core.settled(name))?;
            let saves: Vec<_> = taken
                .iter()
                .map(|(name, flat, base, _, origin)| {
                    let (base, origin) = (base.stamp(), origin.clone());
                    (Save { name, justification, base, origin }, flat)
                })
                .collect();
            let saves: Vec<_> = saves.iter().map(|(save, flat)| (save, *flat)).collect();
            let saved = core.save_together(&saves)?;
            taken.iter().zip(&saved).for_each(|((.., mark, _), version)| mark.set(version.into()));
            crate::error::Result::Ok(saved)
        })?;
        tell(py, &core, 2)?;
        Ok(saved.iter().map(row).collect())
    }

    fn note_migration(&self, py: Python<'_>, name: &str, version: u64, what: &str) -> PyResult<()> {
        let core = self.core()?;
        Ok(py.detach(|| core.note_migration(name, version, what))?)
    }

    #[pyo3(signature = (name, version=None))]
    fn load(
        &self,
        py: Python<'_>,
        name: &str,
        version: Option<Pick>,
    ) -> PyResult<(VersionRow, Loaded)> {
        let core = self.core()?;
        let which = which(version);
        let version = py.detach(|| core.load(name, &which))?;
        Ok((row(&version.version), Loaded::new(&self.open, version)))
    }

    #[pyo3(signature = (names, version=None))]
    fn load_together(
        &self,
        py: Python<'_>,
        names: Vec<Vec<String>>,
        version: Option<Pick>,
    ) -> PyResult<Vec<(String, VersionRow, Loaded)>> {
        let core = self.core()?;
        let which = which(version);
        let found = py.detach(|| core.load_together(&names, &which))?;
        let one = |(name, version): (String, store::Loaded)| {
            (name, row(&version.version), Loaded::new(&self.open, version))
        };
        Ok(found.into_iter().map(one).collect())
    }
}

impl Store {
    fn committed(
        &self,
        py: Python<'_>,
        save: &Save<'_>,
        capture: &Bound<'_, Capture>,
        base: &Base,
        mark: &Arc<store::Mark>,
    ) -> PyResult<VersionRow> {
        let core = self.core()?;
        let flat = capture.borrow_mut().take()?;
        let (saved, flat) = py.detach(|| {
            let saved = core.settled(save.name).and_then(|()| {
                let (base, origin) = (base.stamp(), save.origin.clone());
                let saved = core.save(&Save { base, origin, ..*save }, &flat)?;
                mark.set((&saved).into());
                Ok(saved)
            });
            (saved, flat)
        });
        match saved {
            Ok(version) => {
                keep_warm(flat);
                tell(py, &core, 2)?;
                Ok(row(&version))
            }
            Err(error) => {
                // So that the caller can choose another name or base without a second walk.
                capture.borrow_mut().flat = Some(flat);
                Err(error.into())
            }
        }
    }
}
