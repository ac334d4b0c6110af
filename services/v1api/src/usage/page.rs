//! A page of sums: what is asked for, what it holds, and where the next one goes on.

use std::collections::BTreeMap;

use diesel::prelude::*;
use serde::{Deserialize, Serialize};

use super::figures::Figures;

/// By what calls are told apart, besides service, endpoint, method and class of status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Apart {
    /// By nothing else.
    Endpoints,
    /// By key.
    Keys,
    /// By day.
    Days,
}

/// What a reader asks for.
#[derive(Clone, Debug)]
pub(crate) struct Question {
    /// Whose calls.
    pub(crate) user: String,
    /// The first hour.
    pub(crate) from: i64,
    /// The first hour no more.
    pub(crate) to: i64,
    /// What is told apart.
    pub(crate) apart: Apart,
    /// Where the page before has ended.
    pub(crate) after: Option<Place>,
    /// How many groups to answer.
    pub(crate) limit: usize,
}

/// A place in the list: after the group of this name, and with days before this one in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Place {
    pub(super) name: Name,
    pub(super) key: Option<String>,
    pub(super) day: Option<i64>,
}

/// Service, endpoint, method, class of status.
pub(super) type Name = (String, String, String, i64);

/// A group of calls.
#[derive(Clone, Debug)]
pub(crate) struct Group {
    pub(crate) service: String,
    pub(crate) endpoint: String,
    pub(crate) method: String,
    pub(crate) status_class: i64,
    pub(crate) key: String,
    pub(crate) day: i64,
    pub(crate) figures: Figures,
}

/// A page.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) groups: Vec<Group>,
    /// Where the next page begins.
    pub(crate) next: Option<Place>,
    /// How many sums were read for it.
    #[cfg(test)]
    pub(crate) sums: usize,
}

/// A kind of calls, as the table knows it.
#[derive(Clone, Debug, Queryable)]
pub(super) struct Kind {
    pub(super) id: i64,
    service: String,
    endpoint: String,
    method: String,
    status_class: i64,
    key: String,
}

/// What a kind of calls came to, by day; all in one where days aren't told apart.
pub(super) type ByDay = BTreeMap<i64, Figures>;

/// A page that is being put together.
pub(super) struct Page<'a> {
    question: &'a Question,
    groups: Vec<Group>,
    /// A group of which there may be more.
    open: Option<(Kind, ByDay)>,
    /// Behind the last group that is whole.
    passed: Option<Place>,
    is_complete: bool,
    /// How many sums were read for it.
    #[cfg(test)]
    pub(super) sums: usize,
}

impl<'a> Page<'a> {
    /// An empty one.
    pub(super) fn new(question: &'a Question) -> Self {
        Self {
            question,
            groups: Vec::new(),
            open: None,
            passed: None,
            is_complete: false,
            #[cfg(test)]
            sums: 0,
        }
    }

    /// Whether it has all groups that were asked for, and one more that shows that there is more.
    pub(super) fn is_full(&self) -> bool {
        self.groups.len() > self.question.limit
    }

    /// Whether a group of it is whole, so that a next page could go on behind it.
    pub(super) fn has_passed(&self) -> bool {
        self.passed.is_some()
    }

    /// There are no more kinds.
    pub(super) fn complete(&mut self) {
        self.close();
        self.is_complete = true;
    }

    /// Adds the next kind of calls.
    pub(super) fn add(&mut self, kind: Kind, figures: ByDay) {
        let together = self.question.apart != Apart::Keys;
        match &mut self.open {
            Some((open, days)) if together && open.name() == kind.name() => {
                for (day, more) in figures {
                    days.entry(day).or_default().add(&more);
                }
            }
            _ => {
                self.close();
                self.open = Some((kind, figures));
            }
        }
    }

    /// The open group is whole.
    fn close(&mut self) {
        let Some((kind, days)) = self.open.take() else {
            return;
        };
        let apart = self.question.apart;
        // The first group may have begun on the page before.
        let before = self.question.after.as_ref();
        let before = before.filter(|place| place.name == kind.name());
        let before = before.and_then(|place| place.day).unwrap_or(i64::MAX);
        for (day, figures) in days.into_iter().rev() {
            if day < before && !figures.is_nothing() {
                self.groups.push(Group {
                    service: kind.service.clone(),
                    endpoint: kind.endpoint.clone(),
                    method: kind.method.clone(),
                    status_class: kind.status_class,
                    key: kind.key.clone(),
                    day,
                    figures,
                });
            }
        }
        let key = (apart == Apart::Keys).then(|| kind.key.clone());
        self.passed = Some(Place {
            name: kind.name(),
            key,
            day: None,
        });
    }

    /// The page as it is answered.
    pub(super) fn finish(mut self) -> Answer {
        let more = self.is_full();
        self.groups.truncate(self.question.limit);
        let next = match self.groups.last() {
            Some(last) if more => Some(last.place(self.question.apart)),
            _ if self.is_complete => None,
            _ => self.passed,
        };
        Answer {
            groups: self.groups,
            next,
            #[cfg(test)]
            sums: self.sums,
        }
    }
}

impl Kind {
    fn name(&self) -> Name {
        (
            self.service.clone(),
            self.endpoint.clone(),
            self.method.clone(),
            self.status_class,
        )
    }
}

impl Place {
    /// The place right behind a kind.
    pub(super) fn behind(kind: &Kind) -> Self {
        Self {
            name: kind.name(),
            key: Some(kind.key.clone()),
            day: None,
        }
    }
}

impl Group {
    fn place(&self, apart: Apart) -> Place {
        let name = (
            self.service.clone(),
            self.endpoint.clone(),
            self.method.clone(),
            self.status_class,
        );
        Place {
            name,
            key: (apart == Apart::Keys).then(|| self.key.clone()),
            day: (apart == Apart::Days).then_some(self.day),
        }
    }
}
