//! Door: the only module that may hold `unsafe`. Each block stands below its proof.

#![expect(unsafe_code, reason = "maps and prefetch hints have no safe form; each block is proved here")]

use std::fs::File;
use std::io;

use memmap2::{Mmap, MmapOptions};

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

#[cfg(test)]
mod tests;
