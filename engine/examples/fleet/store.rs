//! The store process: it has the store, and answers game servers. savehold itself opens no port: the socket is ours.

use std::io;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::time::Duration;

use savehold::{Collection, Events, Holder, HolderEvent, HolderOptions, Result, Start, Store};

use crate::wire::{Answer, Call, Hello, Lines, Player, Told};

/// A game server that is silent for this long has lost its players. Short, so that the example is.
pub(crate) const LEASE: Duration = Duration::from_secs(6);

/// Serves game servers on `socket`, each in a thread of its own, until the process is killed.
#[expect(clippy::disallowed_methods, reason = "an example is a program of its own")]
pub(crate) fn serve(dir: &Path, socket: &Path) -> io::Result<()> {
    let store = Store::open(dir).map_err(io::Error::other)?;
    for stream in UnixListener::bind(socket)?.incoming() {
        let (stream, store) = (stream?, store.clone());
        std::thread::spawn(move || {
            if let Err(e) = talk(&store, stream) {
                eprintln!("a game server went away: {e}");
            }
        });
    }
    Ok(())
}

fn talk(store: &Store, stream: UnixStream) -> io::Result<()> {
    let mut lines = Lines::of(stream)?;
    let Some(Hello { server, life }) = lines.hear()? else { return Ok(()) };
    let desk = Desk::open(store, &server, life).map_err(io::Error::other)?;
    while let Some(call) = lines.hear::<Call>()? {
        let answer = desk.answer(call).unwrap_or_else(|e| Answer::Refused {
            kind: format!("{:?}", e.kind()),
            message: e.message().to_owned(),
        });
        lines.say(&answer)?;
    }
    Ok(()) // its leases stand until it was silent for too long: it may only have lost the connection
}

/// One game server's side of the store.
struct Desk {
    holder: Holder,
    events: Events,
    players: Collection<Player>,
}

impl Desk {
    fn open(store: &Store, server: &str, life: u64) -> Result<Self> {
        let holder = store.external_holder_with(server, life, HolderOptions::new().lease(LEASE))?;
        Ok(Self { events: holder.events(), holder, players: store.collection("players")? })
    }

    fn answer(&self, call: Call) -> Result<Answer> {
        Ok(match call {
            Call::Ping => {
                let alive = self.holder.heartbeat(); // too late: the events say what is over
                let events = std::iter::from_fn(|| self.events.try_next()).filter_map(told).collect();
                if let Err(e) = alive {
                    eprintln!("{}: {e}", self.holder.name());
                }
                Answer::Alive { events }
            }
            Call::Start { key } => {
                let start = Start::new().deadline(Duration::from_secs(20));
                let session = self.holder.acquire([self.players.key(&key)], start)?;
                let player = self.players.get(&key)?.map(|entry| entry.value).unwrap_or_default();
                Answer::Started { token: session.token(), player }
            }
            Call::Save { token, key, player } => {
                Answer::Saved { version: self.players.with_token(token).set(&key, &player)? }
            }
            Call::Release { token } => {
                self.holder.resume(token)?.release()?;
                Answer::Released
            }
        })
    }
}

fn told(event: HolderEvent) -> Option<Told> {
    match event {
        HolderEvent::Wanted { token, by, .. } => Some(Told::Wanted { token, by }),
        HolderEvent::Ended { token, why, .. } => Some(Told::Ended { token, why: why.to_string() }),
        _ => None,
    }
}
