//! Corridor: the steps of schedules.

use std::sync::Arc;
use std::time::Duration;

use savehold::{Change, Ended, Error, ErrorKind, Policy, Session, Start, Token};
use savehold_wal::sim::{Fault, When};

use super::{AFTER, Checked, HOLDERS, NAMES, Pending, UnderWay, Woken, World};
use crate::schedules::model::{Asking, KEYS, Keys};

impl World {
    pub(super) fn step(&mut self) -> Checked {
        match self.draw.below(64) {
            0..14 => self.ask(),
            14..17 => self.withdraw(),
            17..27 => self.write_by_token(),
            27..31 => self.write_plain(),
            31 => self.write_by_force(),
            32..36 => self.heartbeat(),
            36..40 => self.release(),
            40..42 => self.drop_session(),
            42..44 => self.answer_wanted(),
            44..51 => self.advance(),
            51..54 => self.advance_unseen(),
            54..56 => self.step_wall(),
            56..59 => self.pause_inside(),
            59 => self.break_session(),
            60 => self.another_life(),
            61 => self.steal_inside(),
            62 => self.crash(),
            _ => self.cut_at_some_step(),
        }
    }

    fn some_keys(&mut self) -> Keys {
        let mut keys = [false; KEYS];
        keys[self.draw.below(KEYS as u64) as usize] = true;
        if self.draw.below(4) == 0 {
            keys[self.draw.below(KEYS as u64) as usize] = true;
        }
        keys
    }

    fn ask(&mut self) -> Checked {
        let holder = self.draw.below(HOLDERS as u64) as usize;
        let keys = self.some_keys();
        let policy = match self.draw.below(8) {
            0 => Policy::Steal,
            1 => Policy::Fail,
            2 | 3 => Policy::Wait,
            _ => Policy::Handoff { after: AFTER },
        };
        let wait = Duration::from_secs([1, 5, 15, 15, 40][self.draw.below(5) as usize]);
        let now = self.now();
        self.note(format!("at {now:?} {holder} asks for {keys:?} by {policy:?} for {wait:?}"));
        let start = Start::new().policy(policy).deadline(wait);
        let acquire = self.holders[holder].acquire_async(self.lease_keys(keys), start);
        let after = matches!(policy, Policy::Handoff { .. }).then_some(AFTER);
        let asks = Asking { keys, since: now, after };
        let (woken, deadline) = (Arc::<Woken>::default(), now + wait);
        let (followed, looked) = (false, false);
        self.pending.push(Pending { holder, asks, deadline, policy, acquire, woken, followed, looked });
        self.look(self.pending.len() - 1)
    }

    fn withdraw(&mut self) -> Checked {
        if !self.pending.is_empty() {
            let n = self.draw.below(self.pending.len() as u64) as usize;
            let gone = self.pending.remove(n);
            self.note(format!("{} withdraws", gone.holder));
        }
        Ok(())
    }

    /// A token that was granted in this schedule, over or not.
    fn some_token(&mut self) -> Option<Token> {
        let all: Vec<Token> = self.model.leases.keys().copied().collect();
        let n = self.draw.below(all.len() as u64) as usize;
        all.get(n).copied()
    }

    pub(super) fn written(&mut self, key: usize, value: i64) {
        self.model.values[key] = value;
        self.model.rely(std::array::from_fn(|other| other == key));
        self.counts.written += 1;
    }

    fn write_by_token(&mut self) -> Checked {
        let Some(token) = self.some_token() else { return Ok(()) };
        let key = self.draw.below(KEYS as u64) as usize;
        self.write_as(token, key)
    }

    fn write_as(&mut self, token: Token, key: usize) -> Checked {
        let now = self.now();
        self.next_value += 1;
        let value = self.next_value;
        let able = self.model.is_live(token) && self.model.leases[&token].keys[key];
        let answer = self.docs().with_token(token).set(NAMES[key], &value);
        self.note(format!("at {now:?} {token} writes {key}: {:?}", answer.as_ref().map_err(Error::kind)));
        self.judge_write(token, key, value, able, answer.map(drop))
    }

    fn judge_write(
        &mut self,
        token: Token,
        key: usize,
        value: i64,
        able: bool,
        answer: Result<(), Error>,
    ) -> Checked {
        let now = self.now();
        match answer {
            Ok(()) if able => {
                self.written(key, value);
                let holder = self.model.leases[&token].holder;
                self.model.heard(holder, now);
                Ok(())
            }
            Ok(()) => Err(format!("a write was accepted from the stale token {token}")),
            Err(e) if e.kind() == ErrorKind::Fenced && !able => {
                self.model.rely_on(token);
                self.counts.fenced += 1;
                Ok(())
            }
            Err(e) => Err(format!("{token} was refused: {e}")),
        }
    }

    fn write_plain(&mut self) -> Checked {
        let key = self.draw.below(KEYS as u64) as usize;
        self.now();
        self.next_value += 1;
        let value = self.next_value;
        let free = self.model.on(key).is_none();
        let answer = self.docs().set(NAMES[key], &value);
        self.note(format!("a plain write of {key}: {:?}", answer.as_ref().map_err(Error::kind)));
        match answer {
            Ok(_) if free => self.written(key, value),
            Err(e) if e.kind() == ErrorKind::Leased && !free => {}
            other => return Err(format!("plain write of {key}, free {free}: {other:?}")),
        }
        Ok(())
    }

