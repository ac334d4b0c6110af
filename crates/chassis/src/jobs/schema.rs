//! The table of jobs.

diesel::table! {
    jobs (id) {
        id -> Text,
        kind -> Text,
        job_key -> Text,
        group_key -> Nullable<Text>,
        payload -> Text,
        state -> Text,
        run_at -> Timestamp,
        lease_until -> Nullable<Timestamp>,
        lease_owner -> Nullable<Text>,
        attempts -> BigInt,
        cancel_requested -> Bool,
        last_error -> Nullable<Text>,
        created_at -> Timestamp,
        updated_at -> Timestamp,
    }
}
