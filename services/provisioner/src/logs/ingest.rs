//! The way of running apps' output into their environments' logs.
//!
//! An app writes to a file. What is read of it and how far it was read are kept in one transaction: no
//! line is lost or doubled, whenever Slipway is killed.

use std::collections::HashMap;
use std::time::Duration;

use chassis::db::Db;
use common::time::Time;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::{Line, store};
use crate::build::{Masker, plain};
use crate::deployments::instances::{self, InstanceRow};
use crate::deployments::launch::place;
use crate::driver::OutputSlice;
use crate::state::State;

/// How often is looked for new instances.
const LOOK: Duration = Duration::from_millis(500);
/// How much is read at once, in bytes.
const AT_ONCE: usize = 64 * 1024;
/// How long a reader rests after something failed.
const REST: Duration = Duration::from_secs(2);
/// How the driver marks lines of its own.
const OWN: &str = "slipway: ";

/// Reads the output of this machine's instances, until it is told to stop.
pub(crate) async fn run(state: State, shutdown: CancellationToken) {
    let mut readers: HashMap<String, JoinHandle<()>> = HashMap::new();
    loop {
        readers.retain(|_, reader| !reader.is_finished());
        let node = state.node().to_owned();
        match state
            .db
            .read(move |db: &mut Db| instances::of_node(db, &node))
            .await
        {
            Ok(rows) => {
                for row in rows.into_iter().filter(|row| row.retire_at.is_none()) {
                    let (state, shutdown) = (state.clone(), shutdown.clone());
                    readers
                        .entry(row.id.clone())
                        .or_insert_with(|| tokio::spawn(follow(state, row.id, shutdown)));
                }
            }
            Err(error) => tracing::warn!(error = %error, "the instances can't be listed"),
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {}
            () = shutdown.cancelled() => break,
        }
    }
    for (_, reader) in readers {
        let _ended = reader.await;
    }
}

/// Reads one instance's output as long as it is on record.
async fn follow(state: State, id: String, shutdown: CancellationToken) {
    while !shutdown.is_cancelled() {
        let instance = id.clone();
        let row = match state
            .db
            .read(move |db: &mut Db| instances::find(db, &instance))
            .await
        {
            Ok(Some(row)) => row,
            Ok(None) => return,
            Err(error) => {
                tracing::warn!(instance.id = %id, error = %error, "an app's output can't be kept yet");
                tokio::time::sleep(REST).await;
                continue;
            }
        };
        if let Err(error) = follow_row(&state, row, &shutdown).await {
            // Not there yet, or no more.
            tracing::debug!(instance.id = %id, error = format!("{error:#}"), "an app's output can't be read");
            tokio::select! { () = tokio::time::sleep(LOOK) => {}, () = shutdown.cancelled() => {} }
        }
    }
}

async fn follow_row(
    state: &State,
    mut row: InstanceRow,
    shutdown: &CancellationToken,
) -> anyhow::Result<()> {
    let masker = masker(state, &row)?;
    while !shutdown.is_cancelled() {
        let offset = u64::try_from(row.output_offset)?;
        let slice = tokio::select! {
            slice = state.driver.output(&row.id, offset, AT_ONCE) => slice?,
            () = shutdown.cancelled() => break,
        };
        let Some(next) = keep(state, &row, &masker, &slice, false).await? else {
            break;
        };
        row.output_offset = next;
    }
    Ok(())
}

/// Keeps what is left of a stopped instance's output.
pub(crate) async fn rest(state: &State, row: &InstanceRow) -> anyhow::Result<()> {
    let id = row.id.clone();
    let Some(mut row) = state
        .db
        .read(move |db: &mut Db| instances::find(db, &id))
        .await?
    else {
        return Ok(());
    };
    let masker = masker(state, &row)?;
    // Whatever it printed, there is an end to what is kept of it.
    for _ in 0..1_000 {
        let offset = u64::try_from(row.output_offset)?;
        let Ok(slice) = state.driver.output(&row.id, offset, AT_ONCE).await else {
            break;
        };
        if slice.bytes.is_empty() {
            break;
        }
        let Some(next) = keep(state, &row, &masker, &slice, true).await? else {
            break;
        };
        row.output_offset = next;
    }
    Ok(())
}

fn masker(state: &State, row: &InstanceRow) -> anyhow::Result<Masker> {
    let secrets: Vec<String> =
        serde_json::from_slice(&state.sealer.open(&row.sealed_secrets, &place(&row.id))?)?;
    Ok(state.builder.masker(secrets.iter().map(String::as_str)))
}

/// Keeps the whole lines of a slice, or all of it where no more will come; answers how far that was.
/// `None`: somebody else has kept them.
async fn keep(
    state: &State,
    row: &InstanceRow,
    masker: &Masker,
    slice: &OutputSlice,
    is_last: bool,
) -> anyhow::Result<Option<i64>> {
    let whole = whole_lines(&slice.bytes, is_last);
    let next = i64::try_from(slice.start)? + i64::try_from(whole.len())?;
    if whole.is_empty() {
        return Ok(Some(row.output_offset));
    }
    let lines = lines(&masker.mask_bytes(whole), state.clock.now());
    let (id, from, limit) = (row.id.clone(), row.output_offset, state.apps.log_lines);
    let stream = row.environment_id.to_string();
    let kept = state.db.write(move |db: &mut Db| {
        if !instances::advance(db, &id, from, next)? {
            return Ok(false);
        }
        store::append(db, &stream, &lines)?;
        store::trim(db, &stream, limit)?;
        Ok::<_, diesel::result::Error>(true)
    });
    Ok(kept.await?.then_some(next))
}

/// What ends with a line's end; a line longer than a slice is cut.
fn whole_lines(bytes: &[u8], is_last: bool) -> &[u8] {
    if is_last || bytes.len() >= AT_ONCE && !bytes.contains(&b'\n') {
        return bytes;
    }
    let end = bytes
        .iter()
        .rposition(|byte| *byte == b'\n')
        .map_or(0, |at| at + 1);
    bytes.get(..end).unwrap_or_default()
}

fn lines(bytes: &[u8], time: Time) -> Vec<Line> {
    String::from_utf8_lossy(bytes)
        .lines()
        .map(|line| {
            let (stream, text) = match line.strip_prefix(OWN) {
                Some(text) => ("slipway", text),
                None => ("stdout", line),
            };
            Line {
                time,
                phase: "app".to_owned(),
                stream: stream.to_owned(),
                text: plain(text),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_a_line_waits_for_its_other_half() {
        assert_eq!(whole_lines(b"one\ntw", false), b"one\n");
        assert_eq!(whole_lines(b"tw", false), b"");
        assert_eq!(whole_lines(b"tw", true), b"tw");
        assert_eq!(whole_lines(&vec![b'x'; AT_ONCE], false).len(), AT_ONCE);
    }

    #[test]
    fn lines_of_the_platform_are_told_from_the_apps() {
        let found = lines(
            b"hello \x1b[1mthere\x1b[0m\nslipway: restart 1 in 0.5 s\n",
            Time::EPOCH,
        );
        assert_eq!(
            (found[0].stream.as_str(), found[0].text.as_str()),
            ("stdout", "hello there")
        );
        assert_eq!(
            (found[1].stream.as_str(), found[1].text.as_str()),
            ("slipway", "restart 1 in 0.5 s")
        );
    }
}
