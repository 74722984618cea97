//! What a game server and the store process say to each other: a JSON object a line. The studio's own protocol.

use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;

use savehold::{Token, Version};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// A player's document.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Player {
    pub coins: u64,
}

/// The first line of a connection: which game server speaks. `life` is a number that it drew at its start; another life
/// ends the leases of the former.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Hello {
    pub server: String,
    pub life: u64,
}

/// What a game server asks for.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "call", rename_all = "lowercase")]
pub(crate) enum Call {
    /// A sign of life, and: is there anything to know?
    Ping,
    /// To play a player.
    Start { key: String },
    /// To write him. The token says by which right.
    Save { token: Token, key: String, player: Player },
    /// To play him no more.
    Release { token: Token },
}

/// What the store process answers.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "said", rename_all = "lowercase")]
pub(crate) enum Answer {
    /// What happened to players of this game server.
    Alive { events: Vec<Told> },
    /// He is yours: the token to bring with each write, and what he is now.
    Started { token: Token, player: Player },
    /// It is durable.
    Saved { version: Version },
    /// He is free.
    Released,
    /// It was not done. `kind` is the kind of the store's error.
    Refused { kind: String, message: String },
}

/// Something that a game server must know.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Told {
    /// Another asks for this session: save and release.
    Wanted { token: Token, by: String },
    /// This session is over.
    Ended { token: Token, why: String },
}

/// Lines over a socket.
pub(crate) struct Lines {
    from: BufReader<UnixStream>,
    to: UnixStream,
}

impl Lines {
    pub(crate) fn of(stream: UnixStream) -> io::Result<Self> {
        Ok(Self { from: BufReader::new(stream.try_clone()?), to: stream })
    }

    pub(crate) fn say(&mut self, what: &impl Serialize) -> io::Result<()> {
        let mut line = serde_json::to_vec(what)?;
        line.push(b'\n');
        self.to.write_all(&line)
    }

    /// What the other side says next; `None` where it is gone.
    pub(crate) fn hear<T: DeserializeOwned>(&mut self) -> io::Result<Option<T>> {
        let mut line = String::new();
        if self.from.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        Ok(Some(serde_json::from_str(&line)?))
    }
}
