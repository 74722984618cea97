//! Corridor: mail: messages to a key, there or not, in the order in which they were sent, each taken in the record of its
//! effect.
//!
//! ```text
//! mailbox  +--------+------+-------+-------+-----------------------------+
//!          | format | next | first | count | discarded                   |    see `meta`
//!          | 1      |      |       |       | 0, or 1 · number · reason   |
//!          +--------+------+-------+-------+-----------------------------+
//! message  an entry as any other: created is when it was sent, the value is what was sent
//! ```
//!
//! Both are keys of `$mail` (see `inner_key`). `next` is the number of the next message; no message has a smaller number
//! than `first`; `count` messages stand there; `discarded` is what this version of the mailbox took out by hand, so that
//! its history tells what was taken out and why.
//!
//! Invariants:
//! - Whatever touches the messages of a mailbox reads and writes the mailbox: such commits stand in one order.
//! - Numbers never repeat: a mailbox stays for ever, empty too, and one that had to be made anew because it was damaged
//!   goes on [`REBUILT_STRIDE`] above all that was seen.

use bytes::Bytes;

use super::Tx;
use crate::draft::{FullKey, Write};
use crate::entry::{EntryHead, check_value_bytes};
use crate::error::{Error, ErrorKind, Result};
use crate::format::Format;
use crate::ids::CollectionId;
use crate::index::{Direction, KeyRange, Kind};
use crate::inner_key::{self, Mail};
use crate::key::{Key, KeyRef};
use crate::limits::MAIL_REASON_BYTES_MAX;
use crate::meta::{self, Decode, DecodeError, Decoder, Encode, EncodeError, Encoder, Meta};
use crate::modify::Wanted;
use crate::range::Range;
use crate::table::Table;

/// What lies between the numbers that were seen of a damaged mailbox and its next: more messages than any that could
/// have gone unseen.
const REBUILT_STRIDE: u64 = 1 << 32;

const PAGE: usize = 256;

/// A message as it stands in a mailbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Message {
    /// Its number in the mailbox: larger than that of every message before it.
    pub(crate) seq: u64,
    /// Engine time at which it was sent, microseconds since 1970.
    pub(crate) sent_us: u64,
    /// How `value` is to be read.
    pub(crate) format: Format,
    /// What was sent.
    pub(crate) value: Bytes,
}

/// What a mailbox says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
struct State {
    next: u64,
    first: u64,
    count: u64,
    discarded: Option<(u64, String)>,
}

impl State {
    const EMPTY: Self = Self { next: 1, first: 1, count: 0, discarded: None };

    fn decoded(bytes: &[u8]) -> Result<Self> {
        let state: Self = meta::decode(bytes)?;
        let room = state.next.checked_sub(state.first);
        if room.is_some_and(|room| state.count <= room) {
            Ok(state)
        } else {
            Err(meta::malformed(Self::WHAT))
        }
    }

    /// One message less, this one.
    fn without(&mut self, seq: u64) {
        self.count = self.count.saturating_sub(1);
        if self.count == 0 {
            self.first = self.next;
        } else if seq == self.first {
            self.first = seq.saturating_add(1);
        }
    }
}

impl Encode for State {
    fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), EncodeError> {
        self.next.encode(encoder)?;
        self.first.encode(encoder)?;
        self.count.encode(encoder)?;
        self.discarded.encode(encoder)
    }
}

impl<C> Decode<C> for State {
    fn decode<D: Decoder<Context = C>>(decoder: &mut D) -> Result<Self, DecodeError> {
        Ok(Self {
            next: Decode::decode(decoder)?,
            first: Decode::decode(decoder)?,
            count: Decode::decode(decoder)?,
            discarded: Decode::decode(decoder)?,
        })
    }
}

impl Meta for State {
    const FORMAT: u8 = 1;
    const WHAT: &'static str = "a mailbox";
}

