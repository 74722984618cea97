//! Corridor: the parent: start a server, kill it, open its store, check, again.

use std::io::Write;
use std::path::Path;
use std::time::Duration;

use savehold::{Create, Options, Outcome, Store, Version};

use super::check::Told;
use super::host::{self, Place, Server};
use super::ledger::Ledger;
use super::model::Model;
use super::op::{Op, OpId};
use super::pace::{Dice, lives};
use super::restored;
use super::summary::{Round, Story, Tally, Teller};
use super::world::{Played, World};
use crate::args::Demo;
use crate::exit::{Exit, Failure};

/// Versions of one player that are shown.
const HISTORY_SHOWN: usize = 6;

/// How far back the last look goes.
const BACK: Duration = Duration::from_secs(5);

/// Shows a store that survives being killed.
///
/// # Errors
///
/// The store's; a server that fails by itself; an output that nobody reads.
pub fn watch(
    demo: &Demo,
    dir: Option<&Path>,
    teller: &Teller,
    out: &mut impl Write,
) -> Result<Exit, Failure> {
    let mut place = Place::choose(dir)?;
    let ended = Watch::begin(demo, &place, teller, out).and_then(|watch| watch.run());
    let damaged = ended.as_ref().map_or_else(|failure| failure.exit, |exit| *exit) == Exit::Damaged;
    if !damaged {
        return ended;
    }
    place.keep();
    let kept = format!("the store is kept in {}", place.path().display());
    ended.map_err(|failure| Failure::new(failure.exit, failure.to_string(), kept))
}

struct Watch<'a, W> {
    demo: &'a Demo,
    dir: &'a Path,
    stays: bool,
    teller: &'a Teller,
    out: &'a mut W,
    /// What must be in the store.
    model: Model,
    /// The newest version that is in it.
    newest: Version,
    /// All that was ever acknowledged.
    acknowledged: Vec<(OpId, Version)>,
    /// The last deed of all.
    last: Option<Op>,
    tally: Tally,
}

impl<'a, W: Write> Watch<'a, W> {
    /// Makes the store and the world in it.
    fn begin(demo: &'a Demo, place: &'a Place, teller: &'a Teller, out: &'a mut W) -> Result<Self, Failure> {
        let model = Model::new(demo.players);
        tell(out, &teller.opening(demo, place.path(), place.stays(), &model))?;
        let store = Options::new().origin("demo").open(place.path())?;
        World::of(&store)?.begin(&model)?;
        let newest = store.version();
        store.close()?;
        Ok(Self {
            demo,
            dir: place.path(),
            stays: place.stays(),
            teller,
            out,
            model,
            newest,
            acknowledged: Vec::new(),
            last: None,
            tally: Tally::default(),
        })
    }

    fn run(mut self) -> Result<Exit, Failure> {
        let lives = lives(self.demo.duration(), self.demo.kills, &mut Dice::new(host::seed()));
        for (round, life) in (1..).zip(lives) {
            let killed = u64::from(round) <= self.demo.kills;
            let ledger = self.play(round, life, killed)?;
            let (store, recovery) = self.reopen()?;
            self.tally.recoveries.extend(killed.then_some(recovery));
            let world = World::of(&store)?;
            let told = self.check(&world, ledger, Round::new(round, life, killed.then_some(recovery)))?;
            tell(self.out, &self.teller.round(&told))?;
            if !killed && self.tally.verdict.is_clean() {
                self.check_all(&world)?;
                tell(self.out, &self.teller.story(&self.story(&world)?))?;
                drop(world);
                let back = restored::show(store, self.dir, &self.model, &mut self.tally.verdict)?;
                self.tally.restored = Some(self.tally.verdict.is_clean());
                if self.tally.verdict.is_clean() {
                    tell(self.out, &self.teller.restored(&back))?;
                }
                break;
            }
            drop(world);
            store.close()?;
            if !self.tally.verdict.is_clean() {
                break;
            }
        }
        let kept = self.stays || !self.tally.verdict.is_clean();
        tell(self.out, &self.teller.summary(&self.tally, kept.then_some(self.dir)))?;
        Ok(if self.tally.verdict.is_clean() { Exit::Fine } else { Exit::Damaged })
    }

