//! Who counts: people per group, and one person counts once even if in two groups.

use super::vote::Standing;
use super::{Approval, Choice, Policy};
use std::collections::{BTreeMap, BTreeSet};

/// How far the votes go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tally {
    /// Those whose yes counts now, by lower-cased address, each under the group that they stand for. Somebody whose yes
    /// is more than a group asks for stands for none.
    pub counted: BTreeMap<String, Option<String>>,
    /// Per group, how many are still wanted.
    pub missing: BTreeMap<String, u32>,
    /// How many people are wanted beyond the groups, since the authors cannot be known.
    pub more_people: u32,
    /// Who could still say yes.
    pub could: BTreeSet<String>,
    /// Whether those who could are enough.
    pub can_be_met: bool,
}

impl Tally {
    /// Whether enough of the right people said yes.
    pub fn is_met(&self) -> bool {
        self.more_people == 0 && self.missing.values().all(|missing| *missing == 0)
    }
}

/// How many people in all must approve where nobody can know who wrote it.
pub const PEOPLE_WHERE_AUTHORS_ARE_UNKNOWN: u32 = 2;

/// Counts the votes of `approval` as things stand: who is a member now, and who is barred.
pub fn tally(approval: &Approval, standing: &Standing) -> Tally {
    let none = Policy { name: None, require: BTreeMap::new(), self_approval: false };
    let policy = approval.policy.as_ref().unwrap_or(&none);
    let may = |person: &str| standing.may_approve(policy, person);
    let said_yes: BTreeSet<&str> = (approval.votes.iter())
        .filter(|vote| vote.choice == Choice::Approve && may(&vote.by))
        .map(|vote| vote.by.as_str())
        .collect();
    let everybody: BTreeSet<&str> = standing.members.keys().map(String::as_str).filter(|person| may(person)).collect();
    let needed = if standing.not_knowable.is_some() { PEOPLE_WHERE_AUTHORS_ARE_UNKNOWN } else { 0 };
    let count = |people: &BTreeSet<&str>| u32::try_from(people.len()).unwrap_or(u32::MAX);
    let (seats, missing) = seat(policy, standing, &said_yes);
    let (_, never) = seat(policy, standing, &everybody);
    Tally {
        counted: said_yes.iter().map(|person| ((*person).to_owned(), seats.get(*person).cloned())).collect(),
        missing,
        more_people: needed.saturating_sub(count(&said_yes)),
        can_be_met: count(&everybody) >= needed && never.values().all(|missing| *missing == 0),
        could: everybody.difference(&said_yes).map(|person| (*person).to_owned()).collect(),
    }
}

/// Seats as many of `people` as the groups have room for, each once, and says how many seats stay empty.
///
/// Somebody in two groups takes the seat that leaves the fewest empty: a maximum matching, found by augmenting paths.
fn seat(
    policy: &Policy,
    standing: &Standing,
    people: &BTreeSet<&str>,
) -> (BTreeMap<String, String>, BTreeMap<String, u32>) {
    let mut seated: BTreeMap<&str, Vec<&str>> =
        policy.require.keys().map(|group| (group.as_str(), Vec::new())).collect();
    for person in people {
        let mut tried = BTreeSet::new();
        find_seat(policy, standing, person, &mut seated, &mut tried);
    }
    let wanted = |group: &str| policy.require.get(group).copied().unwrap_or(0);
    let missing = seated.iter().map(|(group, sitting)| {
        ((*group).to_owned(), wanted(group).saturating_sub(u32::try_from(sitting.len()).unwrap_or(u32::MAX)))
    });
    let missing = missing.collect();
    let seats = seated
        .iter()
        .flat_map(|(group, sitting)| sitting.iter().map(|person| ((*person).to_owned(), (*group).to_owned())));
    (seats.collect(), missing)
}

/// Gives `person` a seat, having others move to another of their groups where that makes room.
fn find_seat<'a>(
    policy: &'a Policy,
    standing: &'a Standing,
    person: &'a str,
    seated: &mut BTreeMap<&'a str, Vec<&'a str>>,
    tried: &mut BTreeSet<&'a str>,
) -> bool {
    let groups = standing.members.get(person).into_iter().flatten();
    let wanted: Vec<&str> = groups.map(String::as_str).filter(|group| policy.require.contains_key(*group)).collect();
    for group in wanted {
        if !tried.insert(group) {
            continue;
        }
        let room = policy.require.get(group).copied().unwrap_or(0) as usize;
        let sitting = seated.get(group).cloned().unwrap_or_default();
        if sitting.len() < room {
            seated.entry(group).or_default().push(person);
            return true;
        }
        for other in sitting {
            if find_seat(policy, standing, other, seated, tried) {
                let seats = seated.entry(group).or_default();
                seats.retain(|one| *one != other);
                seats.push(person);
                return true;
            }
        }
    }
    false
}
