//! Door: the only module that may hold `unsafe`. Each block stands below its proof.

#![expect(
    unsafe_code,
    reason = "maps, hints and instructions of some processors have no safe form; each block is proved here"
)]

use std::fs::File;
use std::io;
#[cfg(target_arch = "x86_64")]
use std::sync::atomic::AtomicU8;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};

use crc32fast::Hasher;
use memmap2::{Mmap, MmapOptions, MmapRaw};
use parking_lot::{Condvar, Mutex};

#[cfg(target_arch = "x86_64")]
use crate::fold;

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

/// A stretch of a file in memory, to be stored to. No reference to its bytes is ever made.
#[derive(Debug)]
pub(crate) struct Stretch(MmapRaw);

impl Stretch {
    /// Maps the bytes of a file from `start`, a multiple of a page, to `end`.
    ///
    /// # Errors
    ///
    /// As [`map`].
    pub(crate) fn open(file: &File, start: u64, end: u64) -> io::Result<Self> {
        if file.metadata()?.len() < end {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let bytes = usize::try_from(end - start).map_err(|_| io::ErrorKind::OutOfMemory)?;
        let stretch = MmapOptions::new().offset(start).len(bytes).map_raw(file)?;
        #[cfg(target_os = "linux")]
        stretch.advise(memmap2::Advice::Random)?; // what lies behind is not to be read with it
        Ok(Self(stretch))
    }

    /// Has the system give a range its pages, as if they had been written to: what it cannot give it says here.
    ///
    /// # Errors
    ///
    /// The system's own; `Unsupported` where it has no such call.
    pub(crate) fn populate(&self, start: usize, bytes: usize) -> io::Result<()> {
        #[cfg(target_os = "linux")]
        return self.0.advise_range(memmap2::Advice::PopulateWrite, start, bytes);
        #[cfg(not(target_os = "linux"))]
        {
            _ = (start, bytes);
            Err(io::ErrorKind::Unsupported.into())
        }
    }

    /// Stores `bytes` at `start`.
    pub(crate) fn store(&self, start: usize, bytes: &[u8]) {
        let room = self.0.len().checked_sub(start).filter(|room| *room >= bytes.len());
        assert!(room.is_some(), "what is stored lies in the stretch");
        // PROOF. The target lies in the map: just asserted; it cannot overlap `bytes`, since nobody has a reference into a
        // `Stretch`. Other maps of the file show the same memory to readers: they look at no byte of it before they were told of
        // it, by the log's lock or an acquire load behind this store, as said of `map` (2.), whose (1.) holds here too. Two
        // stores at a time would be to different bytes: whoever writes has the places that he writes for himself.
        unsafe { self.0.as_mut_ptr().add(start).copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
    }
}

/// Asks the processor to load the cache line at `place`, to be read or written to soon. Never faults, whatever the address.
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

/// [`prefetch`] of the lines of `slice` behind its first, as far as `bytes`, and no more than a processor does not fetch by
/// itself once it goes on from there.
#[inline]
pub(crate) fn prefetch_behind_first(slice: &[u8], bytes: usize) {
    const LINE_BYTES: usize = 64;
    const FETCHED_BYTES_MAX: usize = 512;
    for line in (LINE_BYTES..bytes.min(FETCHED_BYTES_MAX)).step_by(LINE_BYTES) {
        prefetch_at(slice, line);
    }
}

/// CRC-32 of what has the checksum `crc` and of `bytes` behind it.
#[inline]
pub(crate) fn crc32(crc: u32, bytes: &[u8]) -> u32 {
    #[cfg(target_arch = "x86_64")]
    if (fold::LEAST_BYTES..fold::FEW_BYTES).contains(&bytes.len()) && folds() {
        // PROOF. `update` asks for nothing but a processor that has its instructions: `folds` says that this one has.
        return unsafe { fold::update(crc, bytes) };
    }
    let mut hasher = Hasher::new_with_initial(crc);
    hasher.update(bytes);
    hasher.finalize()
}

/// CRC-32 of `bytes` and of the sixteen of `behind` behind them, little-endian.
#[inline]
pub(crate) fn crc32_of_both(bytes: &[u8], behind: u128) -> u32 {
    #[cfg(target_arch = "x86_64")]
    if bytes.len() < fold::FEW_BYTES && folds() {
        // PROOF. As above.
        return unsafe { fold::of_both(bytes, behind) };
    }
    crc32(crc32(0, bytes), &behind.to_le_bytes())
}

/// CRC-32 of what has the checksum `crc` and of the first `BYTES` of `number`, little-endian, behind it: four to sixteen.
#[inline]
pub(crate) fn crc32_of_number<const BYTES: usize>(crc: u32, number: u128) -> u32 {
    #[cfg(target_arch = "x86_64")]
    if folds() {
        // PROOF. As above.
        return unsafe { fold::number::<BYTES>(crc, number) };
    }
    crc32(crc, &number.to_le_bytes()[..BYTES])
}

/// Whether this processor has the instructions of `fold`.
#[cfg(target_arch = "x86_64")]
#[inline]
fn folds() -> bool {
    const NOT_ASKED: u8 = 0;
    const HAS: u8 = 1;
    const LACKS: u8 = 2;
    static FOLDS: AtomicU8 = AtomicU8::new(NOT_ASKED);
    match FOLDS.load(Ordering::Relaxed) {
        HAS => true,
        LACKS => false,
        _ => {
            let folds = is_x86_feature_detected!("pclmulqdq")
                && is_x86_feature_detected!("ssse3")
                && is_x86_feature_detected!("sse4.1");
            FOLDS.store(if folds { HAS } else { LACKS }, Ordering::Relaxed);
            folds
        }
    }
}

/// Has the system give the memory of `room` its pages now, in one call: one by one they cost a fault each. What cannot be
/// done so is done when they are touched.
pub fn populate<T>(room: &mut [T]) {
    #[cfg(all(target_os = "linux", not(miri)))]
    {
        use rustix::mm::{Advice, madvise};
        let page = rustix::param::page_size();
        let (start, bytes) = (room.as_mut_ptr().cast::<u8>(), size_of_val(room));
        let skipped = start.align_offset(page);
        if let Some(whole) =
            bytes.checked_sub(skipped).map(|bytes| bytes / page * page).filter(|whole| *whole > 0)
        {
            // PROOF. The range begins `skipped` bytes into `room` and ends inside it: ours alone, by the `&mut`. This
            // advice makes pages present as if they had been written to, and changes no byte of them.
            _ = unsafe { madvise(start.wrapping_add(skipped).cast(), whole, Advice::LinuxPopulateWrite) };
        }
    }
    #[cfg(not(all(target_os = "linux", not(miri))))]
    let _ = room;
}

/// The number of this process, as [`std::process::id`] says, without asking the system each time: a child made by a
/// fork finds its own.
#[inline]
pub fn process_id() -> u32 {
    static NOTE: OnceLock<Option<&'static AtomicU32>> = OnceLock::new();
    let Some(note) = NOTE.get_or_init(note_wiped_on_fork) else { return std::process::id() };
    match note.load(Ordering::Relaxed) {
        0 => {
            let id = std::process::id();
            note.store(id, Ordering::Relaxed);
            id
        }
        id => id,
    }
}

/// A zero that a child finds zero again after a fork, whatever was stored meanwhile; `None` where the system has none.
#[cfg(all(target_os = "linux", not(miri)))]
fn note_wiped_on_fork() -> Option<&'static AtomicU32> {
    use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mmap_anonymous, munmap};
    const BYTES: usize = 4096;
    let (null, access) = (std::ptr::null_mut(), ProtFlags::READ | ProtFlags::WRITE);
    // PROOF. A new map at a place of the system's choosing: it lies over nothing that is in use.
    let page = unsafe { mmap_anonymous(null, BYTES, access, MapFlags::PRIVATE) }.ok()?;
    // PROOF. The range is the map just made, which nobody else knows: what happens to it in a child harms nobody.
    if unsafe { madvise(page, BYTES, Advice::LinuxWipeOnFork) }.is_err() {
        // PROOF. The map just made, whole; there is no reference into it.
        _ = unsafe { munmap(page, BYTES) };
        return None;
    }
    // PROOF. The map is aligned to a page, longer than a u32, all zeros and never unmapped: so the reference is good as
    // long as the process lives. It is used as an atomic alone. A fork gives the child a page of zeros in its place,
    // which is an atomic as good.
    Some(unsafe { &*page.cast::<AtomicU32>() })
}

