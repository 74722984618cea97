//! Corridor: what is done to a store besides calls: history thinned, the log packed, backups made and restored, settings
//! changed, time and space.

use std::ops::ControlFlow::{Break, Continue};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use savehold::backup::restore_in;
use savehold::{At, ErrorKind, Options, Restore};
use savehold_wal::env::{Env, Threads};
use savehold_wal::sim::SimEntropy;

use super::model::CACHE;
use super::world::World;

const BACKUPS: &str = "/backups";

impl World {
    pub(super) fn tend(&mut self, kind: u64) {
        self.settle();
        if self.is_over() {
            return;
        }
        match kind {
            26 => self.thin(),
            27 | 28 => self.compact(),
            29 => self.back_up(),
            30 => self.change_settings(),
            31 | 32 => self.pass(&[1, 3, 60, 600]),
            33 => self.pass(&[3600, 2 * 3600, 24 * 3600, 3 * 24 * 3600]),
            34 => drop(self.store().tick()),
            _ if self.draw.below(2) == 0 => self.sim.fill(),
            _ => self.sim.free(),
        }
    }

    fn thin(&mut self) {
        let answer = self.store().thin();
        self.note(("thin", &answer));
        answer.map_or_else(|e| self.refused(&e), drop);
    }

    fn compact(&mut self) {
        let mut steps = if self.draw.below(4) == 0 { self.draw.below(4) } else { u64::MAX };
        let answer = self.store().compact(|_| {
            steps = steps.saturating_sub(1);
            if steps == 0 { Break(()) } else { Continue(()) }
        });
        self.note(("compact", &answer));
        match answer {
            Err(e) if e.kind() == ErrorKind::Aborted && steps == 0 => {}
            answer => answer.map_or_else(|e| self.refused(&e), drop),
        }
    }

    fn back_up(&mut self) {
        if self.backups.len() >= 4 {
            return;
        }
        let answer = self.store().backup(BACKUPS);
        self.note(("backup", answer.as_ref().map(|backup| (backup.name, backup.version))));
        match answer {
            Ok(backup) => {
                let states = self.model.then(backup.version).iter().map(|commit| commit.state).collect();
                self.backups.push((backup, states));
            }
            Err(e) => self.refused(&e),
        }
    }

    fn change_settings(&mut self) {
        match self.draw.below(3) {
            0 => {
                let explicit = Duration::from_secs([0, 60, 1800][self.draw.below(3) as usize]);
                self.set_right(explicit);
            }
            1 => {
                let every = [0, 60, 600, 3600][self.draw.below(4) as usize];
                self.set_moments(every);
            }
            _ => {
                let kept = Duration::from_secs([60, 3600, 48 * 3600][self.draw.below(3) as usize]);
                self.set_outcomes(kept);
            }
        }
    }

    fn pass(&mut self, seconds: &[u64]) {
        let most = seconds[self.draw.below(seconds.len() as u64) as usize];
        let time = Duration::from_millis(1 + self.draw.below(1000 * most));
        self.note(("pass", time));
        self.sim.advance(time);
    }

    /// Two of the backups become stores, each as it was, and one of them as of a moment before.
    pub(super) fn restore_some(&mut self) {
        self.settle();
        self.sim.free();
        let backups = std::mem::take(&mut self.backups);
        for (backup, states) in backups.iter().rev().take(2) {
            let (to, env) = self.elsewhere();
            let how = Restore::new().backup(backup.name);
            let restored = restore_in(&env, Path::new(BACKUPS), &to, &At::Now, how);
            let restored =
                restored.unwrap_or_else(|e| self.fail(&format!("{} is not restored: {e:?}", backup.name)));
            assert_eq!(restored.version, backup.version, "seed {}", self.seed);
            let shown = shown(&env, &to);
            if !states.contains(&shown) {
                self.fail(&format!("{} became {shown:?}, not one of {states:?}", backup.name));
            }
        }
        let commits = self.model.0.iter().filter_map(|commit| commit.version);
        let Some((backup, _)) = backups.last() else { return };
        let before: Vec<_> = commits.filter(|version| *version <= backup.version).collect();
        let Some(moment) = before.get(self.draw.below(before.len().max(1) as u64) as usize) else { return };
        let (to, env) = self.elsewhere();
        let how = Restore::new().backup(backup.name);
        match restore_in(&env, Path::new(BACKUPS), &to, &At::Version(*moment), how) {
            Ok(restored) => {
                let (shown, then) = (shown(&env, &to), self.model.then(restored.version));
                let fits = |state: &super::model::State| (0..CACHE).all(|c| state[c] == shown[c]);
                if !then.iter().any(|commit| fits(&commit.state)) {
                    self.fail(&format!(
                        "{moment}, restored as {}, is {shown:?}, not {then:?}",
                        restored.version
                    ));
                }
            }
            Err(e) if e.kind() == ErrorKind::Gone => {}
            Err(e) => self.fail(&format!("{} as of {moment} is not restored: {e:?}", backup.name)),
        }
    }

    fn elsewhere(&mut self) -> (PathBuf, Env) {
        self.restored += 1;
        let (vfs, entropy) =
            (Arc::new(self.sim.disk()), Arc::new(SimEntropy::new(self.seed + self.restored)));
        let env = Env { vfs, clock: self.sim.clock(), entropy, threads: Threads::None };
        (PathBuf::from(format!("/restored {}", self.restored)), env)
    }
}

fn shown(env: &Env, at: &Path) -> super::model::State {
    let store = Options::new().open_in(env.clone(), at).expect("it was just restored");
    super::check::shown_at(&store, &store.snapshot()).expect("readable")
}
