use super::*;
use common::id::AuditId;
use common::time::Time;
use common::token::ActorType;
use proptest::prelude::*;
use serde_json::Value;

fn entry(millis: i64) -> AuditEntry {
    let at = Time::from_unix_micros(millis * 1_000);
    AuditEntry {
        id: AuditId::new(at),
        at,
        actor: "user_1".into(),
        actor_type: ActorType::Euser,
        action: "thing.done".into(),
        subject: "thing_1".into(),
        account_id: None,
        ip: None,
        details: Value::Null,
    }
}

/// What a service would answer.
fn answer(log: &[AuditEntry], after: Option<&AuditId>, limit: i64) -> Vec<AuditEntry> {
    let mut log: Vec<_> = log
        .iter()
        .filter(|entry| after.is_none_or(|after| entry.id < *after))
        .cloned()
        .collect();
    log.sort_by(|one, other| other.id.cmp(&one.id));
    log.truncate(usize::try_from(limit).unwrap());
    log
}

/// Reads pages of this size to the end, with `between` after each.
fn read_all(
    logs: &mut [Vec<AuditEntry>],
    size: u32,
    mut between: impl FnMut(&mut [Vec<AuditEntry>]),
) -> Vec<AuditId> {
    let mut read = Vec::new();
    let mut after: Option<AuditId> = None;
    loop {
        let page = PageQuery::new(Some(size), None);
        let parts = SERVICES.iter().zip(logs.iter());
        let parts = parts
            .map(|((service, _), log)| (*service, answer(log, after.as_ref(), page.fetch())))
            .collect();
        let merged = merge(parts, &page);
        assert!(merged.items.len() <= page.limit());
        read.extend(merged.items.into_iter().map(|found| found.entry.id));
        match merged.next {
            Some(next) => after = Some(next.parse().unwrap()),
            None => return read,
        }
        between(logs);
    }
}

fn newest_first(logs: &[Vec<AuditEntry>]) -> Vec<AuditId> {
    let mut all: Vec<_> = logs
        .iter()
        .flatten()
        .map(|entry| entry.id.clone())
        .collect();
    all.sort();
    all.reverse();
    all
}

fn six_logs() -> impl Strategy<Value = Vec<Vec<AuditEntry>>> {
    // Few milliseconds for many entries: most borders of pages are between entries of one instant.
    let log = prop::collection::vec((0..8_i64).prop_map(entry), 0..40);
    prop::collection::vec(log, SERVICES.len())
}

proptest! {
    #[test]
    fn page_by_page_each_entry_of_all_services_comes_once_newest_first(
        mut logs in six_logs(), size in 1..30_u32,
    ) {
        let expected = newest_first(&logs);
        prop_assert_eq!(read_all(&mut logs, size, |_| ()), expected);
    }

    #[test]
    fn what_is_done_meanwhile_moves_nothing_from_one_page_to_another(
        mut logs in six_logs(), size in 1..30_u32, place in 0..6_usize,
    ) {
        let expected = newest_first(&logs);
        let newer = |logs: &mut [Vec<AuditEntry>]| logs[place].push(entry(1_000));
        prop_assert_eq!(read_all(&mut logs, size, newer), expected);
    }
}
