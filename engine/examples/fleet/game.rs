//! A game server: it plays one player, a coin at a time, and tells on standard output what became of each.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::io::{self, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use savehold::Token;
use serde::{Deserialize, Serialize};

use crate::wire::{Answer, Call, Hello, Lines, Player, Told};

/// Between two coins.
const PAUSE: Duration = Duration::from_millis(10);

/// Writes that a server tries after the first that was refused: a stubborn one, to show that none gets through.
const STUBBORN: usize = 5;

/// What a game server tells whoever started it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "did", rename_all = "lowercase")]
pub(crate) enum Report {
    /// It plays the player, who has so many coins.
    Started { token: Token, coins: u64 },
    /// He has so many coins, durably.
    Saved { coins: u64 },
    /// A write was refused.
    Refused { kind: String, message: String },
    /// Why its session is over.
    Ended { why: String },
    /// It gave the player to another who had asked.
    Handed { to: String, coins: u64 },
}

/// Plays `key` as `server` until the player is handed over or lost.
pub(crate) fn play(socket: &Path, server: &str, key: &str) -> io::Result<()> {
    let mut link = Link::open(socket, server)?;
    let (token, mut player) = match link.call(&Call::Start { key: key.to_owned() })? {
        Answer::Started { token, player } => (token, player),
        other => return refused(&other),
    };
    tell(&Report::Started { token, coins: player.coins })?;
    loop {
        let events = link.ping()?;
        if let Some(why) = end_of(token, &events) {
            return lost(&mut link, token, key, &player, why); // whoever wanted it has it by now
        }
        if let Some(by) = events.into_iter().find_map(|told| wanted_by(token, told)) {
            return hand_over(&mut link, token, &player, by);
        }
        let richer = Player { coins: player.coins + 1 };
        match link.save(token, key, &richer)? {
            Answer::Saved { .. } => player = richer,
            other => {
                refused(&other)?;
                let why = end_of(token, &link.ping()?);
                return lost(&mut link, token, key, &player, why.unwrap_or_else(|| "nobody said".to_owned()));
            }
        }
        tell(&Report::Saved { coins: player.coins })?;
        rest();
    }
}

/// Why the session of `token` is over, if it is.
fn end_of(token: Token, events: &[Told]) -> Option<String> {
    events.iter().find_map(|told| match told {
        Told::Ended { token: ended, why } if *ended == token => Some(why.clone()),
        _ => None,
    })
}

fn wanted_by(token: Token, told: Told) -> Option<String> {
    match told {
        Told::Wanted { token: wanted, by } if wanted == token => Some(by),
        _ => None,
    }
}

fn hand_over(link: &mut Link, token: Token, player: &Player, to: String) -> io::Result<()> {
    match link.call(&Call::Release { token })? {
        Answer::Released => tell(&Report::Handed { to, coins: player.coins }),
        other => refused(&other),
    }
}

/// A server that does not believe it: it tries to write on, and tells how that went.
fn lost(link: &mut Link, token: Token, key: &str, player: &Player, why: String) -> io::Result<()> {
    for more in 1..=STUBBORN as u64 {
        match link.save(token, key, &Player { coins: player.coins + 1000 * more })? {
            Answer::Saved { .. } => tell(&Report::Saved { coins: player.coins + 1000 * more })?,
            other => refused(&other)?,
        }
    }
    tell(&Report::Ended { why })
}

fn refused(answer: &Answer) -> io::Result<()> {
    match answer {
        Answer::Refused { kind, message } => {
            tell(&Report::Refused { kind: kind.clone(), message: message.clone() })
        }
        other => Err(io::Error::other(format!("no answer to that: {other:?}"))),
    }
}

fn tell(report: &Report) -> io::Result<()> {
    let mut out = io::stdout().lock();
    serde_json::to_writer(&mut out, report)?;
    out.write_all(b"\n")?;
    out.flush()
}

#[expect(clippy::disallowed_methods, reason = "an example is a program of its own")]
fn rest() {
    std::thread::sleep(PAUSE);
}

/// The connection to the store process.
struct Link(Lines);

impl Link {
    #[expect(clippy::disallowed_methods, reason = "an example is a program of its own")]
    fn open(socket: &Path, server: &str) -> io::Result<Self> {
        let mut lines = Lines::of(UnixStream::connect(socket)?)?;
        let life = RandomState::new().hash_one(std::process::id());
        lines.say(&Hello { server: server.to_owned(), life })?;
        Ok(Self(lines))
    }

    fn call(&mut self, call: &Call) -> io::Result<Answer> {
        self.0.say(call)?;
        self.0.hear()?.ok_or_else(|| io::Error::other("the store process is gone"))
    }

    fn save(&mut self, token: Token, key: &str, player: &Player) -> io::Result<Answer> {
        self.call(&Call::Save { token, key: key.to_owned(), player: player.clone() })
    }

    fn ping(&mut self) -> io::Result<Vec<Told>> {
        match self.call(&Call::Ping)? {
            Answer::Alive { events } => Ok(events),
            other => refused(&other).map(|()| Vec::new()),
        }
    }
}
