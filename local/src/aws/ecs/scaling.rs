//! How many tasks start and stop at a look of the scheduler, and how many looks a deployment takes.
//!
//! Counts alone: nothing here knows a service. Source: DeploymentConfiguration, "minimumHealthyPercent … rounded up
//! to the nearest integer", "maximumPercent … rounded down".

/// More looks than this are not counted: by then each is short enough.
const MOST_LOOKS: u32 = 1000;

/// The tasks of a service, as its scheduler sees them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Crew {
    pub(super) desired: u64,
    /// Of the primary deployment.
    pub(super) running: u64,
    /// Of the primary deployment.
    pub(super) pending: u64,
    /// Those of every other deployment.
    pub(super) old: u64,
    /// At least so many must run.
    pub(super) floor: u64,
    /// At most so many may run or be pending.
    pub(super) ceiling: u64,
}

/// What one look does.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Moves {
    pub(super) starts: u64,
    /// Of the primary deployment, where the service is scaled in.
    pub(super) stops: u64,
    /// Of every other deployment.
    pub(super) stops_old: u64,
}

/// How the tasks of a deployment fare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    ComeUp,
    /// None comes up. With a circuit breaker the deployment ends at so many failures.
    Fail {
        threshold: Option<u64>,
    },
}

impl Crew {
    pub(super) fn new(desired: u64, minimum_percent: u64, maximum_percent: u64) -> Self {
        let floor = desired.saturating_mul(minimum_percent).div_ceil(100);
        let ceiling = desired.saturating_mul(maximum_percent) / 100;
        Self { desired, running: 0, pending: 0, old: 0, floor, ceiling }
    }

    pub(super) fn is_steady(&self) -> bool {
        self.running == self.desired && self.pending == 0 && self.old == 0
    }

    /// What the scheduler does now: it stops what may go, and starts what there is room for.
    pub(super) fn moves(&self) -> Moves {
        let own = self.running + self.pending;
        let stops = own.saturating_sub(self.desired).min(self.running);
        let stops_old = self.old.min((self.running - stops + self.old).saturating_sub(self.floor));
        let taken = own - stops + self.old - stops_old;
        let starts = self.desired.saturating_sub(own).min(self.ceiling.saturating_sub(taken));
        Moves { starts, stops, stops_old }
    }

    /// How many looks it takes until all is steady, or the circuit breaker opens; none where it never gets on.
    ///
    /// The first look only begins: a deployment is never over at its first.
    pub(super) fn looks(mut self, fate: Fate) -> Option<u32> {
        let mut failed = 0;
        for look in 1..=MOST_LOOKS {
            match fate {
                Fate::ComeUp => self.running += self.pending,
                Fate::Fail { threshold } => {
                    failed += self.pending;
                    if failed > 0 && threshold.is_none_or(|threshold| failed >= threshold) {
                        return Some(look);
                    }
                }
            }
            self.pending = 0;
            if look > 1 && self.is_steady() {
                return Some(look);
            }
            let moves = self.moves();
            if moves == Moves::default() && !self.is_steady() {
                return None;
            }
            self.pending = moves.starts;
            self.running -= moves.stops;
            self.old -= moves.stops_old;
        }
        Some(MOST_LOOKS)
    }
}

/// How many failed tasks open a circuit breaker of `kind` with `value`.
///
/// Source: ECS developer guide, "How the Amazon ECS deployment circuit breaker detects failures" (half of the desired
/// count, at least 3 and at most 200) and ThresholdConfiguration.
pub(super) fn threshold(desired: u64, kind: &str, value: u64) -> u64 {
    let share = desired.saturating_mul(value).div_ceil(100);
    match kind {
        "COUNT" => value.max(1),
        "UNBOUNDED_PERCENT" => share.max(1),
        _ => share.clamp(3, 200),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_circuit_breaker_opens_at_half_of_the_tasks_within_bounds() {
        #[rustfmt::skip]
        let cases = [
            // desired, kind,                value, threshold, why
            (1,         "BOUNDED_PERCENT",   50,    3,         "never below three"),
            (25,        "BOUNDED_PERCENT",   50,    13,        "half, rounded up"),
            (1_000,     "BOUNDED_PERCENT",   50,    200,       "never above two hundred"),
            (800,       "UNBOUNDED_PERCENT", 50,    400,       "without bounds"),
            (800,       "COUNT",             5,     5,         "a plain number"),
        ];
        for (desired, kind, value, expected, why) in cases {
            assert_eq!(threshold(desired, kind, value), expected, "{desired} {kind} {value}: {why}");
        }
    }

    #[test]
    fn a_look_starts_and_stops_within_the_bounds() {
        let moves = |starts, stops, stops_old| Moves { starts, stops, stops_old };
        #[rustfmt::skip]
        let cases = [
            // desired, min, max, running, old, expected,       why
            (2,         100, 200, 0,       2,   moves(2, 0, 0), "all new ones beside the old"),
            (2,         100, 200, 2,       2,   moves(0, 0, 2), "then the old ones go"),
            (4,         100, 150, 0,       4,   moves(2, 0, 0), "no more than the ceiling"),
            (4,         50,  100, 0,       4,   moves(2, 0, 2), "room is made first"),
            (1,         50,  100, 0,       1,   moves(0, 0, 0), "neither is possible: it never gets on"),
            (0,         100, 200, 3,       0,   moves(0, 3, 0), "scaled in"),
            (3,         100, 200, 1,       0,   moves(2, 0, 0), "scaled out"),
        ];
        for (desired, minimum, maximum, running, old, expected, why) in cases {
            let crew = Crew { running, old, ..Crew::new(desired, minimum, maximum) };
            assert_eq!(crew.moves(), expected, "{why}");
        }
    }

    #[test]
    fn looks_are_counted_before_they_are_made() {
        #[rustfmt::skip]
        let cases = [
            // desired, min, max, old, fate,                                  looks,   why
            (2,         100, 200, 2,   Fate::ComeUp,                          Some(3), "start, swap, steady"),
            (4,         100, 125, 4,   Fate::ComeUp,                          Some(6), "one after the other"),
            (0,         100, 200, 0,   Fate::ComeUp,                          Some(2), "begun, and steady"),
            (1,         50,  100, 1,   Fate::ComeUp,                          None,    "it never gets on"),
            (1,         100, 200, 1,   Fate::Fail { threshold: Some(3) },     Some(4), "three tries of one"),
            (4,         100, 200, 4,   Fate::Fail { threshold: Some(3) },     Some(2), "four at once"),
        ];
        for (desired, minimum, maximum, old, fate, expected, why) in cases {
            let crew = Crew { old, ..Crew::new(desired, minimum, maximum) };
            assert_eq!(crew.looks(fate), expected, "{why}");
        }
    }
}
