//! Versions under other names: forks, copies and tags.

use super::commit::Change;
use super::mark::Base;
use super::records::{
    BRANCHES, MAIN, Version, branch_key, check_name, check_tag, numbers, tag_key, version_key,
};
use super::save::{Origin, Save, add_version, check_justification, log_version};
use super::view::Agent;
use super::{Store, unknown_name, unknown_version};
use crate::error::{Error, Result};
use crate::state::Flat;
use crate::tree::{Cut, Nodes, Order, Range};
use crate::wire::Put;
use std::sync::Arc;

/// Which version of a name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Which {
    /// The newest.
    #[default]
    Latest,
    /// The one of this number.
    Number(u64),
    /// The one that goes by this tag.
    Tag(String),
}

impl Store {
    /// A version of a name.
    pub(super) fn find(&self, agent: &Agent, name: &str, which: &Which) -> Result<Version> {
        let latest = agent.latest.as_ref().ok_or_else(|| unknown_name(name))?;
        let number = match which {
            Which::Latest => return Ok(latest.clone()),
            Which::Number(number) => *number,
            Which::Tag(tag) => self.tagged(agent, name, tag)?,
        };
        if number == latest.number {
            return Ok(latest.clone());
        }
        let found =
            agent.map.get(&self.nodes(&agent.sealer), &version_key(agent.branch, number))?;
        match found {
            Some(bytes) => Version::decode(&bytes),
            None => Err(unknown_version(name, number, latest.number)),
        }
    }

    fn tagged(&self, agent: &Agent, name: &str, tag: &str) -> Result<u64> {
        let unknown =
            |what| Err(Error::new("unknown-version", what).with("name", name).with("version", tag));
        let nodes = self.nodes(&agent.sealer);
        let Some(found) = agent.map.get(&nodes, &tag_key(tag))? else {
            return unknown(format!("{name:?} has no tag {tag:?}; history() shows those it has"));
        };
        let (branch, number) = numbers(&found)?;
        if branch == agent.branch {
            return Ok(number);
        }
        let owner = self.branch_name(agent, branch)?;
        unknown(format!("the tag {tag:?} is on {owner:?}, not on {name:?}: use it with that name"))
    }

    fn branch_name(&self, agent: &Agent, branch: u64) -> Result<String> {
        let name = agent.map.get(&self.nodes(&agent.sealer), &branch_key(branch))?;
        let name = name.and_then(|name| String::from_utf8(name).ok());
        name.ok_or_else(|| Error::new("malformed", "a branch has no name"))
    }

    /// Gives a version a second name, under which it goes on by itself: a branch of the same
    /// namespace, with the same key; nodes are shared.
    pub fn fork(
        &self,
        name: &str,
        to: &str,
        which: &Which,
        justification: &str,
    ) -> Result<Version> {
        check_name(to)?;
        check_justification(justification)?;
        self.settled(name)?;
        self.settled(to)?;
        let (name, to, which) = (name.to_owned(), to.to_owned(), which.clone());
        let justification = justification.to_owned();
        self.write(move |change| {
            let agent = change.agent(&name)?.ok_or_else(|| unknown_name(&name))?;
            if change.agent(&to)?.is_some() {
                return Err(taken(&to));
            }
            let old = change.store.find(&agent, &name, &which)?;
            let nodes = change.store.nodes(&agent.sealer);
            let branches = Range::prefix(BRANCHES);
            let newest = agent.map.range(&nodes, &branches, Order::Descending, 1)?.pop();
            let newest = newest.and_then(|entry| entry.key.get(1..)?.try_into().ok());
            let branch = newest.map_or(MAIN, u64::from_be_bytes) + 1;
            let version = Version {
                restores: 0,
                written_bytes: 0,
                source: Some((name.clone(), old.number)),
                justification: justification.clone(),
                ..old
            };
            let (latest, known) = (None, None);
            let fork = Agent { branch, latest, known, ..Agent::clone(&agent) };
            add_version(change, &to, &fork, version, "fork")
        })
    }

    /// Writes a version again under another name, into a namespace with a key of its own; with the
    /// documents that there are beside it now.
    pub fn copy(
        &self,
        name: &str,
        to: &str,
        which: &Which,
        justification: &str,
    ) -> Result<Version> {
        check_name(to)?;
        self.settled(to)?;
        let loaded = self.load(name, which)?;
        if self.agent(&*self.view()?, to)?.is_some() {
            return Err(taken(to));
        }
        let nodes = self.nodes_of(&loaded);
        let (blueprint, schema) = (loaded.blueprint.clone(), loaded.schema.clone());
        let mut flat = Flat { blueprint, schema, ..Flat::default() };
        let mut blobs = loaded.blobs.iter().peekable();
        for entry in 0..loaded.paths.len() {
            flat.paths.push(loaded.paths.get(entry));
            let inline = loaded.values.get(entry);
            match blobs.next_if(|(at, _)| *at == entry) {
                None => flat.values.push(inline),
                Some((_, blob)) => put_large(&mut flat, entry, inline, blob, &nodes)?,
            }
        }
        let origin = Origin::Copy { name: name.to_owned(), number: loaded.version.number };
        let mut both = self.transaction(&[name.to_owned(), to.to_owned()])?;
        both.copy_documents(self, 0, 1)?;
        let save = Save { name: to, justification, base: None, origin };
        both.save(&save, Base::Number(0), Arc::default(), flat)?;
        let nothing = || Error::new("store", "a save gave nothing");
        both.commit(self)?.pop().ok_or_else(nothing)
    }

