//! Door: a store on a simulated machine, and holders of one collection of numbers.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use savehold::sim::Sim;
use savehold::{
    Acquire, Collection, ErrorKind, Holder, HolderOptions, LeaseKey, Policy, Result, Session, Start, Store,
    Token,
};
use savehold_wal::sim::SimClock;

pub(crate) const fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

pub(crate) struct World {
    pub(crate) sim: Sim,
    pub(crate) store: Store,
    pub(crate) docs: Collection<i64>,
}

impl World {
    pub(crate) fn new() -> Self {
        let mut sim = Sim::new(7);
        let store = sim.open().expect("opens");
        let docs = store.collection("docs").expect("a name");
        docs.set("a", &0).expect("writes");
        Self { sim, store, docs }
    }

    /// Opens the store anew, after a crash or a close.
    pub(crate) fn reopen(&mut self) {
        self.store = self.sim.open().expect("opens");
        self.docs = self.store.collection("docs").expect("a name");
    }

    /// The process is killed, and the store opened again.
    pub(crate) fn crash(&mut self) {
        self.sim.kill();
        self.reopen();
    }

    /// The power is cut, and the store opened again.
    pub(crate) fn cut(&mut self) {
        self.sim.cut_power();
        self.reopen();
    }

    /// Time passes, and nobody does what falls due by it.
    pub(crate) fn advance_silently(&mut self, time: Duration) {
        self.clock().advance(time);
    }

    /// The clocks of the machine.
    pub(crate) fn clock(&mut self) -> Arc<SimClock> {
        self.sim.clock()
    }

    /// Fills the disk until not even leases can be ended: that has space of its own.
    pub(crate) fn fill_up(&mut self) {
        self.sim.fill();
        let uses: [&dyn Fn(u64) -> Result<()>; 3] =
            [&|n| self.docs.set(n, &0).map(drop), &|n| self.store.set_outcomes_kept(secs(n)), &|n| {
                self.docs.remove(n).map(drop)
            }];
        for one in uses {
            let full = (0..1 << 20).find_map(|n| one(n).err()).expect("it is full some time");
            assert_eq!(full.kind(), ErrorKind::Full, "{full}");
        }
    }

    pub(crate) fn holder(&self, name: &str) -> Holder {
        self.store.holder(name).expect("a name")
    }

    /// A holder in this process that may be silent for so many seconds.
    pub(crate) fn mortal(&self, name: &str, time: u64) -> Holder {
        self.store.holder_with(name, HolderOptions::new().lease(secs(time))).expect("a name")
    }

    pub(crate) fn server(&self, name: &str, life: u64) -> Holder {
        self.store.external_holder(name, life).expect("a life")
    }

    pub(crate) fn key(&self, key: &str) -> LeaseKey {
        self.docs.key(key)
    }

    pub(crate) fn start(&self, holder: &Holder, key: &str, policy: Policy) -> Result<Session> {
        holder.acquire([self.key(key)], Start::new().policy(policy))
    }

    pub(crate) fn ask(&self, holder: &Holder, keys: &[&str], policy: Policy, deadline: u64) -> Acquire {
        let start = Start::new().policy(policy).deadline(secs(deadline));
        holder.acquire_async(keys.iter().map(|key| self.key(key)), start)
    }

    pub(crate) fn has(&self, key: &str) -> Option<i64> {
        self.docs.get(key).expect("reads").map(|entry| entry.value)
    }

    pub(crate) fn write(&self, token: Token, key: &str, value: i64) -> Result<(), ErrorKind> {
        self.docs.with_token(token).set(key, &value).map(drop).map_err(|e| e.kind())
    }
}

/// One look at a future that nobody wakes.
pub(crate) fn poll<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
    match Pin::new(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(answer) => Some(answer),
        Poll::Pending => None,
    }
}

/// The session that a request has become by now.
pub(crate) fn granted(acquire: &mut Acquire) -> Session {
    poll(acquire).expect("answered").expect("granted")
}

/// Why a request was refused by now.
pub(crate) fn refused(acquire: &mut Acquire) -> ErrorKind {
    poll(acquire).expect("answered").expect_err("refused").kind()
}
