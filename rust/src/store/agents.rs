//! What this process remembers of the agents it has read and saved, so that the next save of them
//! is cheap.

use super::view::Agent;
use std::collections::HashMap;
use std::sync::Arc;

/// How much is remembered; one agent is, however large.
const MOST_BYTES: usize = 128 << 20;

type Namespace = [u8; 16];

/// Agents by name; those not used for longest are forgotten first.
pub struct Agents {
    held: HashMap<String, Held>,
    names: HashMap<Namespace, Vec<String>>,
    bytes: usize,
    most_bytes: usize,
    turn: u64,
}

struct Held {
    agent: Arc<Agent>,
    bytes: usize,
    /// When it was used last.
    turn: u64,
}

impl Default for Agents {
    fn default() -> Self {
        let (held, names) = Default::default();
        Agents { held, names, bytes: 0, most_bytes: MOST_BYTES, turn: 0 }
    }
}

impl Agents {
    /// What is remembered under a name.
    pub fn get(&mut self, name: &str) -> Option<Arc<Agent>> {
        self.turn += 1;
        let held = self.held.get_mut(name)?;
        held.turn = self.turn;
        Some(Arc::clone(&held.agent))
    }

    /// Remembers an agent, unless a newer one is.
    pub fn keep(&mut self, name: &str, agent: &Arc<Agent>) {
        if self.held.get(name).is_some_and(|held| held.agent.as_of > agent.as_of) {
            return;
        }
        self.drop(name);
        self.turn += 1;
        let bytes = agent.size_bytes() + name.len();
        self.bytes += bytes;
        self.names.entry(namespace(agent)).or_default().push(name.to_owned());
        let held = Held { agent: Arc::clone(agent), bytes, turn: self.turn };
        self.held.insert(name.to_owned(), held);
        if self.bytes > self.most_bytes {
            self.make_room();
        }
    }

    /// Forgets what was read of other branches of the namespaces that a commit changed.
    pub fn drop_siblings(&mut self, changed: &[(String, Agent)]) {
        for (_, agent) in changed {
            let siblings = self.names.get(&namespace(agent)).cloned().unwrap_or_default();
            for name in siblings {
                if changed.iter().all(|(changed, _)| *changed != name) {
                    self.drop(&name);
                }
            }
        }
    }

    /// Forgets the agents of all namespaces but some.
    pub fn retain(&mut self, keep: impl Fn(&Namespace) -> bool) {
        let gone: Vec<_> =
            self.names.keys().filter(|namespace| !keep(namespace)).copied().collect();
        for namespace in gone {
            for name in self.names.get(&namespace).cloned().unwrap_or_default() {
                self.drop(&name);
            }
        }
    }

    fn drop(&mut self, name: &str) {
        let Some(held) = self.held.remove(name) else { return };
        self.bytes -= held.bytes;
        let namespace = namespace(&held.agent);
        if let Some(names) = self.names.get_mut(&namespace) {
            names.retain(|held| held != name);
            if names.is_empty() {
                self.names.remove(&namespace);
            }
        }
    }

    /// Forgets half at once, so that looking for the oldest costs little a save.
    fn make_room(&mut self) {
        let mut oldest: Vec<_> =
            self.held.iter().map(|(name, held)| (held.turn, name.clone())).collect();
        oldest.sort_unstable();
        oldest.pop();
        for (_, name) in oldest {
            if self.bytes <= self.most_bytes / 2 {
                break;
            }
            self.drop(&name);
        }
    }
}

fn namespace(agent: &Agent) -> Namespace {
    agent.sealer.context().namespace
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seal::{Context, Epochs, Sealer};
    use crate::tree::Map;

    fn agent(namespace: u8, as_of: u64) -> Agent {
        let context = Context { store: [0; 16], namespace: [namespace; 16] };
        let sealer = Arc::new(Sealer::new(context, Arc::new(Epochs::fixed(&[1; 32])), &[2; 32]));
        let (map, root) = (Map::default(), Vec::new());
        Agent { sealer, branch: 0, map, root, latest: None, known: None, shape: None, as_of }
    }

    fn has(agents: &mut Agents, names: &[&str]) -> Vec<bool> {
        names.iter().map(|name| agents.get(name).is_some()).collect()
    }

    #[test]
    fn a_newer_agent_is_not_replaced_by_an_older_one() {
        let mut agents = Agents::default();
        agents.keep("a", &Arc::new(agent(1, 7)));
        agents.keep("a", &Arc::new(agent(1, 6)));
        assert_eq!(agents.get("a").map(|agent| agent.as_of), Some(7));
    }

    #[test]
    fn other_branches_of_what_changed_are_forgotten() {
        let mut agents = Agents::default();
        for (name, namespace) in [("a", 1), ("fork of a", 1), ("b", 2)] {
            agents.keep(name, &Arc::new(agent(namespace, 1)));
        }
        agents.drop_siblings(&[("a".to_owned(), agent(1, 2))]);
        assert_eq!(has(&mut agents, &["a", "fork of a", "b"]), [true, false, true]);
        agents.retain(|namespace| *namespace == [1; 16]);
        assert_eq!(has(&mut agents, &["a", "b"]), [true, false]);
    }

    #[test]
    fn what_was_not_used_for_longest_makes_room() {
        let mut agents = Agents { most_bytes: 10 * agent(0, 0).size_bytes(), ..Agents::default() };
        for number in 0..100u8 {
            agents.keep(&number.to_string(), &Arc::new(agent(number, 1)));
            assert!(agents.get("0").is_some());
            assert!(agents.bytes <= agents.most_bytes);
        }
        assert_eq!(has(&mut agents, &["98", "99"]), [true, true]);
        assert_eq!(agents.held.len(), agents.names.len());
        assert!(agents.held.len() >= 4);
    }
}