    /// Gives a version a name that it keeps.
    pub fn tag(&self, name: &str, which: &Which, tag: &str) -> Result<Version> {
        check_tag(tag)?;
        self.settled(name)?;
        let (name, which, tag) = (name.to_owned(), which.clone(), tag.to_owned());
        self.write(move |change| {
            let agent = change.agent(&name)?.ok_or_else(|| unknown_name(&name))?;
            let mut version = change.store.find(&agent, &name, &which)?;
            change.store.check_tag_free(&agent, &tag)?;
            version.tags.push(tag.clone());
            let mut leads_to = Vec::new();
            leads_to.put_u64(agent.branch);
            leads_to.put_u64(version.number);
            change_tags(change, &name, &agent, version, ("tag", &tag, Some(leads_to)))
        })
    }

    fn check_tag_free(&self, agent: &Agent, tag: &str) -> Result<()> {
        let Some(found) = agent.map.get(&self.nodes(&agent.sealer), &tag_key(tag))? else {
            return Ok(());
        };
        let (branch, number) = numbers(&found)?;
        let owner = self.branch_name(agent, branch)?;
        let what = format!(
            "the tag {tag:?} is on version {number} of {owner:?} already: choose another, or take it \
             off first with untag({owner:?}, {tag:?})"
        );
        Err(Error::new("tag-taken", what)
            .with("name", owner)
            .with("version", number)
            .with("tag", tag))
    }

    /// Takes a tag off; its version stays.
    pub fn untag(&self, name: &str, tag: &str) -> Result<Version> {
        self.settled(name)?;
        let (name, tag) = (name.to_owned(), tag.to_owned());
        self.write(move |change| {
            let agent = change.agent(&name)?.ok_or_else(|| unknown_name(&name))?;
            let mut version = change.store.find(&agent, &name, &Which::Tag(tag.clone()))?;
            version.tags.retain(|other| *other != tag);
            change_tags(change, &name, &agent, version, ("untag", &tag, None))
        })
    }

    /// Makes an old version the latest again, as a new one; the nodes are shared.
    pub fn rollback(&self, name: &str, to: &Which, justification: &str) -> Result<Version> {
        check_justification(justification)?;
        self.settled(name)?;
        let (name, to, justification) = (name.to_owned(), to.clone(), justification.to_owned());
        self.write(move |change| {
            let agent = change.agent(&name)?.ok_or_else(|| unknown_name(&name))?;
            let old = change.store.find(&agent, &name, &to)?;
            let version = Version {
                restores: old.number,
                written_bytes: 0,
                source: None,
                justification: justification.clone(),
                ..old
            };
            // The nodes of the old state are not known; the next save reads them.
            let agent = Agent { known: None, shape: None, ..Agent::clone(&agent) };
            add_version(change, &name, &agent, version, "rollback")
        })
    }
}

fn taken(name: &str) -> Error {
    let what = format!("{name:?} is the name of another agent: choose another name");
    Error::new("name-taken", what).with("name", name)
}

fn change_tags(
    change: &mut Change<'_>,
    name: &str,
    agent: &Agent,
    version: Version,
    (operation, tag, leads_to): (&str, &str, Option<Vec<u8>>),
) -> Result<Version> {
    let key = version_key(agent.branch, version.number);
    let edits = [(tag_key(tag), leads_to), (key, Some(version.encode()))];
    let edited = change.edit(name, agent, edits.into_iter().collect());
    log_version(change, operation, name, &edited, &version, tag)?;
    let latest = edited.latest.as_ref().is_some_and(|latest| latest.number == version.number);
    let latest = if latest { Some(version.clone()) } else { edited.latest.clone() };
    change.put_agent(name, Agent { latest, ..edited });
    Ok(version)
}

/// Reads a large value as a walk gives it: the items of an array outside, all else in one piece.
fn put_large(
    flat: &mut Flat,
    entry: usize,
    inline: &[u8],
    blob: &crate::tree::Blob,
    nodes: &dyn Nodes,
) -> Result<()> {
    if blob.cut == Cut::Content {
        let mut bytes = inline.to_vec();
        blob.append_to(nodes, &mut bytes)?;
        flat.values.push(&bytes);
        return Ok(());
    }
    flat.values.push(inline);
    let mut payload = Vec::new();
    blob.append_to(nodes, &mut payload)?;
    flat.outside.push(crate::state::Outside { entry, payload: Box::new(payload) });
    Ok(())
}
