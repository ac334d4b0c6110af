//! When which key takes which turn.

use chassis::db::Db;
use common::time::Time;

use super::store::{self, Row};
use super::{KeyState, Rules, active};
use crate::revocation::LONGEST_LIFE;

/// One change of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    Create(KeyState),
    Become(String, KeyState),
    Remove(String),
}

/// What is to be done with these keys at this time.
pub(super) fn turns(rows: &[Row], rules: Rules, now: Time) -> Vec<Turn> {
    let of = |state: KeyState| rows.iter().filter(move |row| row.state == state);
    let mut turns: Vec<_> = of(KeyState::Retiring)
        .filter(|row| now - row.changed_at > LONGEST_LIFE)
        .map(|row| Turn::Remove(row.kid.clone()))
        .collect();
    let next = of(KeyState::Next).find(|row| row.algorithm == rules.algorithm);
    // One that was published for signing in another way never signs.
    turns.extend(
        of(KeyState::Next)
            .filter(|row| row.algorithm != rules.algorithm)
            .map(|row| Turn::Remove(row.kid.clone())),
    );
    let Some(active) = active(rows) else {
        // At the first start, and when the one that signed was revoked.
        turns.push(match next {
            Some(next) => Turn::Become(next.kid.clone(), KeyState::Active),
            None => Turn::Create(KeyState::Active),
        });
        turns.push(Turn::Create(KeyState::Next));
        return turns;
    };
    let due = active.algorithm != rules.algorithm
        || now - active.changed_at >= rules.lifetime
        || active.rotation_asked_at.is_some();
    match next {
        None => turns.push(Turn::Create(KeyState::Next)),
        Some(next) if due && now - next.changed_at >= rules.overlap => {
            turns.push(Turn::Become(active.kid.clone(), KeyState::Retiring));
            turns.push(Turn::Become(next.kid.clone(), KeyState::Active));
            turns.push(Turn::Create(KeyState::Next));
        }
        Some(_) => {}
    }
    turns
}

/// Does all that is to be done, unless another replica has done it meanwhile. The caller holds the
/// lock of the keys, and gives new ones for the places that become free.
pub(super) fn take_all(
    db: &mut Db,
    spare: Vec<Row>,
    rules: Rules,
    now: Time,
) -> Result<Vec<Row>, diesel::result::Error> {
    let mut spare = spare.into_iter();
    // A key that is made in one round may take its turn in the second.
    for _ in 0..2 {
        for turn in turns(&store::all(db)?, rules, now) {
            match turn {
                Turn::Create(state) => {
                    if let Some(row) = spare.next() {
                        tracing::info!(key.id = %row.kid, key.state = %state, "a signing key was made");
                        store::insert(db, &Row { state, ..row })?;
                    }
                }
                Turn::Become(kid, state) => {
                    tracing::info!(key.id = %kid, key.state = %state, "a signing key takes its turn");
                    store::set_state(db, &kid, state, now)?;
                }
                Turn::Remove(kid) => {
                    tracing::info!(key.id = %kid, "a signing key is gone");
                    store::remove(db, &kid)?;
                }
            }
        }
    }
    store::all(db)
}
