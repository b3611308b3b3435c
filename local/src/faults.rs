//! Where things go wrong on request: calls that are refused, late, lost or answered twice, events likewise.
//!
//! One seeded source decides, so a seed replays, and a script decides before it, so a test can say exactly
//! what it wants. A fault says what happens; the wire and the bus make it happen. Nothing here performs anything.

use crate::aws::lock;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What happens to one call. The names say what the caller sees and whether the service did its work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// Refused as too fast, with the service's own code; no effect.
    Throttle,
    /// Refused; no effect.
    Refuse {
        /// The error code, such as `InternalServerError`.
        code: String,
        /// The HTTP status.
        status: u16,
    },
    /// Done and answered, but only after this long.
    Delay(Duration),
    /// The connection resets before the service saw the call; no effect.
    LoseBefore,
    /// The effect is done, then the connection resets.
    LoseAfter,
    /// The effect is done, then nothing comes until the client gives up.
    Silent,
    /// The effect is done twice, as when something between repeats the request; the second answer is returned.
    AnswerTwice,
}

/// What happens to one delivery of one event to one target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EventFault {
    /// Delivered twice.
    Duplicate,
    /// Delivered this much later, so that younger events overtake it.
    Delay(Duration),
    /// Not delivered.
    Never,
}

/// How often each fault strikes, per mille of all calls or deliveries. All zero by default.
#[derive(Debug, Clone, Default)]
pub struct Rates {
    /// [`Fault::Throttle`].
    pub throttle: u16,
    /// [`Fault::Refuse`] with `InternalServerError`, HTTP 500.
    pub refuse: u16,
    /// [`Fault::Delay`].
    pub delay: u16,
    /// [`Fault::LoseBefore`].
    pub lose_before: u16,
    /// [`Fault::LoseAfter`].
    pub lose_after: u16,
    /// [`Fault::Silent`].
    pub silent: u16,
    /// [`Fault::AnswerTwice`].
    pub answer_twice: u16,
    /// [`EventFault::Duplicate`].
    pub event_duplicate: u16,
    /// [`EventFault::Delay`].
    pub event_delay: u16,
    /// [`EventFault::Never`].
    pub event_never: u16,
    /// The longest [`Fault::Delay`]; each is drawn between nothing and this.
    pub longest_delay: Duration,
    /// The longest [`EventFault::Delay`]; each is drawn between nothing and this.
    pub longest_event_delay: Duration,
}

/// The source of everything that goes wrong in one account. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Faults(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    seeded: Option<(fastrand::Rng, Rates)>,
    /// Rates of calls of single services, in place of the general ones.
    by_service: BTreeMap<String, Rates>,
    calls: VecDeque<(String, String, Fault)>,
    events: VecDeque<(String, EventFault)>,
    is_quiet: bool,
}

impl Faults {
    /// Nothing goes wrong, unless it is scripted later.
    pub fn none() -> Self {
        Self::default()
    }

    /// Things go wrong at `rates`; `seed` decides when.
    pub fn seeded(seed: u64, rates: Rates) -> Self {
        let seeded = Some((fastrand::Rng::with_seed(seed), rates));
        Self(Arc::new(Mutex::new(State { seeded, ..State::default() })))
    }

    /// Things go wrong at other rates from now on. Nothing happens to a source without a seed.
    pub fn change_rates(&self, rates: Rates) {
        if let Some((_, current)) = &mut lock(&self.0).seeded {
            *current = rates;
        }
    }

    /// Things go wrong at other rates with one service (an endpoint prefix, such as `codepipeline`). Nothing happens to a
    /// source without a seed, and rates of events have no meaning here.
    pub fn change_rates_of(&self, service: impl Into<String>, rates: Rates) {
        lock(&self.0).by_service.insert(service.into(), rates);
    }

    /// Exactly these faults, each for the next call of its (service, operation) that has not met one yet.
    pub fn script<S: Into<String>>(faults: impl IntoIterator<Item = (S, S, Fault)>) -> Self {
        let script = Self::none();
        for (service, operation, fault) in faults {
            script.next(service, operation, fault);
        }
        script
    }

    /// Queues `fault` for the next call of `operation` of `service` (an endpoint prefix, such as `codepipeline`).
    pub fn next(&self, service: impl Into<String>, operation: impl Into<String>, fault: Fault) {
        lock(&self.0).calls.push_back((service.into(), operation.into(), fault));
    }

    /// Queues `fault` for the next delivery of an event with this detail type, or of a notification of the topic with
    /// this name.
    pub fn next_event(&self, detail_type: impl Into<String>, fault: EventFault) {
        lock(&self.0).events.push_back((detail_type.into(), fault));
    }

    /// Stops injecting, for good: the calm at the end of a simulation, in which everything must come right.
    pub fn quiet(&self) {
        lock(&self.0).is_quiet = true;
    }

    /// Decides what happens to one call. The script goes before the seed.
    pub(crate) fn for_call(&self, service: &str, operation: &str) -> Option<Fault> {
        let mut guard = lock(&self.0);
        let state = &mut *guard;
        if state.is_quiet {
            return None;
        }
        if let Some(at) = state.calls.iter().position(|(of, call, _)| of == service && call == operation) {
            return state.calls.remove(at).map(|(_, _, fault)| fault);
        }
        let (random, rates) = state.seeded.as_mut()?;
        draw_call(random, state.by_service.get(service).unwrap_or(rates))
    }

