//! The tables of events.

diesel::table! {
    outbox (position) {
        position -> BigInt,
        event_id -> Text,
        kind -> Text,
        subject -> Text,
        version -> BigInt,
        envelope -> Text,
        created_at -> Timestamp,
        claimed_until -> Nullable<Timestamp>,
        attempts -> BigInt,
    }
}

diesel::table! {
    inbox (event_id, handler) {
        event_id -> Text,
        handler -> Text,
        kind -> Text,
        subject -> Text,
        version -> BigInt,
        envelope -> Text,
        received_at -> Timestamp,
        state -> Text,
        attempts -> BigInt,
        next_attempt_at -> Timestamp,
        last_error -> Nullable<Text>,
    }
}

diesel::table! {
    applied_versions (handler, subject) {
        handler -> Text,
        subject -> Text,
        version -> BigInt,
    }
}
