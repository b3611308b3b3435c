//! Reads `[approvers.NAME]`: the groups of people who may approve.

use super::limits::{MAX_GROUPS, MAX_MEMBERS};
use super::problem::{Place, Problems};
use super::tree::{Table, Value};
use super::words::{EMAIL, LOGIN, NAME, has_shape, word};
use crate::domain::policy::{Group, Member};
use std::collections::{BTreeMap, BTreeSet};

pub(super) const GROUP_KEYS: [&str; 1] = ["members"];
pub(super) const MEMBER_KEYS: [&str; 2] = ["email", "github"];

/// Who was seen under which names so far, lower-cased: one person must be one person in every group.
#[derive(Default)]
struct People {
    login_of_email: BTreeMap<String, (String, String)>,
    email_of_login: BTreeMap<String, (String, String)>,
}

/// Every group that is written, also those with problems: what refers to them is not to blame.
pub(super) fn read(root: &Table<'_>, problems: &mut Problems<'_>) -> BTreeMap<String, Group> {
    let mut groups = BTreeMap::new();
    let mut people = People::default();
    let Some(table) = root.get("approvers").and_then(|value| value.open_table(problems)) else { return groups };
    if table.names().count() > MAX_GROUPS {
        problems.error(&table.place, "too many groups", format!("at most {MAX_GROUPS} are taken"));
    }
    for (name, value) in table.entries().take(MAX_GROUPS) {
        has_shape(name.clone(), &NAME, problems);
        let members = read_group(&value, &mut people, problems).unwrap_or_default();
        groups.insert(name.value.to_owned(), Group { members });
    }
    groups
}

fn read_group(value: &Value<'_>, people: &mut People, problems: &mut Problems<'_>) -> Option<Vec<Member>> {
    let table = value.table(&GROUP_KEYS, problems)?;
    let hint = "members = [{ email = \"ada@example.com\", github = \"ada\" }]";
    let list = table.require("members", hint, problems)?.list(MAX_MEMBERS, problems)?;
    let mut seen = BTreeSet::new();
    let mut members = Vec::new();
    for element in &list {
        let Some(member) = read_member(element, people, problems) else { continue };
        if !seen.insert(member.email.to_lowercase()) {
            problems.error(&element.place, "this member is in the group already", "one person counts once");
        }
        members.push(member);
    }
    Some(members)
}

fn read_member(value: &Value<'_>, people: &mut People, problems: &mut Problems<'_>) -> Option<Member> {
    let table = value.table(&MEMBER_KEYS, problems)?;
    let github = table.get("github").and_then(|value| word(&value, &LOGIN, problems)).map(|login| login.value);
    let hint = "email = \"ada@example.com\": an approval link goes there";
    let email = word(&table.require("email", hint, problems)?, &EMAIL, problems)?.value;
    let member = Member { email, github };
    people.meet(&member, &value.place, problems);
    Some(member)
}

impl People {
    /// Reports when an address comes with another login than before, or a login with another address.
    fn meet(&mut self, member: &Member, place: &Place, problems: &mut Problems<'_>) {
        let Some(login) = &member.github else { return };
        let by_email = (login.clone(), place.key.clone());
        let (known, at) = self.login_of_email.entry(member.email.to_lowercase()).or_insert(by_email);
        if !known.eq_ignore_ascii_case(login) {
            problems.error(
                place,
                format!("{} is {login:?} here and {known:?} in {at}", member.email),
                "one person, one login",
            );
            return;
        }
        let by_login = (member.email.clone(), place.key.clone());
        let (known, at) = self.email_of_login.entry(login.to_lowercase()).or_insert(by_login);
        if !known.eq_ignore_ascii_case(&member.email) {
            let message = format!("{login:?} has the address {} here and {known} in {at}", member.email);
            problems.error(place, message, "one person, one address");
        }
    }
}