    /// Lets a server live for so long.
    fn play(&mut self, round: u16, life: Duration, kill: bool) -> Result<Ledger, Failure> {
        let server = Server::start(self.dir, self.demo.players, round)?;
        host::sleep(life);
        if kill {
            let ledger = server.kill()?;
            self.tally.kills += 1;
            return Ok(ledger);
        }
        let ledger = server.stop()?;
        if ledger.in_doubt.is_empty() {
            return Ok(ledger);
        }
        Err(Failure::new(Exit::Failed, "the server ended in peace and left commits in doubt", ""))
    }

    /// Opens the store, as the next server would, and measures it.
    fn reopen(&self) -> Result<(Store, Duration), Failure> {
        let begun = host::now();
        let store = Options::new().create(Create::Never).open(self.dir)?;
        Ok((store, begun.elapsed()))
    }

    /// Checks what one server left.
    fn check(&mut self, world: &World, ledger: Ledger, mut round: Round) -> Result<Round, Failure> {
        let verdict = &mut self.tally.verdict;
        let mut done = Vec::with_capacity(ledger.acknowledged.len());
        for (id, op, version) in &ledger.acknowledged {
            verdict.outcome(*id, Told::Acknowledged(*version), world.outcome(*id)?);
            done.push((*version, *id, *op));
        }
        for id in &ledger.declined {
            verdict.outcome(*id, Told::Declined, world.outcome(*id)?);
        }
        let mut late = Vec::new();
        for (id, op) in &ledger.in_doubt {
            let outcome = world.outcome(*id)?;
            verdict.outcome(*id, Told::Nothing, outcome);
            match outcome {
                Outcome::Committed(version) => late.push((version, *id, *op)),
                _ => round.not_done += 1,
            }
        }
        done.extend(&late);
        self.last = done.iter().max_by_key(|(version, ..)| *version).map(|(.., op)| *op).or(self.last);
        self.newest = verdict.replay(&mut self.model, done, self.newest);
        verdict.passed(ledger.passed);
        world.deliver()?;
        verdict.state(&self.model, &world.read()?);
        for (version, id, op) in &late {
            let before = match world.play(*id, op)? {
                Played::Before(before) => Some(before),
                Played::Now(_) | Played::Declined => None,
            };
            verdict.repeated(*id, *version, before);
        }
        round.acknowledged = ledger.acknowledged.len() as u64;
        round.done = late.len() as u64;
        self.tally.acknowledged += round.acknowledged;
        self.tally.fenced += ledger.fenced;
        self.tally.done += round.done;
        self.tally.not_done += round.not_done;
        self.acknowledged.extend(ledger.acknowledged.iter().map(|(id, _, version)| (*id, *version)));
        round.clean = verdict.is_clean();
        Ok(round)
    }

    /// Looks for every commit that any server ever acknowledged.
    fn check_all(&mut self, world: &World) -> Result<(), Failure> {
        for (id, version) in &self.acknowledged {
            self.tally.verdict.outcome(*id, Told::Acknowledged(*version), world.outcome(*id)?);
        }
        Ok(())
    }

    /// The last player who did something: his newest versions, and what he had a while before.
    fn story(&self, world: &World) -> Result<Story, Failure> {
        let player = match self.last {
            None => 0,
            Some(Op::Earn { player, .. } | Op::Spend { player, .. } | Op::Send { player, .. }) => player,
            Some(Op::Trade { buyer, .. }) => buyer,
        };
        let versions = world.history(player, HISTORY_SHOWN + 1)?;
        let newest_us = versions.first().map_or(0, |(version, _)| version.time_us);
        let then_us = newest_us.saturating_sub(u64::try_from(BACK.as_micros()).unwrap_or(u64::MAX));
        let then = world.player_at(player, then_us)?;
        Ok(Story { player, versions, shown: HISTORY_SHOWN, then_us, then })
    }
}

fn tell(out: &mut impl Write, text: &str) -> Result<(), Failure> {
    let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    written.map_err(|e| Failure::new(Exit::Failed, format!("printing: {e}"), ""))
}
