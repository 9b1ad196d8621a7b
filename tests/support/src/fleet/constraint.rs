//! What the API's model says of a request's members, and how AWS words it when they are otherwise.

use std::fmt::Display;
use std::ops::RangeInclusive;

use regex_lite::Regex;
use serde_json::Value;

use crate::fleet::refusal::Refusal;

/// What is known to be wrong with a request.
pub(super) struct Constraints<'a> {
    request: &'a Value,
    violations: Vec<String>,
}

impl<'a> Constraints<'a> {
    /// Of a request that may have these members. The API has others besides: a caller that begins to use one of them
    /// learns that nothing here would come of it.
    pub(super) fn of(request: &'a Value, members: &[&str]) -> Self {
        let given = request.as_object().into_iter().flatten();
        let others = given.filter(|(name, _)| !members.contains(&name.as_str()));
        let violations = others.map(|(name, _)| format!("this stand-in knows no {name}"));
        Self {
            request,
            violations: violations.collect(),
        }
    }

    /// A text of so many characters.
    pub(super) fn text(
        &mut self,
        member: &str,
        length: RangeInclusive<usize>,
        pattern: Option<&str>,
    ) -> Option<&'a str> {
        let text = self.request[member].as_str()?;
        self.check_length(member, text, text.chars().count(), &length);
        if let Some(pattern) = pattern {
            self.check_pattern(member, text, pattern);
        }
        Some(text)
    }

    /// A text that has to be there.
    pub(super) fn required_text(
        &mut self,
        member: &str,
        length: RangeInclusive<usize>,
        pattern: Option<&str>,
    ) -> &'a str {
        self.text(member, length, pattern).unwrap_or_else(|| {
            self.violate("null", member, "Member must not be null");
            ""
        })
    }

    /// A whole number.
    pub(super) fn number(&mut self, member: &str, range: &RangeInclusive<u32>) -> Option<u32> {
        let number = self.request[member].as_i64()?;
        let (least, most) = (i64::from(*range.start()), i64::from(*range.end()));
        if number < least {
            let rule = format!("Member must have value greater than or equal to {least}");
            self.violate(number, member, &rule);
        } else if number > most {
            let rule = format!("Member must have value less than or equal to {most}");
            self.violate(number, member, &rule);
        }
        u32::try_from(number).ok()
    }

    /// A list of at most so many texts.
    pub(super) fn texts(
        &mut self,
        member: &str,
        most: usize,
        pattern: Option<&str>,
    ) -> Vec<&'a str> {
        let list = self.request[member].as_array();
        let texts: Vec<_> = list
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        self.check_count(member, texts.len(), &(0..=most));
        if let Some(pattern) = pattern {
            for text in &texts {
                self.check_pattern(member, text, pattern);
            }
        }
        texts
    }

    /// Refuses what violates the model.
    pub(super) fn check(self) -> Result<(), Refusal> {
        let (count, plural) = match self.violations.len() {
            0 => return Ok(()),
            1 => (1, ""),
            count => (count, "s"),
        };
        let violations = self.violations.join("; ");
        let message = format!("{count} validation error{plural} detected: {violations}");
        Err(Refusal::validation(message))
    }

    /// How many there are of something.
    pub(super) fn check_count(
        &mut self,
        member: &str,
        count: usize,
        range: &RangeInclusive<usize>,
    ) {
        self.check_length(member, format!("[{count} of them]"), count, range);
    }

    fn check_length(
        &mut self,
        member: &str,
        value: impl Display,
        length: usize,
        range: &RangeInclusive<usize>,
    ) {
        if length < *range.start() {
            let least = range.start();
            let rule = format!("Member must have length greater than or equal to {least}");
            self.violate(value, member, &rule);
        } else if length > *range.end() {
            let most = range.end();
            let rule = format!("Member must have length less than or equal to {most}");
            self.violate(value, member, &rule);
        }
    }

    fn check_pattern(&mut self, member: &str, value: &str, pattern: &str) {
        if !matches(pattern, value) {
            let rule = format!("Member must satisfy regular expression pattern: {pattern}");
            self.violate(value, member, &rule);
        }
    }

    fn violate(&mut self, value: impl Display, member: &str, rule: &str) {
        // Members are named as the model has them, with a small first letter.
        let (first, rest) = member.split_at(1);
        let member = first.to_lowercase() + rest;
        self.violations.push(format!(
            "Value '{value}' at '{member}' failed to satisfy constraint: {rule}"
        ));
    }
}

/// Whether there is a match of the pattern in the text.
#[track_caller]
pub(super) fn matches(pattern: &str, text: &str) -> bool {
    let regex = Regex::new(pattern);
    let regex = regex.unwrap_or_else(|error| panic!("{pattern}: {error}"));
    regex.is_match(text)
}
