//! The rule of a composite alarm: `ALARM(a) AND NOT (OK("b") OR INSUFFICIENT_DATA(c))`.
//!
//! Refusals say what AWS says of the token that cannot stand where it stands.

use super::alarm::{StateValue, arn_of};
use super::input::invalid;
use crate::aws::{ACCOUNT, Failure};

/// What a rule may be made of. Source: CloudWatch API reference, PutCompositeAlarm.
const MOST_ELEMENTS: usize = 500;
const MOST_CHILDREN: usize = 100;

const OPERAND: &str = "'(', 'NOT', AT_LEAST, TRUE or FALSE, ALARM, OK, or INSUFFICIENT_DATA";

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Rule {
    Constant(bool),
    State { alarm: String, state: StateValue },
    Not(Box<Rule>),
    All(Vec<Rule>),
    Any(Vec<Rule>),
    AtLeast { quorum: Quorum, state: StateValue, is_negated: bool, alarms: Vec<String> },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Quorum {
    Count(usize),
    Percent(usize),
}

impl Rule {
    /// Reads a rule of an alarm in `region`. Alarms are named by their names afterwards, however the rule names them.
    pub(super) fn parse(text: &str, region: &str) -> Result<Self, Failure> {
        let mut parser = Parser { tokens: tokens(text), next: 0, region, end: text.chars().count() };
        let elements = parser.tokens.iter().filter(|token| token.is_element()).count();
        if elements > MOST_ELEMENTS {
            return Err(wrong(&format!("AlarmRule must not have more than {MOST_ELEMENTS} elements")));
        }
        let rule = parser.any()?;
        match parser.tokens.get(parser.next) {
            Some(token) => Err(token.unsupported("<EOF>, 'AND', 'OR'")),
            None if rule.children().len() > MOST_CHILDREN => {
                Err(wrong(&format!("AlarmRule must not have more than {MOST_CHILDREN} child alarms")))
            }
            None => Ok(rule),
        }
    }

    /// The alarms that it names, each once, in the order in which they come.
    pub(super) fn children(&self) -> Vec<String> {
        let mut children: Vec<String> = Vec::new();
        self.visit(&mut |alarm| {
            if !children.iter().any(|known| known == alarm) {
                children.push(alarm.to_owned());
            }
        });
        children
    }

    fn visit(&self, see: &mut impl FnMut(&str)) {
        match self {
            Self::Constant(_) => {}
            Self::State { alarm, .. } => see(alarm),
            Self::Not(rule) => rule.visit(see),
            Self::All(rules) | Self::Any(rules) => rules.iter().for_each(|rule| rule.visit(see)),
            Self::AtLeast { alarms, .. } => alarms.iter().for_each(|alarm| see(alarm)),
        }
    }

    /// Whether it holds. `state_of` knows the state of every alarm that exists.
    pub(super) fn holds(&self, state_of: &impl Fn(&str) -> Option<StateValue>) -> bool {
        match self {
            Self::Constant(value) => *value,
            Self::State { alarm, state } => state_of(alarm) == Some(*state),
            Self::Not(rule) => !rule.holds(state_of),
            Self::All(rules) => rules.iter().all(|rule| rule.holds(state_of)),
            Self::Any(rules) => rules.iter().any(|rule| rule.holds(state_of)),
            Self::AtLeast { quorum, state, is_negated, alarms } => {
                let count = alarms.iter().filter(|alarm| (state_of(alarm) == Some(*state)) != *is_negated).count();
                match quorum {
                    Quorum::Count(least) => count >= *least,
                    Quorum::Percent(least) => count * 100 >= least * alarms.len(),
                }
            }
        }
    }

    /// The alarms whose states speak for the outcome `holds`, each once.
    pub(super) fn causes(&self, holds: bool, state_of: &impl Fn(&str) -> Option<StateValue>) -> Vec<String> {
        let mut causes = Vec::new();
        self.collect_causes(holds, state_of, &mut causes);
        causes
    }

    fn collect_causes(&self, holds: bool, state_of: &impl Fn(&str) -> Option<StateValue>, causes: &mut Vec<String>) {
        let mut speak = |alarm: &str, value: bool| {
            if value == holds && !causes.iter().any(|known| known == alarm) {
                causes.push(alarm.to_owned());
            }
        };
        match self {
            Self::Constant(_) => {}
            Self::State { alarm, state } => speak(alarm, state_of(alarm) == Some(*state)),
            Self::Not(rule) => rule.collect_causes(!holds, state_of, causes),
            Self::All(rules) | Self::Any(rules) => {
                rules.iter().for_each(|rule| rule.collect_causes(holds, state_of, causes));
            }
            Self::AtLeast { state, is_negated, alarms, .. } => {
                for alarm in alarms {
                    speak(alarm, (state_of(alarm) == Some(*state)) != *is_negated);
                }
            }
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Token {
    text: String,
    is_quoted: bool,
    /// Where it begins, in characters.
    at: usize,
}

impl Token {
    fn is(&self, text: &str) -> bool {
        !self.is_quoted && self.text == text
    }

    /// Parentheses, TRUE, FALSE and alarms count; operators and commas do not.
    fn is_element(&self) -> bool {
        self.is_quoted
            || !matches!(self.text.as_str(), "AND" | "OR" | "NOT" | "," | "ALARM" | "OK" | "INSUFFICIENT_DATA")
    }

    fn unsupported(&self, expected: &str) -> Failure {
        wrong(&format!("Unsupported token '{}' at char {}, must be: {expected}", self.text, self.at))
    }
}

fn wrong(reason: &str) -> Failure {
    invalid(format!("Error in AlarmRule [{reason}]"))
}

/// Cuts a rule into words, quoted names, parentheses and commas.
fn tokens(text: &str) -> Vec<Token> {
    let mut tokens: Vec<Token> = Vec::new();
    let mut letters = text.chars().enumerate().peekable();
    while let Some((at, letter)) = letters.next() {
        if letter.is_whitespace() {
            continue;
        }
        let mut token = Token { text: String::new(), is_quoted: letter == '"', at };
        if token.is_quoted {
            while let Some((_, letter)) = letters.next() {
                match letter {
                    '"' => break,
                    '\\' => token.text.extend(letters.next().map(|(_, escaped)| escaped)),
                    letter => token.text.push(letter),
                }
            }
        } else {
            token.text.push(letter);
            let ends = |letter: char| letter.is_whitespace() || matches!(letter, '(' | ')' | ',' | '"');
            while !ends(letter) && letters.peek().is_some_and(|(_, next)| !ends(*next)) {
                token.text.extend(letters.next().map(|(_, next)| next));
            }
        }
        tokens.push(token);
    }
    tokens
}

struct Parser<'a> {
    tokens: Vec<Token>,
    next: usize,
    region: &'a str,
    /// The length of the rule, in characters.
    end: usize,
}

impl Parser<'_> {
    fn take(&mut self) -> Option<Token> {
        let token = self.tokens.get(self.next).cloned();
        self.next += 1;
        token
    }

    fn takes(&mut self, text: &str) -> bool {
        let is_next = self.tokens.get(self.next).is_some_and(|token| token.is(text));
        self.next += usize::from(is_next);
        is_next
    }

    fn expect(&mut self, text: &str) -> Result<(), Failure> {
        if self.takes(text) { Ok(()) } else { Err(self.refuse(&format!("'{text}'"))) }
    }

    /// The refusal of the token that comes next.
    fn refuse(&self, expected: &str) -> Failure {
        let end = Token { text: "<EOF>".to_owned(), is_quoted: false, at: self.end };
        self.tokens.get(self.next).unwrap_or(&end).unsupported(expected)
    }

    fn any(&mut self) -> Result<Rule, Failure> {
        let mut rules = vec![self.all()?];
        while self.takes("OR") {
            rules.push(self.all()?);
        }
        Ok(if rules.len() == 1 { rules.remove(0) } else { Rule::Any(rules) })
    }

    fn all(&mut self) -> Result<Rule, Failure> {
        let mut rules = vec![self.operand()?];
        while self.takes("AND") {
            rules.push(self.operand()?);
        }
        Ok(if rules.len() == 1 { rules.remove(0) } else { Rule::All(rules) })
    }

    fn operand(&mut self) -> Result<Rule, Failure> {
        let mut is_negated = false;
        while self.takes("NOT") {
            is_negated = !is_negated;
        }
        let rule = if self.takes("(") {
            let rule = self.any()?;
            self.expect(")")?;
            rule
        } else if self.takes("TRUE") {
            Rule::Constant(true)
        } else if self.takes("FALSE") {
            Rule::Constant(false)
        } else if self.takes("AT_LEAST") {
            self.at_least()?
        } else {
            let state = self.state(OPERAND)?;
            self.expect("(")?;
            let alarm = self.alarm()?;
            self.expect(")")?;
            Rule::State { alarm, state }
        };
        Ok(if is_negated { Rule::Not(Box::new(rule)) } else { rule })
    }

    fn state(&mut self, expected: &str) -> Result<StateValue, Failure> {
        let found = StateValue::ALL.into_iter().find(|state| self.takes(state.name()));
        found.ok_or_else(|| self.refuse(expected))
    }

    /// `(2, NOT ALARM, (a, b, c))` or `(50%, …)`.
    fn at_least(&mut self) -> Result<Rule, Failure> {
        const STATE: &str = "'NOT', ALARM, OK, or INSUFFICIENT_DATA";
        self.expect("(")?;
        let token = self.tokens.get(self.next).cloned();
        let text = token.map(|token| token.text).unwrap_or_default();
        let (digits, is_percent) = text.strip_suffix('%').map_or((text.as_str(), false), |digits| (digits, true));
        let is_number = !digits.is_empty() && digits.len() < 9 && digits.bytes().all(|byte| byte.is_ascii_digit());
        let Some(number) = digits.parse::<usize>().ok().filter(|_| is_number) else {
            return Err(self.refuse("NUMBER, PERCENTAGE NUMBER"));
        };
        self.next += 1;
        self.expect(",")?;
        let is_negated = self.takes("NOT");
        let state = self.state(STATE)?;
        self.expect(",")?;
        self.expect("(")?;
        let mut alarms = vec![self.alarm()?];
        while self.takes(",") {
            alarms.push(self.alarm()?);
        }
        self.expect(")")?;
        self.expect(")")?;
        let quorum = if is_percent { Quorum::Percent(number) } else { Quorum::Count(number) };
        match quorum {
            Quorum::Percent(0 | 101..) => Err(wrong("AT_LEAST percentage threshold must be between 1 and 100")),
            Quorum::Count(count) if count == 0 || count > alarms.len() => Err(wrong(&format!(
                "AT_LEAST absolute threshold must be between 1 and number of alarms ({})",
                alarms.len()
            ))),
            Quorum::Percent(_) | Quorum::Count(_) => Ok(Rule::AtLeast { quorum, state, is_negated, alarms }),
        }
    }

    /// A name or an ARN, as a name.
    fn alarm(&mut self) -> Result<String, Failure> {
        let is_name = |token: &&Token| token.is_quoted || !matches!(token.text.as_str(), "(" | ")" | ",");
        if self.tokens.get(self.next).filter(is_name).is_none() {
            return Err(self.refuse("unquoted alarm name, quoted alarm name"));
        }
        let text = self.take().map(|token| token.text).unwrap_or_default();
        name_of(&text, self.region)
    }
}

/// The name of the alarm that a name or an ARN stands for.
pub(super) fn name_of(text: &str, region: &str) -> Result<String, Failure> {
    let parts: Vec<&str> = text.splitn(7, ':').collect();
    match parts[..] {
        ["arn", _, "cloudwatch", of_region, of_account, "alarm", name] => {
            if of_account != ACCOUNT {
                let message = "A composite alarm cannot have a child relation with alarms from another AWS account";
                return Err(invalid(message));
            }
            if of_region != region {
                let expected = format!("{region} was expected instead");
                return Err(wrong(&format!("Wrong ARN region, it was {of_region} but {expected}")));
            }
            Ok(name.to_owned())
        }
        _ => Ok(text.to_owned()),
    }
}

/// The refusal of a rule that names alarms that do not exist.
pub(super) fn missing(region: &str, names: &[String]) -> Failure {
    let arns: Vec<String> = names.iter().map(|name| arn_of(region, name)).collect();
    invalid(format!(
        "Could not save the composite alarm as alarms [{}] in the alarm rule do not exist",
        arns.join(", ")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state_of(name: &str) -> Option<StateValue> {
        match name {
            "rings" | "a b" => Some(StateValue::Alarm),
            "calm" | "a)b" => Some(StateValue::Ok),
            "new" => Some(StateValue::InsufficientData),
            _ => None,
        }
    }

    #[test]
    fn rules_hold_as_their_operators_say() {
        #[rustfmt::skip]
        let cases = [
            // rule                                       holds   why
            ("TRUE",                                      true,   "a constant"),
            ("ALARM(rings)",                              true,   "the state is the one asked for"),
            ("ALARM ( rings )",                           true,   "space does not matter"),
            ("ALARM(\"a b\")",                            true,   "a quoted name may hold spaces"),
            ("OK(\"a)b\")",                               true,   "and parentheses"),
            ("OK(rings)",                                 false,  "another state"),
            ("INSUFFICIENT_DATA(new)",                    true,   "the third state"),
            ("NOT ALARM(calm)",                           true,   "negation"),
            ("NOT NOT ALARM(calm)",                       false,  "twice"),
            ("TRUE OR FALSE AND FALSE",                   true,   "AND binds closer than OR"),
            ("(TRUE OR FALSE) AND FALSE",                 false,  "parentheses bind closest"),
            ("ALARM(rings) AND NOT (OK(calm) AND TRUE)",  false,  "negation of a group"),
            ("ALARM(arn:aws:cloudwatch:eu-west-2:123456789012:alarm:rings)", true, "by ARN"),
            ("AT_LEAST(2, ALARM, (rings, rings, calm))",  true,   "one that is named twice counts twice"),
            ("AT_LEAST(67%, ALARM, (rings, rings, calm))", false, "two of three are less than 67 %"),
            ("AT_LEAST(66%, ALARM, (rings, rings, calm))", true,  "but not less than 66 %"),
            ("AT_LEAST(1, NOT ALARM, (rings, calm))",     true,   "a quorum of those that are not"),
        ];
        for (text, holds, why) in cases {
            let rule = Rule::parse(text, "eu-west-2").unwrap();
            assert_eq!(rule.holds(&state_of), holds, "{text}: {why}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_refused_as_aws_does() {
        #[rustfmt::skip]
        let cases = [
            ("true",             format!("Unsupported token 'true' at char 0, must be: {OPERAND}"), "words are upper case"),
            ("TRUE and FALSE",   "Unsupported token 'and' at char 5, must be: <EOF>, 'AND', 'OR'".to_owned(), "operators too"),
            ("!TRUE",            format!("Unsupported token '!TRUE' at char 0, must be: {OPERAND}"), "no signs"),
            ("ALARM(an alarm x)", "Unsupported token 'alarm' at char 9, must be: ')'".to_owned(), "spaces want quotes"),
            ("UNKNOWN(a)",       format!("Unsupported token 'UNKNOWN' at char 0, must be: {OPERAND}"), "no such function"),
            ("()",               format!("Unsupported token ')' at char 1, must be: {OPERAND}"), "nothing inside"),
            ("AT_LEAST(0, ALARM, (a,b))",
             "AT_LEAST absolute threshold must be between 1 and number of alarms (2)".to_owned(), "too few"),
            ("AT_LEAST(101%, ALARM, (a,b))", "AT_LEAST percentage threshold must be between 1 and 100".to_owned(), "too many"),
            ("AT_LEAST(1.5, ALARM, (a,b))",
             "Unsupported token '1.5' at char 9, must be: NUMBER, PERCENTAGE NUMBER".to_owned(), "whole numbers"),
            ("ALARM(arn:aws:cloudwatch:us-west-2:123456789012:alarm:a)",
             "Wrong ARN region, it was us-west-2 but eu-west-2 was expected instead".to_owned(), "another region"),
        ];
        for (text, message, why) in cases {
            let failure = Rule::parse(text, "eu-west-2").unwrap_err();
            assert_eq!(failure.code, "ValidationError", "{text}: {why}");
            assert_eq!(failure.message, format!("Error in AlarmRule [{message}]"), "{text}: {why}");
        }
        let nested = "(".repeat(501) + "TRUE" + &")".repeat(501);
        assert!(Rule::parse(&nested, "eu-west-2").is_err(), "deeper than the elements allow");
        let foreign = Rule::parse("OK(arn:aws:cloudwatch:eu-west-2:111111111111:alarm:a)", "eu-west-2").unwrap_err();
        assert!(foreign.message.contains("another AWS account"));
    }

    #[test]
    fn the_states_that_speak_for_an_outcome_are_its_causes() {
        #[rustfmt::skip]
        let cases = [
            // rule                              holds   causes
            ("ALARM(rings) OR ALARM(calm)",      true,   vec!["rings"]),
            ("ALARM(calm) OR ALARM(new)",        false,  vec!["calm", "new"]),
            ("ALARM(rings) AND NOT ALARM(calm)", true,   vec!["rings", "calm"]),
            ("TRUE",                             true,   vec![]),
        ];
        for (text, holds, causes) in cases {
            let rule = Rule::parse(text, "eu-west-2").unwrap();
            assert_eq!(rule.holds(&state_of), holds, "{text}");
            assert_eq!(rule.causes(holds, &state_of), causes, "{text}");
        }
    }
}
