//! Corridor: one machine on which schedules run, beside the model.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use savehold::sim::Sim;
use savehold::{
    Acquire, Collection, Error, ErrorKind, Holder, HolderOptions, LeaseKey, Policy, Session, Start, Store,
    Token,
};
use savehold_wal::sim::{Draw, SimClock};

use super::model::{Asking, KEYS, Keys, Life, Model, overlap};

const NAMES: [&str; KEYS] = ["a", "b", "c"];
const AFTER: Duration = Duration::from_secs(10);
/// Two holders inside, one of them mortal; two external ones.
const HOLDERS: usize = 4;

/// What schedules came to.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) granted: u64,
    pub(crate) forced: u64,
    pub(crate) handed_over: u64,
    pub(crate) written: u64,
    pub(crate) fenced: u64,
    pub(crate) crashes: u64,
    pub(crate) timed_out: u64,
    pub(crate) outlived: u64,
}

impl Counts {
    pub(crate) fn add(&mut self, more: &Self) {
        self.granted += more.granted;
        self.forced += more.forced;
        self.handed_over += more.handed_over;
        self.written += more.written;
        self.fenced += more.fenced;
        self.crashes += more.crashes;
        self.timed_out += more.timed_out;
        self.outlived += more.outlived;
    }
}

#[derive(Default)]
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

struct Pending {
    holder: usize,
    asks: Asking,
    deadline: Duration,
    policy: Policy,
    acquire: Acquire,
    woken: Arc<Woken>,
    /// Another life of its holder has begun.
    followed: bool,
    /// It was looked at since something may have happened to it that wakes nobody: time that passed unseen.
    looked: bool,
}

pub(super) struct World {
    sim: Sim,
    clock: Arc<SimClock>,
    draw: Draw,
    store: Option<Store>,
    docs: Option<Collection<i64>>,
    holders: Vec<Holder>,
    life: u64,
    sessions: Vec<(usize, Session)>,
    pending: Vec<Pending>,
    model: Model,
    next_value: i64,
    pub(super) counts: Counts,
    trace: Vec<String>,
}

mod steps;

type Checked<T = ()> = Result<T, String>;

/// What a crash came into.
#[derive(Clone, Copy, Debug, Default)]
struct UnderWay {
    write: Option<(usize, i64)>,
    theft: Option<Keys>,
}

impl World {
    pub(super) fn new(seed: u64) -> Self {
        let sim = Sim::new(seed);
        let mut world = Self {
            clock: sim.clock(),
            sim,
            draw: Draw::from_seed(seed ^ 0x5e55_1045),
            store: None,
            docs: None,
            holders: Vec::new(),
            life: 1,
            sessions: Vec::new(),
            pending: Vec::new(),
            model: Model::default(),
            next_value: 0,
            counts: Counts::default(),
            trace: Vec::new(),
        };
        let life = |external, time: Option<u64>| Life {
            external,
            time: time.map(Duration::from_secs),
            deadline: None,
            untold: false,
        };
        world.model.lives =
            vec![life(false, None), life(false, Some(5)), life(true, Some(30)), life(true, Some(30))];
        world.open().expect("opens");
        for name in NAMES {
            world.docs().set(name, &0).expect("writes");
        }
        world
    }

    fn docs(&self) -> &Collection<i64> {
        self.docs.as_ref().expect("open")
    }

    fn store(&self) -> &Store {
        self.store.as_ref().expect("open")
    }

    fn now(&mut self) -> Duration {
        let now = savehold_wal::clock::Clock::boot(&*self.clock);
        self.model.at(now);
        now
    }

    fn key(&self, key: usize) -> LeaseKey {
        self.docs().key(NAMES[key])
    }

    fn open(&mut self) -> Result<(), Error> {
        let store = self.sim.open()?;
        self.docs = Some(store.collection("docs")?);
        let mortal = HolderOptions::new().lease(Duration::from_secs(5));
        let life = self.life;
        self.holders = vec![
            store.holder("red")?,
            store.holder_with("blue", mortal)?,
            store.external_holder("eu-1", life)?,
            store.external_holder("eu-2", 1)?,
        ];
        self.store = Some(store);
        Ok(())
    }

