//! Corridor: what falls due by itself in the engine: deadlines of leases, callbacks, and what other rooms hang on it.
//!
//! Three threads for each store, begun when something first needs them: one for leases and duties, which others wait for;
//! one for index tables and one that packs the log, which may work for seconds. They hold the store only while they work:
//! the last handle may be dropped anywhere, on these very threads too. Where a store has no threads, `tick` does the same
//! work.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::Duration;

use savehold_wal::env::Threads;
use savehold_wal::schedule;

use crate::bell::Bell;
use crate::caught::{caught, panicked};
use crate::commit::NotCommitted;
use crate::core::Core;
use crate::duty::{Duty, Late};
use crate::error::{Error, ErrorKind, Result};
use crate::guard;
use crate::lease::{Ended, Ending};

/// How long to leave alone what failed.
const RETRY_AFTER: Duration = Duration::from_secs(1);

impl Core {
    /// Sees to it that what falls due is done.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Io`](crate::ErrorKind::Io): the system gives no more threads.
    /// [`ErrorKind::Closed`](crate::ErrorKind::Closed).
    pub(crate) fn begin_upkeep(self: &Arc<Self>) -> Result<()> {
        let closed = self.upkeep.closed.lock();
        if *closed {
            return Err(Error::closed());
        }
        if self.wal.env().threads != Threads::Own {
            return Ok(());
        }
        let mut threads = self.upkeep.threads.lock();
        let works: [(_, _, fn(&Self) -> _); 3] = [
            ("savehold-upkeep", &self.bell, |core| {
                caught(|| core.tend())
                    .unwrap_or_else(|said| core.tried_again("what falls due by itself", &said))
            }),
            ("savehold-index", &self.index_bell, |core| {
                core.at_leisure.store(true, Ordering::Relaxed);
                let next = caught(|| core.tend_index()).unwrap_or_else(|_| {
                    core.waste.note_tables_stuck();
                    None
                });
                core.at_leisure.store(false, Ordering::Relaxed);
                _ = core.see_to_packing();
                next
            }),
            ("savehold-packer", &self.packer.bell, |core| {
                caught(|| core.pack_due()).unwrap_or_else(|_| {
                    core.waste.note_packing_stuck();
                    None
                })
            }),
        ];
        for (name, bell, work) in works.into_iter().skip(threads.len()) {
            let (core, bell) = (Arc::downgrade(self), bell.clone());
            self.upkeep.add(&mut threads, schedule::start(name, move || run(&core, &bell, work))?);
        }
        Ok(())
    }

    /// Has `duty` tended from now on, as long as somebody else keeps it.
    pub(crate) fn add_duty(self: &Arc<Self>, duty: &Arc<impl Duty + 'static>) -> Result<()> {
        let duty: Weak<dyn Duty> = Arc::<_>::downgrade(duty) as Weak<dyn Duty>;
        self.upkeep.duties.lock().push(duty);
        self.begin_upkeep()?;
        self.bell.ring();
        Ok(())
    }

    /// What the log does by itself, and what the engine does, where there are no threads for it.
    pub(crate) fn tick(&self) -> Option<Duration> {
        if self.wal.env().threads != Threads::None {
            return None;
        }
        let index = caught(|| self.tend_index()).ok().flatten();
        let packing = caught(|| self.see_to_packing()).ok().flatten();
        let own = [index, packing, self.tend()];
        let next = own.into_iter().chain([self.tick_log()]).flatten().min();
        _ = caught(|| self.thin_archive());
        next
    }

    /// Does what is due beside the index; says after what time something will be next.
    fn tend(&self) -> Option<Duration> {
        self.make_calls(); // others wait for these
        if self.index.layers().tables.iter().any(|table| table.is_damaged()) {
            self.index_bell.ring();
        }
        let leases = self.tend_leases();
        let duties: Vec<Arc<dyn Duty>> = {
            let mut duties = self.upkeep.duties.lock();
            duties.retain(|duty| duty.strong_count() > 0);
            duties.iter().filter_map(Weak::upgrade).collect()
        };
        let tend = |duty: &Arc<dyn Duty>| {
            caught(|| duty.tend()).unwrap_or_else(|said| self.tried_again("looking after profiles", &said))
        };
        let next = duties.iter().filter_map(tend).chain(leases).min();
        self.make_calls();
        next
    }

