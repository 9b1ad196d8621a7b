//! Pages of a long answer, and the tokens that lead from one to the next.

use std::collections::HashMap;

use crate::fleet::chance::random_digits;
use crate::fleet::refusal::Refusal;

/// The tokens that were handed out. They are good as long as the account is: AWS keeps them for a while.
#[derive(Default)]
pub(super) struct Pages(HashMap<String, Next>);

/// Where a page begins.
struct Next {
    /// What was asked, but for the size of the pages.
    question: String,
    /// The last item before it.
    after: String,
}

impl Pages {
    /// The items of a page, and the token for the next one. Items may come and go between two pages: a page begins after
    /// the last item of the one before, whether that is still there or not.
    pub(super) fn cut(
        &mut self,
        question: &str,
        sorted: Vec<String>,
        size: usize,
        token: Option<&str>,
    ) -> Result<(Vec<String>, Option<String>), Refusal> {
        let after = match token {
            None | Some("") => None,
            // Whoever brings a token to another question is refused as well: AWS does not say what it does.
            Some(token) => match self.0.get(token) {
                Some(next) if next.question == question => Some(next.after.clone()),
                _ => {
                    let message = "The specified token isn't valid.";
                    return Err(Refusal::new("InvalidNextToken", message));
                }
            },
        };
        let mut items: Vec<_> = sorted
            .into_iter()
            .filter(|item| after.as_ref().is_none_or(|after| item > after))
            .collect();
        if items.len() <= size {
            return Ok((items, None));
        }
        items.truncate(size);
        let next = Next {
            question: question.to_owned(),
            after: items.last().expect("pages have items").clone(),
        };
        let token = random_digits(4);
        self.0.insert(token.clone(), next);
        Ok((items, Some(token)))
    }
}
