//! Pure: whose turn it is.
//!
//! A request is granted when all its keys are free and no earlier request asks for any of them. A key is free when no
//! lease stands on it, when the lease is stale, or when it may be taken by force: because the request steals, or because
//! somebody who asks for it told its holder and has waited the whole time since. A theft waits for nobody. What a life asked
//! for that another followed is not granted any more.

use std::sync::Arc;
use std::time::Duration;

use super::ended::Ended;
use super::queue::{Request, RequestId};
use super::state::State;
use super::table::Lease;

/// What a request does about the lease of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Policy {
    /// It is refused at once.
    Fail,
    /// It waits until the key is free, in the order of arrival.
    Wait,
    /// It tells the holder, who may still write, and releases; after this time the lease is taken by force.
    Handoff {
        /// Time for the holder.
        after: Duration,
    },
    /// It takes the lease at once, before all who wait.
    Steal,
}

impl Default for Policy {
    /// [`Policy::Handoff`] after 10 s.
    fn default() -> Self {
        Self::Handoff { after: Duration::from_secs(10) }
    }
}

/// Why a request is not granted.
#[derive(Clone, Debug)]
pub(crate) enum Refusal {
    /// Another has a key, or asked earlier, and the request does not wait, or waited until its deadline.
    Leased(Option<Arc<Lease>>),
    /// Its own holder has a key already.
    AlreadyActive(Arc<Lease>),
    /// Another life of its holder has begun.
    OtherLife,
    /// The store was closed.
    Closed,
}

/// What becomes of a request now.
#[derive(Debug)]
pub(crate) enum Step {
    /// It may take its keys; these leases end by it.
    Up(Vec<(Arc<Lease>, Ended)>),
    /// It waits. The holders of these leases are to be told; look again at that time.
    Waits(Vec<Arc<Lease>>, Duration),
    /// It is not granted.
    Refused(Refusal),
}

/// What becomes of a request at `now` (boot clock).
pub(crate) fn judge(state: &State, id: RequestId, request: &Request, now: Duration) -> Step {
    let ask = &request.ask;
    if state.is_followed(&ask.holder, ask.life) {
        return Step::Refused(Refusal::OtherLife);
    }
    let steals = ask.policy == Policy::Steal;
    let behind = !steals && state.queue.is_behind(id, &ask.keys);
    let (mut ends, mut blockers) = (Vec::new(), Vec::new());
    for lease in state.leases_on(&ask.keys) {
        match state.stale(&lease, now) {
            Some(why) => ends.push((lease, why.ended())),
            None if lease.holder == ask.holder && !lease.is_ending() => {
                return Step::Refused(Refusal::AlreadyActive(lease));
            }
            None if steals || is_forced(state, &lease, now) => {
                ends.push((lease, Ended::Stolen(ask.holder.name.to_string())));
            }
            None => blockers.push(lease),
        }
    }
    if now >= ask.deadline {
        return Step::Refused(Refusal::Leased(blockers.pop()));
    }
    if blockers.is_empty() && !behind {
        return Step::Up(ends);
    }
    if ask.policy == Policy::Fail {
        return Step::Refused(Refusal::Leased(blockers.pop()));
    }
    waits(request, blockers, now)
}

fn waits(request: &Request, blockers: Vec<Arc<Lease>>, now: Duration) -> Step {
    let Policy::Handoff { after } = request.ask.policy else {
        return Step::Waits(Vec::new(), request.ask.deadline);
    };
    let told = |lease: &Arc<Lease>| request.told.iter().find(|(token, _)| *token == lease.token);
    let force_at = blockers.iter().map(|lease| told(lease).map_or(now, |(_, at)| *at).saturating_add(after));
    let again = force_at.filter(|at| *at > now).min().unwrap_or(Duration::MAX).min(request.ask.deadline);
    let tell = blockers.iter().filter(|lease| told(lease).is_none()).cloned().collect();
    Step::Waits(tell, again)
}

/// Whether somebody who asks for a key of the lease told its holder, and has waited long enough.
fn is_forced(state: &State, lease: &Lease, now: Duration) -> bool {
    lease.keys.iter().flat_map(|key| state.queue.asking(key)).any(|(_, request)| {
        let Policy::Handoff { after } = request.ask.policy else { return false };
        request.told.iter().any(|(token, at)| *token == lease.token && now >= at.saturating_add(after))
    })
}