/// A system without such a page.
#[cfg(any(not(target_os = "linux"), miri))]
fn note_wiped_on_fork() -> Option<&'static AtomicU32> {
    None
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

/// Whether `says` is true in a child made by a fork, between fork and exec; it must not allocate.
#[cfg(all(test, unix, not(miri)))]
fn holds_in_a_child(says: impl Fn() -> bool + Send + Sync + 'static) -> bool {
    use std::os::unix::process::CommandExt;
    let mut child = std::process::Command::new("true");
    let refused = || io::Error::from(io::ErrorKind::Other);
    // PROOF. Of what a child may not do before exec, the closure does nothing: it calls `says`, which keeps to that, and
    // makes an error without allocating.
    unsafe { child.pre_exec(move || if says() { Ok(()) } else { Err(refused()) }) };
    child.status().is_ok_and(|status| status.success())
}

/// Runs `work`, which must not panic, while a child made by a fork stands between fork and exec, with all that was open
/// then.
#[cfg(all(test, unix, not(miri)))]
pub(crate) fn beside_a_child<R>(work: impl FnOnce() -> R) -> R {
    use std::io::{Read as _, Write as _};
    let ((told, tell), (wait, go_on)) = (io::pipe().unwrap(), io::pipe().unwrap());
    let stands = move || (&tell).write(&[0]).is_ok() && (&wait).read(&mut [0]).is_ok();
    std::thread::scope(|scope| {
        let child = scope.spawn(|| holds_in_a_child(stands));
        assert_eq!((&told).read(&mut [0]).unwrap(), 1, "a child is there");
        let done = work();
        assert_eq!((&go_on).write(&[0]).unwrap(), 1);
        assert!(child.join().unwrap());
        done
    })
}

#[cfg(test)]
mod tests;