    fn make_calls(&self) {
        for call in self.bell.take_calls() {
            if let Err(said) = caught(call) {
                let then = "it is not called again, and all else went on; mend it";
                self.hook_failures.note(panicked("a callback given to `Watch::on`", &said, then));
            }
        }
    }

    /// What the store does by itself met a panic of the program's own code.
    #[cold]
    fn tried_again(&self, what: &str, said: &str) -> Option<Duration> {
        self.hook_failures.note(panicked(
            what,
            said,
            "it is tried again; mend the program's code that it calls",
        ));
        Some(RETRY_AFTER)
    }

    /// Ends leases that are over, and judges who waits.
    fn tend_leases(&self) -> Option<Duration> {
        let over = {
            let mut state = self.leases.lock();
            state.look_ahead();
            state.forget_given_up(self.boot());
            state.over(self.boot())
        };
        let failed = self.sweep(&over).is_err();
        self.attend();
        let alarm = {
            let mut state = self.leases.lock();
            state.look_ahead();
            state.alarm()
        };
        let next = alarm.map(|at| at.saturating_sub(self.boot()));
        if failed { Some(next.map_or(RETRY_AFTER, |next| next.max(RETRY_AFTER))) } else { next }
    }

    /// Ends leases that are over by a record that says so, as durable as any other: refusals are decided on it.
    pub(crate) fn sweep(&self, over: &[Ending]) -> Result<()> {
        if over.is_empty() {
            return Ok(());
        }
        match self.end_leases(over, self.how()) {
            Ok(Some(placed)) => drop(self.wal.settle(placed)),
            Ok(None) => {}
            Err(NotCommitted::Conflict(_)) => self.bell.ring(), // one had ended before: look again
            Err(NotCommitted::Failed(e) | NotCommitted::Barred(_, e, _)) => return Err(e),
        }
        Ok(())
    }

    /// Ends the leases of this run, makes everything durable and gives the directory up; once, whoever asks. In a forked
    /// child nothing is touched, locks neither: threads that had them are not there.
    ///
    /// # Errors
    ///
    /// A write or sync failed, now or earlier.
    pub(crate) fn close(&self) -> Result<()> {
        self.closed.store(true, Ordering::Release);
        if !self.is_forked() {
            let inside = guard::check(self.number()).is_err(); // of a closure, a hook
            self.upkeep.end_once(if inside { Late::GoesOn } else { Late::Waits }, || {
                self.give_up_work(); // somebody at the desk may wait for it
                self.close_desk();
                self.end_upkeep();
                if let Some(archive) = self.archive.get() {
                    archive.finish(&self.wal);
                }
            });
        }
        Ok(self.wal.shut()?)
    }

    /// Has whoever packs, waits for a key, or does other long work of which nothing is lost, give up.
    fn give_up_work(&self) {
        self.packer.end();
        self.closing.store(true, Ordering::Release);
        self.leases.lock().close();
        self.attend();
    }

    /// Whether the store is about to be closed, and long work of which nothing is lost stops.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Closed`](crate::ErrorKind::Closed): it is.
    pub(crate) fn check_closing(&self) -> Result<()> {
        if self.closing.load(Ordering::Acquire) { Err(Error::closed()) } else { Ok(()) }
    }

    /// What a work of that kind answers that was stopped: that the store is about to be closed, if it is.
    pub(crate) fn stopped(&self, e: Error) -> Error {
        if e.kind() == ErrorKind::Aborted { self.check_closing().err().unwrap_or(e) } else { e }
    }

    /// In a forked child, which touches nothing, and has none of its parent's threads.
    fn is_forked(&self) -> bool {
        self.wal.failure().is_some_and(|e| e.kind() == savehold_wal::ErrorKind::Forked)
    }

    /// Ends the leases of this run, which is over, and what falls due by itself.
    pub(crate) fn end_upkeep(&self) {
        let duties: Vec<Arc<dyn Duty>> = self.upkeep.duties.lock().iter().filter_map(Weak::upgrade).collect();
        duties.iter().for_each(|duty| _ = caught(|| duty.end()));
        *self.upkeep.closed.lock() = true;
        self.stop_threads();
        // Where it fails, the next opening finds that this run is over.
        while let ours = self.our_leases()
            && !ours.is_empty()
            && self.sweep(&ours).is_ok()
        {}
        self.make_calls();
        self.checkpoint_at_close();
    }

