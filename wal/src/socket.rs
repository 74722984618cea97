//! Door: Unix sockets in a directory of this machine.
//!
//! The address of a socket holds about a hundred bytes. On Linux a longer path is reached through the open directory,
//! `/proc/self/fd/N/name`; elsewhere it is an error.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;
use rustix::net::SocketAddrUnix;
use rustix::net::sockopt::Timeout;

/// Connections that may wait to be accepted.
const BACKLOG: i32 = 16;

/// How long accepting rests after the system refused it, for want of descriptors for example.
const REST: Duration = Duration::from_millis(100);

/// A socket that listens, until it is told to stop.
#[derive(Debug)]
pub struct Listener {
    socket: UnixListener,
    /// A byte written to the first comes out of the second and ends the wait.
    bell: (UnixStream, UnixStream),
}

impl Listener {
    /// Listens at `name` in `dir`, which must not exist. Only this user can connect: the socket has mode 0600 from its
    /// first moment.
    ///
    /// # Errors
    ///
    /// The system's: the name exists, the path is too long for a socket, no descriptor is left.
    pub fn bind(dir: &Path, name: &str) -> io::Result<Self> {
        let (address, _dir) = address(dir, name)?;
        let socket = private_socket()?;
        rustix::net::bind(&socket, &address)?;
        #[cfg(not(any(target_os = "linux", target_os = "android")))]
        rustix::fs::chmodat(CWD, dir.join(name), Mode::RUSR | Mode::WUSR, rustix::fs::AtFlags::empty())?;
        rustix::net::listen(&socket, BACKLOG)?;
        let socket = UnixListener::from(socket);
        socket.set_nonblocking(true)?;
        Ok(Self { socket, bell: UnixStream::pair()? })
    }

    /// The next connection, waiting for it; `None` once [`Listener::stop`] was called.
    #[expect(clippy::disallowed_methods, reason = "this is the door that connections come through")]
    pub fn accept(&self) -> Option<UnixStream> {
        loop {
            let mut waiting =
                [PollFd::new(&self.bell.1, PollFlags::IN), PollFd::new(&self.socket, PollFlags::IN)];
            match poll(&mut waiting, None) {
                Ok(_) if !waiting[0].revents().is_empty() => return None,
                Ok(_) | Err(Errno::INTR) => {}
                Err(_) => self.rest()?,
            }
            match self.socket.accept() {
                Ok((stream, _)) if stream.set_nonblocking(false).is_ok() => return Some(stream),
                Ok(_) => {}
                Err(e) if matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
                Err(_) => self.rest()?,
            }
        }
    }

    /// A pause, or `None` where it is over for good.
    fn rest(&self) -> Option<()> {
        let time = Timespec { tv_sec: 0, tv_nsec: i64::from(REST.subsec_nanos()) as _ };
        let mut waiting = [PollFd::new(&self.bell.1, PollFlags::IN)];
        match poll(&mut waiting, Some(&time)) {
            Ok(rung) if rung > 0 => None,
            _ => Some(()),
        }
    }

    /// Ends every [`Listener::accept`], now and later.
    pub fn stop(&self) {
        let _ = self.bell.0.shutdown(std::net::Shutdown::Write); // its other end reads the end of the stream
    }
}

/// Connects to the socket `name` in `dir`.
///
/// # Errors
///
/// The system's: `NotFound` where there is no such name, `ConnectionRefused` where nobody listens any more.
pub fn connect(dir: &Path, name: &str) -> io::Result<UnixStream> {
    connect_to(dir, name, None)
}

/// [`connect`], waiting no longer than `patience` where as many wait already as may: whoever listens may be stopped, and
/// those who gave up stay in the queue.
///
/// # Errors
///
/// As [`connect`]; `WouldBlock`: it was full all the time.
pub fn connect_within(dir: &Path, name: &str, patience: Duration) -> io::Result<UnixStream> {
    connect_to(dir, name, Some(patience))
}

fn connect_to(dir: &Path, name: &str, patience: Option<Duration>) -> io::Result<UnixStream> {
    let (address, _dir) = address(dir, name)?;
    let socket = private_socket()?;
    // The system waits for a place in the queue as long as for one in the buffer of what is sent.
    rustix::net::sockopt::set_socket_timeout(&socket, Timeout::Send, patience)?;
    rustix::net::connect(&socket, &address)?;
    Ok(UnixStream::from(socket))
}

/// The address of `name` in `dir`, and what must stay open while it is used.
fn address(dir: &Path, name: &str) -> io::Result<(SocketAddrUnix, Option<File>)> {
    match SocketAddrUnix::new(dir.join(name)) {
        Ok(address) => Ok((address, None)),
        Err(_) => {
            let (path, dir) = short(dir, name)?;
            Ok((SocketAddrUnix::new(path)?, Some(dir)))
        }
    }
}

/// A short path that leads to `name` in `dir` for as long as the directory is open.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn short(dir: &Path, name: &str) -> io::Result<(PathBuf, File)> {
    use std::os::fd::AsRawFd;
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let dir = File::from(rustix::fs::openat(CWD, dir, flags, Mode::empty())?);
    Ok((PathBuf::from(format!("/proc/self/fd/{}", dir.as_raw_fd())).join(name), dir))
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn short(dir: &Path, name: &str) -> io::Result<(PathBuf, File)> {
    let say = format!("{} is too long for a socket", dir.join(name).display());
    Err(io::Error::new(io::ErrorKind::InvalidInput, say))
}

/// A socket whose name in the file system gets mode 0600 when it is bound: Linux takes the mode of the descriptor.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn private_socket() -> io::Result<OwnedFd> {
    use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    rustix::fs::fchmod(&socket, Mode::RUSR | Mode::WUSR)?;
    Ok(socket)
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn private_socket() -> io::Result<OwnedFd> {
    let socket =
        rustix::net::socket(rustix::net::AddressFamily::UNIX, rustix::net::SocketType::STREAM, None)?;
    rustix::io::fcntl_setfd(&socket, rustix::io::FdFlags::CLOEXEC)?;
    Ok(socket)
}

#[cfg(test)]
mod tests;
