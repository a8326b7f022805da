//! One arena: waited for, leased for, and found again when it was removed and made anew. Says what changes, a line
//! each.

use std::collections::BTreeMap;
use std::sync::Arc;
use tidegate::Arena;
use tidegate::arena::{ArenaErrorKind, HostConfig, LAYOUT_VERSION};
use tidegate_cluster::{Agent, AgentConfig};

pub(crate) struct Keeper {
    options: HostConfig,
    config: AgentConfig,
    kept: Option<(Arc<Arena>, Agent)>,
    /// What was said last of the arena, and of each limit in it.
    said: String,
    faults: BTreeMap<String, String>,
}

impl Keeper {
    /// Errors: the arena's name is none.
    pub(crate) fn new(options: HostConfig, config: AgentConfig) -> Result<Self, String> {
        options.check().map_err(|error| error.message().to_owned())?;
        Ok(Self { options, config, kept: None, said: String::new(), faults: BTreeMap::new() })
    }

    /// Errors: those that will not go away by waiting.
    pub(crate) fn look(&mut self) -> Result<(), String> {
        if self.kept.as_ref().is_some_and(|(arena, _)| !arena.is_linked()) {
            // What is held goes back, unless old processes go on with what was removed.
            self.kept = None;
        }
        if self.kept.is_none() {
            match Arena::inspect(&self.options) {
                Ok(arena) => {
                    let agent = Agent::start(&arena, &self.config).map_err(|error| error.to_string())?;
                    self.kept = Some((arena, agent));
                }
                Err(error) if error.kind() == ArenaErrorKind::Removed => {
                    let files = Arena::list_where(&self.options).unwrap_or_default();
                    let other = files.iter().find(|file| file.name == self.options.name);
                    self.say(match other.filter(|file| file.version != LAYOUT_VERSION) {
                        Some(file) => format!(
                            "has layout {}, of another version of tidegate, which has an agent of its own: waiting for \
                             one of layout {LAYOUT_VERSION}",
                            file.version
                        ),
                        None => "is not there yet: waiting for the first process that opens it".to_owned(),
                    });
                }
                Err(error) => self.say(error.message().to_owned()),
            }
        }
        if let Some((arena, agent)) = &self.kept {
            let (arena, leases) = (arena.clone(), agent.leases());
            self.say(match leases {
                true => "leases for it".to_owned(),
                false => "another agent leases for it: waiting for its end".to_owned(),
            });
            if leases {
                self.tell_faults(&arena);
            }
        }
        Ok(())
    }

    fn say(&mut self, what: String) {
        if self.said != what {
            eprintln!("tidegate-agent: arena {}: {what}", self.options.name);
            self.said = what;
        }
    }

    fn tell_faults(&mut self, arena: &Arc<Arena>) {
        for (name, limit) in arena.cluster_limits() {
            let health = limit.health();
            let now = match health.fault {
                Some(fault) => fault,
                None if health.syncs == 0 => continue,
                None => "well".to_owned(),
            };
            if self.faults.get(&name) != Some(&now) {
                eprintln!("tidegate-agent: arena {}, limit {name} (member {}): {now}", arena.name(), limit.member_id());
                self.faults.insert(name, now);
            }
        }
    }
}