    /// One schedule: steps, then what must be true when all is over.
    pub(super) fn schedule(&mut self) -> Checked {
        self.trace.clear();
        let mut run = || -> Checked {
            for _ in 0..6 + self.draw.below(14) {
                self.step()?;
                self.check()?;
            }
            self.finish()
        };
        run().map_err(|e| format!("{e}\n  after: {}", self.trace.join("; ")))
    }

    fn note(&mut self, what: impl Into<String>) {
        self.trace.push(what.into());
    }

    fn lease_keys(&self, keys: Keys) -> Vec<LeaseKey> {
        (0..KEYS).filter(|key| keys[*key]).map(|key| self.key(key)).collect()
    }

    /// Looks at a request.
    fn look(&mut self, n: usize) -> Checked {
        let now = self.now();
        let asking: Vec<Asking> = self.pending.iter().map(|pending| pending.asks).collect();
        let pending = &mut self.pending[n];
        let unheard = pending.looked && !pending.woken.0.swap(false, Ordering::Relaxed);
        let waker = Waker::from(pending.woken.clone());
        let answer = Pin::new(&mut pending.acquire).poll(&mut Context::from_waker(&waker));
        pending.looked = true;
        let Poll::Ready(answer) = answer else {
            if now >= pending.deadline {
                return Err(format!("a waiter is forgotten past its deadline at {now:?}"));
            }
            return Ok(());
        };
        if unheard {
            return Err(format!("a waiter was not woken at {now:?}: {answer:?}"));
        }
        let Pending { holder, asks, deadline, policy, followed, .. } = self.pending.remove(n);
        match answer {
            Ok(session) => {
                if now >= deadline {
                    return Err(format!("granted past its deadline at {now:?}"));
                }
                if followed {
                    return Err(format!("granted to a life that another followed, at {now:?}"));
                }
                let steals = policy == Policy::Steal;
                self.counts.granted += 1;
                let before = self.model.live().len();
                self.model.granted(session.token(), holder, asks.keys, now, steals, &asking)?;
                self.counts.forced += u64::from(self.model.live().len() <= before);
                self.note(format!("{holder} has {}", session.token()));
                self.sessions.push((holder, session));
            }
            Err(e) if followed && e.kind() == ErrorKind::Ended => self.counts.outlived += 1,
            Err(e) => self.refused(holder, asks.keys, policy, deadline, &e)?,
        }
        Ok(())
    }

    fn refused(
        &mut self,
        holder: usize,
        keys: Keys,
        policy: Policy,
        deadline: Duration,
        e: &Error,
    ) -> Checked {
        let now = self.now();
        self.note(format!("{holder} is refused: {:?}", e.kind()));
        let own = self.model.leases.values().any(|held| held.holder == holder && overlap(held.keys, keys));
        match e.kind() {
            ErrorKind::AlreadyActive if own => Ok(()),
            ErrorKind::Leased if now >= deadline => {
                self.counts.timed_out += 1;
                Ok(())
            }
            ErrorKind::Leased if policy == Policy::Fail => Ok(()),
            _ => Err(format!("{holder} was refused without a reason: {e}")),
        }
    }

    /// Opens the store anew. What was under way may have happened, or not.
    fn restart(&mut self, under_way: UnderWay) -> Checked {
        self.counts.crashes += 1;
        self.pending.clear();
        self.sessions.clear();
        self.holders.clear();
        self.docs = None;
        self.store = None;
        self.open().map_err(|e| format!("opening: {e}"))?;
        self.model.restarted(savehold_wal::clock::Clock::boot(&*self.clock));
        let now = self.now();
        if let Some((key, value)) = under_way.write
            && self.docs().get(NAMES[key]).map_err(|e| e.to_string())?.map(|e| e.value) == Some(value)
        {
            self.written(key, value);
        }
        let listed = self.store().sessions().map_err(|e| e.to_string())?;
        listed.iter().for_each(|info| self.model.listed(info.token));
        for token in self.model.live() {
            let stolen = under_way.theft.is_some_and(|keys| overlap(keys, self.model.leases[&token].keys));
            if stolen && !listed.iter().any(|info| info.token == token) {
                self.model.end(token);
            }
        }
        self.adopt(now)
    }