    fn write_by_force(&mut self) -> Checked {
        let key = self.draw.below(KEYS as u64) as usize;
        self.now();
        self.next_value += 1;
        let value = self.next_value;
        self.note(format!("a forced write of {key}"));
        self.docs().force().set(NAMES[key], &value).map_err(|e| format!("a forced write: {e}"))?;
        self.written(key, value);
        self.model.end_on(key);
        Ok(())
    }

    fn heartbeat(&mut self) -> Checked {
        let holder = self.draw.below(HOLDERS as u64) as usize;
        let now = self.now();
        let untold = std::mem::take(&mut self.model.lives[holder].untold);
        let answer = self.holders[holder].heartbeat();
        self.note(format!("at {now:?} {holder} is heard: {:?}", answer.as_ref().map_err(Error::kind)));
        self.model.heard(holder, now);
        if answer.is_err() {
            self.model.rely_of(holder);
        }
        match answer {
            Err(e) if !untold => Err(format!("a heartbeat of a holder that lost nothing: {e}")),
            Ok(()) if untold => Err("a heartbeat does not say that the holder lost something".to_owned()),
            _ => Ok(()),
        }
    }

    fn some_session(&mut self) -> Option<(usize, Session)> {
        if self.sessions.is_empty() {
            return None;
        }
        let n = self.draw.below(self.sessions.len() as u64) as usize;
        Some(self.sessions.swap_remove(n))
    }

    fn release(&mut self) -> Checked {
        let Some((holder, session)) = self.some_session() else { return Ok(()) };
        self.now();
        let (token, live) = (session.token(), self.model.is_live(session.token()));
        let (wanted, ended) = (session.wanted().now(), session.ended());
        let answer = session.release();
        self.note(format!("{holder} releases {token}: {:?}", answer.as_ref().map_err(Error::kind)));
        self.model.end(token);
        match (live, answer) {
            (true, Ok(())) => match (wanted, ended.now()) {
                (Some(_), Some(Ended::HandedOver(_))) => {
                    self.counts.handed_over += 1;
                    Ok(())
                }
                (None, Some(Ended::Released)) => Ok(()),
                other => Err(format!("released: {other:?}")),
            },
            (false, Err(e)) if e.kind() == ErrorKind::Ended => {
                self.model.rely_on(token);
                Ok(())
            }
            (_, other) => Err(format!("release of {token}, live {live}: {other:?}")),
        }
    }

    fn drop_session(&mut self) -> Checked {
        let Some((holder, session)) = self.some_session() else { return Ok(()) };
        self.now();
        let token = session.token();
        self.note(format!("{holder} drops {token}"));
        drop(session);
        if !self.model.lives[holder].external {
            self.model.end(token);
        }
        Ok(())
    }

    /// A holder that is asked writes a last time, and releases.
    fn answer_wanted(&mut self) -> Checked {
        self.now();
        let wanted = self.sessions.iter().position(|(_, session)| session.wanted().now().is_some());
        let Some(n) = wanted else { return Ok(()) };
        let (_, session) = self.sessions.swap_remove(n);
        let token = session.token();
        if !self.model.is_live(token) {
            return Ok(()); // external: dropping is nothing
        }
        let key = (0..KEYS).find(|key| self.model.leases[&token].keys[*key]).expect("a key");
        self.write_as(token, key)?;
        session.release().map_err(|e| format!("a release on demand: {e}"))?;
        self.note(format!("{token} is handed over"));
        self.model.end(token);
        self.counts.handed_over += 1;
        Ok(())
    }

    fn some_time(&mut self) -> Duration {
        let edge =
            [1, 1_000, 1_000_000, 4_999_999, 5_000_000, 10_000_000, 15_000_000, 29_999_999, 30_000_000];
        Duration::from_micros(edge[self.draw.below(edge.len() as u64) as usize])
    }

    fn advance(&mut self) -> Checked {
        let time = self.some_time();
        self.note(format!("{time:?} pass"));
        self.sim.advance(time);
        self.now();
        Ok(())
    }

    /// Time passes, and nobody does what falls due by it.
    fn advance_unseen(&mut self) -> Checked {
        let time = self.some_time();
        self.note(format!("{time:?} pass unseen"));
        self.clock.advance(time);
        self.now();
        for pending in &mut self.pending {
            pending.looked = false;
        }
        Ok(())
    }

    fn step_wall(&mut self) -> Checked {
        let by = [1, 5_000_000, 30_000_000, 3_600_000_000, 400 * 86_400_000_000][self.draw.below(5) as usize];
        let by = if self.draw.below(2) == 0 { by } else { -by };
        self.note(format!("the wall clock steps by {by} us"));
        self.sim.step_wall(by);
        self.store().tick();
        Ok(())
    }

