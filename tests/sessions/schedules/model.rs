//! Pure: what a lease means, written down a second time and more simply: who may write which key at which moment.

use std::collections::BTreeMap;
use std::time::Duration;

use savehold::Token;

/// Keys of a schedule, by their numbers.
pub(super) const KEYS: usize = 3;

/// A set of keys.
pub(super) type Keys = [bool; KEYS];

pub(super) fn overlap(one: Keys, other: Keys) -> bool {
    (0..KEYS).any(|key| one[key] && other[key])
}

#[derive(Clone, Debug)]
pub(super) struct Held {
    pub(super) holder: usize,
    pub(super) keys: Keys,
    pub(super) since: Duration,
    pub(super) live: bool,
    /// It is over by the time alone.
    pub(super) lapsed: bool,
    /// Somebody was told of that, or acted on it: no restart may undo it.
    pub(super) relied: bool,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Life {
    pub(super) external: bool,
    /// How long it may be silent.
    pub(super) time: Option<Duration>,
    /// It loses everything then.
    pub(super) deadline: Option<Duration>,
    /// It lost something so, and no heartbeat was told.
    pub(super) untold: bool,
}

/// Somebody who told the holder and waits.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asking {
    pub(super) keys: Keys,
    pub(super) since: Duration,
    /// The time after which it may use force.
    pub(super) after: Option<Duration>,
}

#[derive(Debug, Default)]
pub(super) struct Model {
    pub(super) leases: BTreeMap<Token, Held>,
    pub(super) lives: Vec<Life>,
    pub(super) values: [i64; KEYS],
    newest: Option<Token>,
}

impl Model {
    /// The time is `now`: who was silent for too long has lost everything.
    pub(super) fn at(&mut self, now: Duration) {
        for (n, life) in self.lives.iter_mut().enumerate() {
            if life.deadline.is_some_and(|deadline| now >= deadline) {
                for held in self.leases.values_mut().filter(|held| held.holder == n && held.live) {
                    (held.live, held.lapsed, life.untold) = (false, true, true);
                }
            }
        }
    }

    /// Somebody acted on it that nobody has these keys any more.
    pub(super) fn rely(&mut self, keys: Keys) {
        let over = self.leases.values_mut().filter(|held| !held.live && overlap(held.keys, keys));
        over.for_each(|held| held.relied = true);
    }

    /// A holder was told that what it had is over.
    pub(super) fn rely_of(&mut self, holder: usize) {
        let over = self.leases.values_mut().filter(|held| !held.live && held.holder == holder);
        over.for_each(|held| held.relied = true);
    }

    /// Somebody was told that the token is refused.
    pub(super) fn rely_on(&mut self, token: Token) {
        if let Some(held) = self.leases.get_mut(&token).filter(|held| !held.live) {
            held.relied = true;
        }
    }

    /// The store was opened anew and lists this token: a lapse of which nobody knew may be undone.
    pub(super) fn listed(&mut self, token: Token) {
        if let Some(held) = self.leases.get_mut(&token).filter(|held| held.lapsed && !held.relied) {
            (held.live, held.lapsed) = (true, false);
        }
    }

    pub(super) fn heard(&mut self, holder: usize, now: Duration) {
        let life = &mut self.lives[holder];
        life.deadline = life.time.map(|time| now + time);
    }

    pub(super) fn on(&self, key: usize) -> Option<(Token, &Held)> {
        let live = self.leases.iter().find(|(_, held)| held.live && held.keys[key]);
        live.map(|(token, held)| (*token, held))
    }

    pub(super) fn is_live(&self, token: Token) -> bool {
        self.leases.get(&token).is_some_and(|held| held.live)
    }

    pub(super) fn live(&self) -> Vec<Token> {
        self.leases.iter().filter(|(_, held)| held.live).map(|(token, _)| *token).collect()
    }

    pub(super) fn end(&mut self, token: Token) {
        if let Some(held) = self.leases.get_mut(&token) {
            held.live = false;
        }
    }

    pub(super) fn end_on(&mut self, key: usize) {
        if let Some((token, _)) = self.on(key) {
            self.end(token);
        }
    }

    pub(super) fn end_all_of(&mut self, holder: usize) {
        self.leases.values_mut().filter(|held| held.holder == holder).for_each(|held| held.live = false);
    }

    /// A grant came about. What stood on its keys must have been free to take: by theft, or because somebody who asks told
    /// the holder long enough ago.
    pub(super) fn granted(
        &mut self,
        token: Token,
        holder: usize,
        keys: Keys,
        now: Duration,
        steals: bool,
        asking: &[Asking],
    ) -> Result<(), String> {
        if self.newest.is_some_and(|newest| token <= newest) {
            return Err(format!("token {token} is not newer than {:?}", self.newest));
        }
        self.newest = Some(token);
        for (old, held) in &mut self.leases {
            if !held.live || !overlap(held.keys, keys) {
                continue;
            }
            let forced = asking.iter().any(|asks| {
                overlap(asks.keys, held.keys)
                    && asks.after.is_some_and(|after| now >= asks.since.max(held.since) + after)
            });
            if !steals && !forced {
                return Err(format!("{token} took {old} without a right to it"));
            }
            held.live = false;
        }
        self.rely(keys);
        self.heard(holder, now);
        let held = Held { holder, keys, since: now, live: true, lapsed: false, relied: false };
        self.leases.insert(token, held);
        Ok(())
    }

    /// The process ended: holders inside it are dead, the others have their full time again.
    pub(super) fn restarted(&mut self, now: Duration) {
        for n in 0..self.lives.len() {
            self.lives[n].untold = false;
            if self.lives[n].external {
                self.heard(n, now);
            } else {
                self.lives[n].deadline = None;
                self.end_all_of(n);
            }
        }
        // the boot clock may have begun anew, and nobody was told anything since
        self.leases.values_mut().for_each(|held| held.since = now);
    }

    /// Forgets leases that are over: their tokens are tried no more.
    pub(super) fn forget(&mut self) {
        self.leases.retain(|_, held| held.live);
    }
}
