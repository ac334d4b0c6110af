//! The service's tables, one schema for both backends.

diesel::table! {
    repositories (account_id, name) {
        account_id -> Text,
        name -> Text,
        default_branch -> Nullable<Text>,
        pushed_at -> Nullable<Timestamp>,
        pushed_by -> Nullable<Text>,
        created_at -> Timestamp,
        version -> BigInt,
    }
}

diesel::table! {
    branches (account_id, repository, name) {
        account_id -> Text,
        repository -> Text,
        name -> Text,
        commit_id -> Nullable<Text>,
        version -> BigInt,
    }
}

diesel::table! {
    pushes (id) {
        id -> Text,
        account_id -> Text,
        repository -> Text,
        pushed_by -> Nullable<Text>,
        started_at -> Timestamp,
    }
}

diesel::table! {
    closed_accounts (account_id) {
        account_id -> Text,
        closed_at -> Timestamp,
        removed -> Bool,
    }
}