    /// Grants that nobody was told of may stand after a crash: nobody has their tokens, and they lapse.
    fn adopt(&mut self, now: Duration) -> Checked {
        let listed = self.store().sessions().map_err(|e| e.to_string())?;
        for info in &listed {
            if self.model.leases.contains_key(&info.token) {
                continue;
            }
            let holder = match info.holder.as_str() {
                "eu-1" => 2,
                "eu-2" => 3,
                other => return Err(format!("{other} holds in a new process")),
            };
            let keys = std::array::from_fn(|key| info.keys.iter().any(|held| held.key == *NAMES[key]));
            self.model.granted(info.token, holder, keys, now, true, &[])?;
        }
        Ok(())
    }

    /// What must be true at every moment.
    fn check(&mut self) -> Checked {
        let mut n = 0;
        while n < self.pending.len() {
            // whoever was woken looks at once, unless it is paused
            let woken = self.pending[n].woken.0.load(Ordering::Relaxed);
            let looks = woken || self.draw.below(4) == 0;
            let before = self.pending.len();
            if looks && self.draw.below(8) != 0 {
                self.look(n)?;
            }
            n += usize::from(self.pending.len() == before);
        }
        self.now();
        let listed = self.store().sessions().map_err(|e| e.to_string())?;
        let mut taken = [0; KEYS];
        for info in &listed {
            for key in 0..KEYS {
                taken[key] += usize::from(info.keys.iter().any(|held| held.key == *NAMES[key]));
            }
        }
        if taken.iter().any(|count| *count > 1) {
            return Err(format!("a key with two able writers: {listed:?}"));
        }
        let tokens: Vec<Token> = listed.iter().map(|info| info.token).collect();
        if tokens != self.model.live() {
            return Err(format!("live are {tokens:?}, and should be {:?}", self.model.live()));
        }
        for (key, name) in NAMES.into_iter().enumerate() {
            let value = self.docs().get(name).map_err(|e| e.to_string())?.map(|entry| entry.value);
            if value != Some(self.model.values[key]) {
                return Err(format!("{name} is {value:?}, and should be {}", self.model.values[key]));
            }
        }
        Ok(())
    }

    /// All who wait are answered by their deadlines; then a request for each key is granted in the time of a handoff,
    /// whoever has it.
    fn finish(&mut self) -> Checked {
        for _ in 0..9 {
            if self.pending.is_empty() {
                break;
            }
            self.sim.advance(Duration::from_secs(5));
            while let Some(n) = (0..self.pending.len()).find(|n| {
                let pending = &self.pending[*n];
                pending.woken.0.load(Ordering::Relaxed) || !pending.looked
            }) {
                let before = self.pending.len();
                self.look(n)?;
                if self.pending.len() == before {
                    self.pending[n].woken.0.store(false, Ordering::Relaxed);
                }
            }
            self.check()?;
        }
        if let Some(pending) = self.pending.first() {
            return Err(format!("a waiter is forgotten: {} for {:?}", pending.holder, pending.asks.keys));
        }
        self.note("all keys are asked for");
        let last = self.store().holder("last").map_err(|e| e.to_string())?;
        let start = Start::new().policy(Policy::Handoff { after: AFTER });
        let mut asked: Vec<Acquire> =
            (0..KEYS).map(|key| last.acquire_async([self.key(key)], start)).collect();
        self.sim.advance(AFTER);
        for (key, acquire) in asked.iter_mut().enumerate() {
            match Pin::new(acquire).poll(&mut Context::from_waker(Waker::noop())) {
                Poll::Ready(Ok(session)) => drop(session),
                other => return Err(format!("{key} is stuck: {other:?}")),
            }
        }
        self.sessions.clear();
        let live = self.store().sessions().map_err(|e| e.to_string())?;
        if !live.is_empty() {
            return Err(format!("{live:?} in the end"));
        }
        for token in self.model.live() {
            self.model.end(token);
        }
        self.model.forget();
        let now = self.now();
        for (n, holder) in self.holders.iter().enumerate() {
            _ = holder.heartbeat(); // what lapsed while the keys were handed over is said
            self.model.heard(n, now);
            self.model.lives[n].untold = false;
        }
        Ok(())
    }
}