/// A mailbox as the transaction sees it.
struct Mailbox {
    collection: CollectionId,
    key: Key,
    state: State,
    /// What stood beside what it said.
    head: Option<EntryHead>,
}

impl Mailbox {
    fn full(&self) -> FullKey {
        (CollectionId::MAIL, inner_key::mailbox(self.collection, &self.key))
    }

    fn message(&self, seq: u64) -> FullKey {
        (CollectionId::MAIL, inner_key::message(self.collection, &self.key, seq))
    }
}

/// What every one of these may answer: [`ErrorKind::Invalid`], [`ErrorKind::TooLarge`] where the key is none;
/// [`ErrorKind::Format`] where only a newer program understands the mailbox.
impl Tx<'_> {
    /// Sends a message to a key, which need not exist, and answers its number.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::MailboxFull`]: `limit` messages stand there; nothing was sent and nothing is dropped.
    /// - [`ErrorKind::TooLarge`]: over the limit of a value.
    pub(crate) fn send_mail(
        &self,
        table: &Table,
        key: &KeyRef<'_>,
        (format, value): (Format, Bytes),
        limit: u64,
    ) -> Result<u64> {
        check_value_bytes(value.len()).map_err(|e| table.named(key, e))?;
        table.check_of(self.core)?;
        let mut mailbox = self.mailbox(table, key, table.ensure_id()?)?;
        let State { next: seq, count, .. } = mailbox.state;
        if count >= limit {
            return Err(table.named(key, full(count)));
        }
        let next = seq.checked_add(1).ok_or_else(|| table.named(key, used_up()))?;
        mailbox.state = State { next, count: count + 1, discarded: None, ..mailbox.state };
        let message = Write::Put(self.core.entry_of(Wanted::value(format, value), None));
        self.state.borrow_mut().writes.insert(mailbox.message(seq), message);
        self.put(mailbox).map(|()| seq)
    }

    /// The first message to a key, which stays there; `None` where there is none.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Damaged`]: it cannot be read. It stays the first until it is discarded.
    pub(crate) fn first_mail(&self, table: &Table, key: &KeyRef<'_>) -> Result<Option<Message>> {
        let Some(mailbox) = self.known_mailbox(table, key)? else { return Ok(None) };
        self.first_in(&mailbox, table, key)
    }

    /// Takes the first message to a key out of its mailbox and answers it; `None` where there is none.
    ///
    /// # Errors
    ///
    /// As [`Tx::first_mail`].
    pub(crate) fn take_mail(&self, table: &Table, key: &KeyRef<'_>) -> Result<Option<Message>> {
        let Some(mut mailbox) = self.known_mailbox(table, key)? else { return Ok(None) };
        let Some(message) = self.first_in(&mailbox, table, key)? else { return Ok(None) };
        mailbox.state.first = message.seq;
        mailbox.state.without(message.seq);
        mailbox.state.discarded = None;
        self.drop_message(mailbox.message(message.seq));
        self.put(mailbox).map(|()| Some(message))
    }

    /// Messages to a key that wait.
    ///
    /// # Errors
    ///
    /// None of its own.
    pub(crate) fn count_mail(&self, table: &Table, key: &KeyRef<'_>) -> Result<u64> {
        Ok(self.known_mailbox(table, key)?.map_or(0, |mailbox| mailbox.state.count))
    }

    /// Takes one message out by hand, a damaged one too, and notes why; answers whether it stood there.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::TooLarge`]: the reason has more than 256 bytes.
    pub(crate) fn discard_mail(
        &self,
        table: &Table,
        key: &KeyRef<'_>,
        seq: u64,
        reason: &str,
    ) -> Result<bool> {
        if reason.len() > MAIL_REASON_BYTES_MAX {
            return Err(table.named(key, wordy(reason.len())));
        }
        let Some(mut mailbox) = self.known_mailbox(table, key)? else { return Ok(false) };
        let message = mailbox.message(seq);
        let stands = match self.standing_at(message.clone()) {
            Err(e) if e.kind() == ErrorKind::Damaged => self.past(message.clone(), &e)?.head().is_some(),
            now => now?.head().is_some(),
        };
        if !stands {
            return Ok(false);
        }
        mailbox.state.without(seq);
        mailbox.state.discarded = Some((seq, reason.to_owned()));
        self.drop_message(message);
        self.put(mailbox).map(|()| true)
    }

    /// Takes every message out by hand, damaged ones too, and notes why of the last; answers whether any stood there.
    ///
    /// # Errors
    ///
    /// As [`Tx::discard_mail`].
    pub(crate) fn clear_mail(&self, table: &Table, key: &KeyRef<'_>, reason: &str) -> Result<bool> {
        if reason.len() > MAIL_REASON_BYTES_MAX {
            return Err(table.named(key, wordy(reason.len())));
        }
        let Some(mut mailbox) = self.known_mailbox(table, key)? else { return Ok(false) };
        let mut last = None;
        while let Some(seq) = self.first_number(&mailbox, table)? {
            self.drop_message(mailbox.message(seq));
            mailbox.state.first = seq;
            last = Some(seq);
        }
        let Some(seq) = last else { return Ok(false) };
        let next = mailbox.state.next;
        mailbox.state = State { next, first: next, count: 0, discarded: Some((seq, reason.to_owned())) };
        self.put(mailbox).map(|()| true)
    }

    /// The mailbox of a key of a collection that was ever written to.
    fn known_mailbox(&self, table: &Table, key: &KeyRef<'_>) -> Result<Option<Mailbox>> {
        table.check_of(self.core)?;
        match self.id_of(table)? {
            Some(id) => self.mailbox(table, key, id).map(Some),
            None => table.key(key).map(|_| None),
        }
    }

    fn mailbox(&self, table: &Table, key: &KeyRef<'_>, collection: CollectionId) -> Result<Mailbox> {
        let mut mailbox = Mailbox { collection, key: table.key(key)?, state: State::EMPTY, head: None };
        let full = mailbox.full();
        let read = self.standing_at(full.clone()).and_then(|now| match &now.stored {
            Some(stored) => {
                let decoded = State::decoded(&stored.entry.value).map_err(|e| e.at(stored.lsn.into()));
                decoded.map(|state| (state, now.head().cloned()))
            }
            None => Ok((State::EMPTY, None)),
        });
        (mailbox.state, mailbox.head) = match read {
            Err(e) if e.kind() == ErrorKind::Damaged => {
                let head = self.past(full, &e)?.head().cloned();
                (self.rebuilt(&mailbox, &e)?, head)
            }
            read => read.map_err(|e| table.named(key, e))?,
        };
        Ok(mailbox)
    }

    fn put(&self, mailbox: Mailbox) -> Result<()> {
        let wanted = Wanted::value(Format::Raw, meta::encode(&mailbox.state)?.into());
        let entry = self.core.entry_of(wanted, mailbox.head.as_ref());
        self.state.borrow_mut().writes.insert(mailbox.full(), Write::Put(entry));
        Ok(())
    }

    fn drop_message(&self, message: FullKey) {
        let mut state = self.state.borrow_mut();
        match state.writes.remove(&message) {
            Some(Write::Put(_)) => {} // its number is new: nothing of it stands in the store
            _ => drop(state.writes.insert(message, Write::Remove)),
        }
    }

    /// The first message that stands in a mailbox.
    fn first_in(&self, mailbox: &Mailbox, table: &Table, key: &KeyRef<'_>) -> Result<Option<Message>> {
        if mailbox.state.count == 0 {
            return Ok(None);
        }
        let Some(seq) = self.first_number(mailbox, table)? else { return Ok(None) };
        let damaged = |e: Error| table.named(key, e.within(format_args!("message {seq}")));
        let stored = self.standing_at(mailbox.message(seq)).map_err(damaged)?.stored;
        Ok(stored.map(|stored| Message {
            seq,
            sent_us: stored.entry.head.created_us,
            format: stored.entry.head.format,
            value: stored.entry.value,
        }))
    }

    /// The number of the first message, of the store or of the transaction itself. What was taken out before `first` is
    /// not gone over again.
    fn first_number(&self, mailbox: &Mailbox, table: &Table) -> Result<Option<u64>> {
        let (begin, end) = (mailbox.message(mailbox.state.first), mailbox.message(u64::MAX));
        let own = {
            let state = self.state.borrow();
            let mut own = state.writes.range(begin.clone()..=end);
            own.find(|(_, write)| write.entry().is_some()).map(|((_, key), _)| key.clone())
        };
        let range = Range::prefix(mailbox.full().1).from(&begin.1);
        let mail = Table::own(table.core.clone(), CollectionId::MAIL, "$mail");
        for item in mail.list(range, self.moment) {
            let (key, _) = item?;
            if own.as_ref().is_some_and(|own| *own <= key) {
                break;
            }
            let gone = self.state.borrow().writes.contains_key(&(CollectionId::MAIL, key.clone()));
            if !gone {
                return Ok(number(key.as_bytes()));
            }
        }
        Ok(own.and_then(|key| number(key.as_bytes())))
    }

    /// What a damaged mailbox must say, by its messages and by what it said before.
    #[cold]
    fn rebuilt(&self, mailbox: &Mailbox, damaged: &Error) -> Result<State> {
        let (full, mut after) = (mailbox.full(), None::<Vec<u8>>);
        let (mut next, mut first, mut count) = (1, None, 0);
        loop {
            let range = KeyRange::prefix(full.1.as_bytes());
            let (at, from) = (self.moment, after.as_deref());
            let page =
                self.core.index.range(CollectionId::MAIL.0, range, from, at, PAGE, Direction::Ascending)?;
            for (key, version) in page.iter() {
                let Some(seq) = number(key) else { continue };
                next = next.max(seq.saturating_add(1));
                if version.kind == Kind::Put {
                    first.get_or_insert(seq);
                    count += 1;
                }
            }
            match page.last_key() {
                Some(last) if page.len() == PAGE => after = Some(last.to_vec()),
                _ => break,
            }
        }
        let before = damaged.version().map_or(self.moment, |version| version.lsn());
        let versions =
            self.core.index.versions(CollectionId::MAIL.0, full.1.as_bytes(), before, usize::MAX)?;
        let older = versions.into_iter().filter(|version| version.kind == Kind::Put).find_map(|version| {
            let stored = self.core.stored(version).ok()?;
            State::decoded(&stored.entry.value).ok()
        });
        let next = next.max(older.map_or(1, |older| older.next)).saturating_add(REBUILT_STRIDE);
        Ok(State { next, first: first.unwrap_or(next), count, discarded: None })
    }
}

/// The number of the message whose key this is.
fn number(key: &[u8]) -> Option<u64> {
    match inner_key::mail(key) {
        Some(Mail::Message(_, _, seq)) => Some(seq),
        _ => None,
    }
}

#[cold]
fn full(count: u64) -> Error {
    let say = format!(
        "its mailbox holds {count} messages, as many as it may: nothing was sent; send again when some were taken"
    );
    Error::new(ErrorKind::MailboxFull, say)
}

#[cold]
fn used_up() -> Error {
    let say = "its mailbox has used up all numbers: nothing was sent; send to another key";
    Error::new(ErrorKind::MailboxFull, say)
}

#[cold]
fn wordy(len: usize) -> Error {
    let say = format!(
        "the reason has {len} bytes: at most {MAIL_REASON_BYTES_MAX} are kept, so shorten it; nothing was removed"
    );
    Error::new(ErrorKind::TooLarge, say)
}

#[cfg(test)]
mod tests;