    /// Decides what happens to one delivery of an event.
    pub(crate) fn for_event(&self, detail_type: &str) -> Option<EventFault> {
        let mut guard = lock(&self.0);
        let state = &mut *guard;
        if state.is_quiet {
            return None;
        }
        if let Some(at) = state.events.iter().position(|(of, _)| of == detail_type) {
            return state.events.remove(at).map(|(_, fault)| fault);
        }
        let (random, rates) = state.seeded.as_mut()?;
        draw_event(random, rates)
    }
}

fn draw_call(random: &mut fastrand::Rng, rates: &Rates) -> Option<Fault> {
    let table = [
        rates.throttle,
        rates.refuse,
        rates.delay,
        rates.lose_before,
        rates.lose_after,
        rates.silent,
        rates.answer_twice,
    ];
    match pick(random, &table)? {
        0 => Some(Fault::Throttle),
        1 => Some(Fault::Refuse { code: "InternalServerError".to_owned(), status: 500 }),
        2 => Some(Fault::Delay(up_to(random, rates.longest_delay))),
        3 => Some(Fault::LoseBefore),
        4 => Some(Fault::LoseAfter),
        5 => Some(Fault::Silent),
        _ => Some(Fault::AnswerTwice),
    }
}

fn draw_event(random: &mut fastrand::Rng, rates: &Rates) -> Option<EventFault> {
    match pick(random, &[rates.event_duplicate, rates.event_delay, rates.event_never])? {
        0 => Some(EventFault::Duplicate),
        1 => Some(EventFault::Delay(up_to(random, rates.longest_event_delay))),
        _ => Some(EventFault::Never),
    }
}

/// Draws once from 1,000 and names the row of `table` (per mille each) that it falls on, if any.
fn pick(random: &mut fastrand::Rng, table: &[u16]) -> Option<usize> {
    let mut drawn = random.u16(0..1000);
    for (row, rate) in table.iter().enumerate() {
        if drawn < *rate {
            return Some(row);
        }
        drawn -= rate;
    }
    None
}

fn up_to(random: &mut fastrand::Rng, longest: Duration) -> Duration {
    // Whole milliseconds: that is how finely tokio's timers tell moments apart.
    let longest_millis = u64::try_from(longest.as_millis()).unwrap_or(u64::MAX);
    Duration::from_millis(random.u64(0..=longest_millis))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_strikes_the_call_it_names_once() {
        let faults = Faults::script([("sqs", "SendMessage", Fault::LoseAfter)]);
        #[rustfmt::skip]
        let calls = [
            // service     operation         expected                why
            ("sqs",        "ReceiveMessage", None,                   "another operation"),
            ("dynamodb",   "SendMessage",    None,                   "another service"),
            ("sqs",        "SendMessage",    Some(Fault::LoseAfter), "the one"),
            ("sqs",        "SendMessage",    None,                   "used up"),
        ];
        for (service, operation, expected, why) in calls {
            assert_eq!(faults.for_call(service, operation), expected, "{why}");
        }
    }

    #[test]
    fn a_seed_replays_and_quiet_ends_it() {
        let rates = Rates { throttle: 300, silent: 300, event_never: 500, ..Rates::default() };
        let run = |seed| {
            let faults = Faults::seeded(seed, rates.clone());
            (0..64).map(|_| (faults.for_call("sqs", "SendMessage"), faults.for_event("x"))).collect::<Vec<_>>()
        };
        assert_eq!(run(7), run(7));
        assert_ne!(run(7), run(8));
        let faults = Faults::seeded(7, Rates { lose_before: 1000, ..Rates::default() });
        assert_eq!(faults.for_call("sqs", "SendMessage"), Some(Fault::LoseBefore));
        faults.next("sqs", "SendMessage", Fault::Silent);
        faults.quiet();
        assert_eq!(faults.for_call("sqs", "SendMessage"), None, "neither the seed nor the script");
    }

    #[test]
    fn a_service_can_have_rates_of_its_own() {
        let faults = Faults::seeded(1, Rates::default());
        faults.change_rates_of("codepipeline", Rates { throttle: 1000, ..Rates::default() });
        assert_eq!(faults.for_call("codepipeline", "RollbackStage"), Some(Fault::Throttle));
        assert_eq!(faults.for_call("sqs", "SendMessage"), None, "the others keep the general ones");
    }

    #[test]
    fn rates_are_per_mille() {
        let faults = Faults::seeded(1, Rates { delay: 100, longest_delay: Duration::from_secs(2), ..Rates::default() });
        let struck: Vec<_> = (0..10_000).filter_map(|_| faults.for_call("sqs", "SendMessage")).collect();
        assert!((900..1100).contains(&struck.len()), "one in ten, but {}", struck.len());
        assert!(struck.iter().all(|fault| matches!(fault, Fault::Delay(by) if *by <= Duration::from_secs(2))));
    }
}