    /// The leases of this run, to be ended because it is over. Between two records: a grant that was judged before nothing
    /// was granted any more stands in the table.
    fn our_leases(&self) -> Vec<Ending> {
        let _order = self.order.lock();
        let state = self.leases.lock();
        let inside = state.table.all().filter(|lease| !lease.holder.external);
        inside.map(|lease| (lease.clone(), Ended::Closed)).collect()
    }

    fn stop_threads(&self) {
        self.bell.stop();
        self.index_bell.stop();
        self.give_up_work();
        self.upkeep.join();
    }
}

/// The desk goes first: it gives its name up while the directory is still ours.
impl Drop for Core {
    fn drop(&mut self) {
        self.close_desk();
        if self.is_forked() {
            return;
        }
        self.stop_threads();
        self.checkpoint_at_close();
    }
}

fn run(core: &Weak<Core>, bell: &Bell, work: fn(&Core) -> Option<Duration>) {
    loop {
        let Some(core) = core.upgrade() else { return };
        let time = work(&core);
        let until = time.map(|time| core.boot().saturating_add(time));
        drop(core); // perhaps the last that keeps it in memory
        if !bell.wait(time, until) {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::path::Path;
    use std::sync::mpsc::channel;

    use savehold_wal::sync::Mutex;

    use super::*;
    use crate::desk::Desk;
    use crate::{ErrorKind, Options, Start};

    #[test]
    fn a_merge_for_somebody_at_the_desk_gives_up_before_it_is_waited_for() {
        let (dir, store) = (tempfile::tempdir().unwrap(), crate::Store::in_memory().unwrap());
        let ((begin, begun), (tell, told)) = (channel(), channel());
        let core = Arc::downgrade(&store.core);
        let merge = move |_: &[u8], _: &mut crate::desk::Tell<'_>| {
            begin.send(()).unwrap();
            let core = core.upgrade().unwrap();
            let until = core.boot() + Duration::from_secs(300); // in which it would be done anyway
            while !core.closing.load(Ordering::Acquire) && core.boot() < until {
                std::thread::yield_now();
            }
            tell.send(core.closing.load(Ordering::Acquire)).unwrap();
            String::new()
        };
        let desk =
            Desk::open(store.core.wal.env(), dir.path(), "CONTROL", |_| String::new(), Box::new(merge));
        assert!(store.core.desk.set(Ok(desk.unwrap())).is_ok());
        let mut client = savehold_wal::socket::connect(dir.path(), "CONTROL").unwrap();
        client.write_all(b"compact\n").unwrap();
        begun.recv().unwrap();
        store.close().unwrap();
        assert!(told.recv().unwrap());
    }

    /// It would wait for five minutes, and close for it: last saves come behind that.
    #[test]
    fn a_revert_at_the_desk_that_asks_for_a_key_gives_up_before_it_is_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let open = || Options::new().open(dir.path()).unwrap();
        let store = open();
        let docs = store.collection::<i64>("docs").unwrap();
        let then = docs.set("a", &1).unwrap();
        docs.set("a", &2).unwrap();
        let red = store.holder("red").unwrap();
        let session = red.acquire([docs.key("a")], Start::new()).unwrap();
        let players =
            store.profiles_with("coins", 0_u64).before_release(|_, coins, _| *coins += 1).open().unwrap();
        let player = players.start(42).unwrap();
        player.update(|coins| *coins = 7).unwrap();
        let mut client = savehold_wal::socket::connect(dir.path(), "CONTROL").unwrap();
        let ask = format!(r#"{{"do":"revert","collection":"docs","to":"{then}","handoff_us":300000000}}"#);
        client.write_all(format!("{ask}\n").as_bytes()).unwrap();
        while session.wanted().now().is_none() {
            std::thread::yield_now();
        }
        store.close().unwrap();
        let store = open();
        let docs = store.collection::<i64>("docs").unwrap();
        assert_eq!(docs.get("a").unwrap().map(|entry| entry.value), Some(2), "it was not set back");
        let players = store.profiles_with("coins", 0_u64).open().unwrap();
        assert_eq!(*players.start(42).unwrap().read(), 8, "its last hook ran, and it was saved");
    }

    #[test]
    fn a_digest_and_keys_that_are_set_back_stop_where_the_store_closes() {
        let store = crate::Store::in_memory().unwrap();
        let docs = store.collection::<i64>("docs").unwrap();
        let then = docs.set("a", &1).unwrap();
        let now = docs.set("a", &2).unwrap();
        store.digest_at(now).unwrap();
        store.core.give_up_work();
        assert_eq!(store.digest_at(now).unwrap_err().kind(), ErrorKind::Closed);
        let docs_of = || crate::Selection::collection("docs");
        let reverted = store.revert(docs_of(), then);
        assert_eq!(reverted.unwrap_err().kind(), ErrorKind::Closed);
        assert_eq!(store.revert_preview(docs_of(), then).unwrap_err().kind(), ErrorKind::Closed);
        assert_eq!(docs.get("a").unwrap().map(|entry| entry.value), Some(2));
    }

    #[test]
    fn a_diff_and_changes_at_the_desk_stop_where_the_store_closes() {
        let store = crate::Store::in_memory().unwrap();
        let docs = store.collection::<i64>("docs").unwrap();
        let then = docs.set("a", &1).unwrap();
        docs.set("a", &2).unwrap();
        for verb in ["diff", "changes"] {
            let ask = || {
                let asked = crate::Map::from([("do", verb.to_owned()), ("from", then.to_string())]);
                crate::control::answer(&store, &asked)
            };
            ask().unwrap();
            store.core.closing.store(true, Ordering::Release);
            assert_eq!(ask().unwrap_err().kind(), ErrorKind::Closed, "{verb}");
            store.core.closing.store(false, Ordering::Release);
        }
        store.core.give_up_work();
        assert_eq!(store.diff(then, crate::At::Now).unwrap().count(), 1, "a hook may want to know");
        assert_eq!(store.changes(then).unwrap().try_next().unwrap().unwrap().changes[0].key, "a");
    }

    #[test]
    fn a_backup_and_keys_out_of_one_stop_where_the_store_closes() {
        let store = crate::Store::in_memory().unwrap();
        let then = store.collection::<i64>("docs").unwrap().set("a", &1).unwrap();
        store.backup("/backup").unwrap();
        store.collection::<i64>("docs").unwrap().set("a", &2).unwrap();
        let (docs, how) = (crate::Selection::collection("docs"), crate::backup::Restore::new);
        store.restore_keys_preview("/backup", &docs, then, how()).unwrap();
        store.core.give_up_work();
        assert_eq!(store.backup("/backup").unwrap_err().kind(), ErrorKind::Closed);
        let looked = store.restore_keys_preview("/backup", &docs, then, how());
        assert_eq!(looked.unwrap_err().kind(), ErrorKind::Closed);
        let restored = store.restore_keys("/backup", &docs, then, how());
        assert_eq!(restored.unwrap_err().kind(), ErrorKind::Closed);
    }

    #[test]
    fn who_closes_second_waits_for_the_last_saves_of_the_first() {
        let env = savehold_wal::sim::memory();
        let open = || Options::new().open_in(env.clone(), Path::new("/store")).unwrap();
        let store = open();
        let ((in_hook, hook), (closed, close)) = (channel(), channel());
        let close = Mutex::new(close);
        let players = store.profiles_with("coins", 0_u64).before_release(move |_, coins, _| {
            in_hook.send(()).unwrap();
            _ = close.lock().recv_timeout(Duration::from_millis(200)); // time for whoever would not wait
            *coins += 1;
        });
        let players = players.hook_time(Duration::from_secs(600)).open().unwrap();
        let player = players.start(42).unwrap();
        player.update(|coins| *coins = 7).unwrap();
        std::thread::scope(|scope| {
            let (one, two) = (store.clone(), store.clone());
            let first = scope.spawn(|| one.close());
            hook.recv().unwrap();
            let second = scope.spawn(move || {
                let answer = two.close();
                _ = closed.send(());
                answer
            });
            for thread in [first, second] {
                thread.join().unwrap().unwrap();
            }
        });
        let players = open().profiles_with("coins", 0_u64).open().unwrap();
        assert_eq!(*players.start(42).unwrap().read(), 8);
    }
}
