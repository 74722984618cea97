//! Door: the only module that may hold `unsafe`. Each block stands below its proof.

#![expect(unsafe_code, reason = "maps and prefetch hints have no safe form; each block is proved here")]

use std::fs::File;
use std::io;
use std::sync::Arc;

use memmap2::{Mmap, MmapOptions};
use parking_lot::{Condvar, Mutex};

/// Maps the first `bytes` of a file for reading.
///
/// # Errors
///
/// `UnexpectedEof` where the file is shorter: a map past the end would kill the process on the first touch.
/// `OutOfMemory` where `bytes` is no length of this machine's memory; the system's own otherwise.
pub(crate) fn map(file: &File, bytes: u64) -> io::Result<Mmap> {
    if file.metadata()?.len() < bytes {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let bytes = usize::try_from(bytes).map_err(|_| io::ErrorKind::OutOfMemory)?;
    // PROOF. A map is unsound where the file shrinks under it, or where bytes change while a reference to them is
    // read.
    // 1. The length was checked above, and no file of a store is ever shortened: `Vfs` has no call that does,
    //    `OpenMode::Truncate` serves temporary names that are never mapped, and the store's directory is under our
    //    exclusive lock and mode 0700, which keeps other programs out as far as a process can.
    // 2. Bytes are handed to readers only after they were written, and bytes once written are never written again
    //    (limits::BLOCK_BYTES). A reader learns of them through the log's lock or an acquire load, so the write
    //    happened before the read. Bytes nobody was told of may change; nobody looks at them.
    // 3. The map is read-only, private to this process and unmapped when the last clone of `Map` goes.
    unsafe { MmapOptions::new().len(bytes).map(file) }
}

/// Asks the processor to load the cache line at `place`, to be read soon. Never faults, whatever the address.
#[inline(always)]
pub fn prefetch<T>(place: *const T) {
    #[cfg(target_arch = "x86_64")]
    // PROOF. PREFETCHT0 is a hint: it reads nothing that the program can observe and raises no fault for an address
    // that is null, unmapped or not ours. SSE, which brings it, is part of every x86-64.
    unsafe {
        std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T0 }>(place.cast());
    }
    #[cfg(target_arch = "aarch64")]
    // PROOF. PRFM is a hint of the base instruction set: no register, flag, stack or visible memory changes, and a
    // translation fault is dropped by the processor.
    unsafe {
        std::arch::asm!("prfm pldl1keep, [{0}]", in(reg) place, options(nostack, preserves_flags, readonly));
    }
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    let _ = place;
}

/// [`prefetch`] of the element at `index`; nothing where there is none.
#[inline(always)]
pub fn prefetch_at<T>(slice: &[T], index: usize) {
    if let Some(element) = slice.get(index) {
        prefetch(element);
    }
}

/// Work that its owner lends to whoever comes first, for as long as [`lend`] runs.
pub struct Loan<R: 'static>(Arc<Lent<R>>);

struct Lent<R: 'static> {
    state: Mutex<LoanState<R>>,
    returned: Condvar,
}

enum LoanState<R: 'static> {
    Offered(Work<R>),
    Running,
    Over,
}

struct Work<R: 'static>(*mut (dyn FnMut() -> R + Send));

// PROOF. The pointer is to a `dyn FnMut() + Send`: what it points to may be used from another thread, one at a time,
// and `Loan::run` sees to the one at a time.
unsafe impl<R> Send for Work<R> {}

impl<R> Clone for Loan<R> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<R> Loan<R> {
    /// Runs the work on this thread, if nobody has run it yet and its owner still waits: then its answer.
    pub fn run(&self) -> Option<R> {
        let mut state = self.0.state.lock();
        let LoanState::Offered(Work(work)) = *state else { return None };
        *state = LoanState::Running;
        drop(state);
        let _finish = Finish(&self.0);
        // PROOF. The pointer came from the `&mut` that `lend` holds. `lend` does not return, not by unwinding either,
        // while the state is `Running` (`Recall` waits for `Finish`), so the closure is alive; and the state left
        // `Offered` under the lock, which happens once, so nobody else calls it.
        Some(unsafe { (*work)() })
    }
}

/// Lends `work` while `with` runs. When this returns nobody runs it, and nobody will.
pub fn lend<R: 'static, T>(work: &mut (dyn FnMut() -> R + Send), with: impl FnOnce(&Loan<R>) -> T) -> T {
    let work: *mut (dyn FnMut() -> R + Send + '_) = work;
    // PROOF. Only the lifetime in the type changes: the same pointer, the same vtable. `Loan::run` proves that the
    // pointer is not used after `'_`.
    let work: *mut (dyn FnMut() -> R + Send + 'static) = unsafe { std::mem::transmute(work) };
    let loan =
        Loan(Arc::new(Lent { state: Mutex::new(LoanState::Offered(Work(work))), returned: Condvar::new() }));
    let _recall = Recall(&loan.0);
    with(&loan)
}

/// Says that the work has been run, also where it unwound.
struct Finish<'a, R: 'static>(&'a Lent<R>);

impl<R> Drop for Finish<'_, R> {
    fn drop(&mut self) {
        *self.0.state.lock() = LoanState::Over;
        self.0.returned.notify_all();
    }
}

/// Takes the work back, waiting for whoever is running it.
struct Recall<'a, R: 'static>(&'a Lent<R>);

impl<R> Drop for Recall<'_, R> {
    fn drop(&mut self) {
        let mut state = self.0.state.lock();
        while matches!(*state, LoanState::Running) {
            self.0.returned.wait(&mut state);
        }
        *state = LoanState::Over;
    }
}

#[cfg(test)]
mod tests;
