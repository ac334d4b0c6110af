//! Damaged seeds, as proptest makes them: what has failed loses damage after damage, and cut after cut,
//! as long as it still fails.

use std::fmt;

use proptest::prelude::*;
use proptest::sample::{Index, select};

/// How much is done to a seed.
const MOST_DAMAGES: usize = 5;
/// At how many places an input is cut.
const MOST_CUTS: usize = 4;
/// How long a stretch is that is removed or comes twice.
const LONGEST_STRETCH: usize = 24;

/// What a target gets.
#[derive(Clone)]
pub struct Input {
    /// A damaged seed.
    pub bytes: Vec<u8>,
    cuts: Vec<usize>,
}

impl Input {
    /// A seed as it is.
    pub(crate) fn whole(seed: &[u8]) -> Self {
        Self {
            bytes: seed.to_vec(),
            cuts: Vec::new(),
        }
    }

    /// The bytes in pieces, as they might come in; none of them, one, or all may be empty.
    #[must_use]
    pub fn pieces(&self) -> Vec<&[u8]> {
        let mut rest = self.bytes.as_slice();
        let mut taken = 0;
        let mut pieces = Vec::new();
        for cut in &self.cuts {
            let (piece, after) = rest.split_at(cut - taken);
            pieces.push(piece);
            (rest, taken) = (after, *cut);
        }
        pieces.push(rest);
        pieces
    }

    /// The bytes as text, with what is none replaced.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }
}

impl fmt::Debug for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "b\"{}\"", self.bytes.escape_ascii())?;
        if !self.cuts.is_empty() {
            write!(f, " cut at {:?}", self.cuts)?;
        }
        Ok(())
    }
}

/// What is done to a seed.
#[derive(Clone, Debug)]
enum Damage {
    /// A bit is turned.
    Turn(Index, u8),
    /// A byte is another.
    Put(Index, u8),
    /// A stretch is missing.
    Remove(Index, usize),
    /// All from here on is missing.
    End(Index),
    /// Something comes in between.
    Insert(Index, Vec<u8>),
    /// A stretch comes once more somewhere.
    Again(Index, usize, Index),
    /// From here on it is another seed, from there on.
    Cross(Index, Vec<u8>, Index),
}

impl Damage {
    fn apply(&self, bytes: &mut Vec<u8>) {
        let place = |index: &Index, bytes: &[u8]| index.index(bytes.len() + 1);
        let stretch = |index: &Index, length: usize, bytes: &[u8]| {
            let start = place(index, bytes);
            start..(start + length).min(bytes.len())
        };
        match self {
            Self::Turn(at, bit) => {
                let at = place(at, bytes);
                bytes
                    .iter_mut()
                    .skip(at)
                    .take(1)
                    .for_each(|byte| *byte ^= 1 << bit);
            }
            Self::Put(at, new) => {
                let at = place(at, bytes);
                bytes
                    .iter_mut()
                    .skip(at)
                    .take(1)
                    .for_each(|byte| *byte = *new);
            }
            Self::Remove(at, length) => drop(bytes.drain(stretch(at, *length, bytes))),
            Self::End(at) => bytes.truncate(place(at, bytes)),
            Self::Insert(at, word) => {
                let at = place(at, bytes);
                bytes.splice(at..at, word.iter().copied());
            }
            Self::Again(from, length, to) => {
                let range = stretch(from, *length, bytes);
                let copy = bytes.get(range).unwrap_or_default().to_vec();
                let to = place(to, bytes);
                bytes.splice(to..to, copy);
            }
            Self::Cross(at, other, from) => {
                bytes.truncate(place(at, bytes));
                bytes.extend(other.iter().skip(place(from, other)));
            }
        }
    }
}

/// Inputs made of these seeds and words.
pub(crate) fn damaged(seeds: &[&[u8]], words: &[&[u8]]) -> impl Strategy<Value = Input> + use<> {
    let owned = |all: &[&[u8]]| all.iter().map(|one| one.to_vec()).collect::<Vec<_>>();
    let (seeds, mut words) = (owned(seeds), owned(words));
    words.extend(owned(&[b"\0", b" ", b"\r\n", b"\x80", b"\xff"]));
    let at = any::<Index>;
    let damage = prop_oneof![
        2 => (at(), 0..8_u8).prop_map(|(at, bit)| Damage::Turn(at, bit)),
        1 => (at(), any::<u8>()).prop_map(|(at, byte)| Damage::Put(at, byte)),
        2 => (at(), 1..=LONGEST_STRETCH).prop_map(|(at, length)| Damage::Remove(at, length)),
        1 => at().prop_map(Damage::End),
        4 => (at(), select(words)).prop_map(|(at, word)| Damage::Insert(at, word)),
        1 => (at(), 1..=LONGEST_STRETCH, at()).prop_map(|(from, length, to)| Damage::Again(from, length, to)),
        1 => (at(), select(seeds.clone()), at()).prop_map(|(at, other, from)| Damage::Cross(at, other, from)),
    ];
    let damages = proptest::collection::vec(damage, 0..=MOST_DAMAGES);
    let cuts = proptest::collection::vec(any::<Index>(), 0..=MOST_CUTS);
    (select(seeds), damages, cuts).prop_map(|(mut bytes, damages, cuts)| {
        for damage in damages {
            damage.apply(&mut bytes);
        }
        let place = |cut: Index| cut.index(bytes.len() + 1);
        let mut cuts: Vec<_> = cuts.into_iter().map(place).collect();
        cuts.sort_unstable();
        Input { bytes, cuts }
    })
}