    /// A holder sleeps between the beginning of a write and its commit.
    fn pause_inside(&mut self) -> Checked {
        let Some(token) = self.some_token() else { return Ok(()) };
        let key = self.draw.below(KEYS as u64) as usize;
        let time = self.some_time();
        self.next_value += 1;
        let (value, clock) = (self.next_value, self.clock.clone());
        self.note(format!("{token} writes {key} and sleeps for {time:?} meanwhile"));
        let mut slept = false;
        let answer = self.docs().with_token(token).update(NAMES[key], |_| {
            if !std::mem::replace(&mut slept, true) {
                clock.advance(time);
            }
            Change::write(value)
        });
        for pending in &mut self.pending {
            pending.looked = false;
        }
        self.now();
        let able = self.model.is_live(token) && self.model.leases[&token].keys[key];
        self.judge_write(token, key, value, able, answer.map(drop))
    }

    fn break_session(&mut self) -> Checked {
        let key = self.draw.below(KEYS as u64) as usize;
        self.now();
        self.note(format!("{key} is broken"));
        self.store().break_session("docs", NAMES[key], "a test").map_err(|e| format!("break: {e}"))?;
        self.model.end_on(key);
        Ok(())
    }

    fn another_life(&mut self) -> Checked {
        let now = self.now();
        self.life += 1;
        self.note("eu-1 begins another life");
        if self.draw.below(2) == 0 {
            self.pending.retain(|pending| pending.holder != 2);
        }
        self.sessions.retain(|(holder, _)| *holder != 2);
        let holder =
            self.store().external_holder("eu-1", self.life).map_err(|e| format!("another life: {e}"))?;
        self.holders[2] = holder;
        self.pending
            .iter_mut()
            .filter(|pending| pending.holder == 2)
            .for_each(|pending| pending.followed = true);
        self.model.end_all_of(2);
        self.model.heard(2, now);
        self.model.lives[2].untold = false;
        Ok(())
    }

    /// Between the turn of a request and its grant, another steals the key.
    fn steal_inside(&mut self) -> Checked {
        if self.draw.below(4) != 0 || !self.pending.is_empty() {
            return Ok(()); // a thread costs more than all the rest
        }
        let key = self.draw.below(KEYS as u64) as usize;
        let now = self.now();
        if self.model.on(key).is_some() {
            return Ok(());
        }
        let thief = self.store().holder("thief").map_err(|e| e.to_string())?;
        let mut stolen = None;
        let (keys, leased) = ([self.key(key)], self.key(key));
        let start = Start::new().policy(Policy::Wait);
        let answer = self.holders[0].acquire_with(keys, start, |_| -> Result<(), Error> {
            if stolen.is_none() {
                let (thief, leased) = (thief.clone(), leased.clone());
                let steal = move || thief.acquire([leased], Start::new().policy(Policy::Steal));
                stolen = Some(std::thread::spawn(steal).join().expect("no panic")?);
            }
            Ok(())
        });
        let stolen = stolen.ok_or_else(|| format!("the closure never ran: {answer:?}"))?;
        self.note(format!(
            "{} steals {key} inside: {:?}",
            stolen.token(),
            answer.as_ref().map_err(Error::kind)
        ));
        if answer.is_ok() || !stolen.is_live() {
            return Err(format!("at {now:?} a request took what another had been granted meanwhile"));
        }
        Ok(())
    }

    fn crash(&mut self) -> Checked {
        let cut = self.draw.below(2) == 0;
        self.note(if cut { "the power is cut" } else { "the process is killed" });
        if cut {
            self.sim.cut_power()
        } else {
            self.sim.kill()
        }
        self.restart(UnderWay::default())
    }

    /// The power is cut in the middle of some call.
    fn cut_at_some_step(&mut self) -> Checked {
        let Some(token) = self.some_token() else { return self.crash() };
        self.now();
        let key = self.draw.below(KEYS as u64) as usize;
        let disk = self.sim.disk();
        disk.order(When::Change(disk.counts().changes + 1 + self.draw.below(3)), Fault::CutInside);
        self.next_value += 1;
        let value = self.next_value;
        let able = self.model.is_live(token) && self.model.leases[&token].keys[key];
        let holder = self.draw.below(HOLDERS as u64) as usize;
        let keys = self.some_keys();
        self.note(format!("the power is cut while {token} writes {key} and {holder} steals {keys:?}"));
        let mut under_way = UnderWay::default();
        match self.docs().with_token(token).set(NAMES[key], &value) {
            Ok(_) if able => self.written(key, value),
            Ok(_) => return Err(format!("a write was accepted from the stale token {token}")),
            Err(e) if e.kind() == ErrorKind::Unknown && able => under_way.write = Some((key, value)),
            Err(e) if e.kind() == ErrorKind::Unknown => {}
            Err(_) => {}
        }
        let start = Start::new().policy(Policy::Steal);
        match self.holders[holder].acquire(self.lease_keys(keys), start) {
            Ok(session) => {
                let now = self.now();
                self.model.granted(session.token(), holder, keys, now, true, &[])?;
            }
            Err(_) => under_way.theft = Some(keys),
        }
        self.sim.cut_power();
        self.restart(under_way)
    }
}
