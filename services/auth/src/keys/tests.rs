use super::turns::Turn;
use super::*;

const RULES: Rules = Rules {
    algorithm: Algorithm::Es256,
    lifetime: Span::days(90),
    overlap: Span::hours(1),
};

fn row(kid: &str, state: KeyState, changed_days_ago: i64) -> Row {
    Row {
        kid: kid.into(),
        algorithm: Algorithm::Es256,
        state,
        kinds: String::new(),
        public_jwk: String::new(),
        sealed_key: Vec::new(),
        created_at: Time::EPOCH,
        changed_at: now() - Span::days(changed_days_ago),
        rotation_asked_at: None,
    }
}

fn now() -> Time {
    Time::from_unix(1_800_000_000)
}

#[test]
fn the_first_start_makes_a_key_and_the_one_after_it() {
    assert_eq!(
        turns(&[], RULES, now()),
        [Turn::Create(KeyState::Active), Turn::Create(KeyState::Next)]
    );
}

#[test]
fn nothing_is_done_while_the_active_key_is_young() {
    let rows = [
        row("a", KeyState::Active, 89),
        row("n", KeyState::Next, 89),
        row("r", KeyState::Retiring, 300),
    ];
    assert_eq!(turns(&rows, RULES, now()), []);
}

#[test]
fn an_old_key_gives_way_to_one_that_everybody_knows_by_then() {
    let rows = [row("a", KeyState::Active, 90), row("n", KeyState::Next, 90)];
    let expected = [
        Turn::Become("a".into(), KeyState::Retiring),
        Turn::Become("n".into(), KeyState::Active),
        Turn::Create(KeyState::Next),
    ];
    assert_eq!(turns(&rows, RULES, now()), expected);
    let rows = [row("a", KeyState::Active, 90), row("n", KeyState::Next, 0)];
    assert_eq!(
        turns(&rows, RULES, now()),
        [],
        "a key nobody can know yet doesn't sign"
    );
}

#[test]
fn a_young_key_gives_way_where_an_operator_has_asked_for_it() {
    let asked = Row {
        rotation_asked_at: Some(now()),
        ..row("a", KeyState::Active, 1)
    };
    let rows = [asked.clone(), row("n", KeyState::Next, 0)];
    assert_eq!(turns(&rows, RULES, now()), [], "nobody can know it yet");
    let rows = [asked, row("n", KeyState::Next, 1)];
    assert!(turns(&rows, RULES, now()).contains(&Turn::Become("n".into(), KeyState::Active)));
}

#[test]
fn where_none_signs_any_more_the_next_one_does() {
    let rows = [row("n", KeyState::Next, 0)];
    let expected = [
        Turn::Become("n".into(), KeyState::Active),
        Turn::Create(KeyState::Next),
    ];
    assert_eq!(turns(&rows, RULES, now()), expected);
}

#[test]
fn a_key_stays_published_until_its_last_token_has_ended() {
    let rows = [
        row("a", KeyState::Active, 1),
        row("n", KeyState::Next, 1),
        row("r", KeyState::Retiring, 368),
    ];
    assert_eq!(turns(&rows, RULES, now()), [Turn::Remove("r".into())]);
}

#[test]
fn another_algorithm_begins_with_a_new_key_that_is_published_first() {
    let rules = Rules {
        algorithm: Algorithm::EdDsa,
        ..RULES
    };
    let rows = [row("a", KeyState::Active, 1), row("n", KeyState::Next, 1)];
    assert_eq!(
        turns(&rows, rules, now()),
        [Turn::Remove("n".into()), Turn::Create(KeyState::Next)]
    );
    let next = Row {
        algorithm: Algorithm::EdDsa,
        ..row("e", KeyState::Next, 1)
    };
    let rows = [row("a", KeyState::Active, 1), next];
    assert!(turns(&rows, rules, now()).contains(&Turn::Become("e".into(), KeyState::Active)));
}

#[test]
fn no_key_of_ours_signs_what_the_gateway_says_to_upstream_services() {
    assert!(!KINDS.contains(&TokenKind::Forward));
    assert_eq!(KINDS.len() + 1, TokenKind::ALL.len());
}
