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

diesel::table! {
    installations (id) {
        id -> BigInt,
        owner_id -> BigInt,
        owner -> Text,
        owner_kind -> Text,
        suspended -> Bool,
        removed -> Bool,
        version -> BigInt,
        created_at -> Timestamp,
        updated_at -> Timestamp,
    }
}

diesel::table! {
    installation_accounts (installation_id, account_id) {
        installation_id -> BigInt,
        account_id -> Text,
        proved_by -> Text,
        proved_at -> Timestamp,
    }
}

diesel::joinable!(installation_accounts -> installations (installation_id));
diesel::allow_tables_to_appear_in_same_query!(installation_accounts, installations);

diesel::table! {
    deliveries (id) {
        id -> Text,
        digest -> Text,
        event -> Text,
        action -> Nullable<Text>,
        installation_id -> BigInt,
        repository -> Nullable<Text>,
        branch -> Nullable<Text>,
        commit_id -> Nullable<Text>,
        content -> Text,
        received_at -> Timestamp,
    }
}

diesel::table! {
    outcomes (id) {
        id -> Text,
        delivery_id -> Text,
        account_id -> Text,
        state -> Text,
        reason -> Nullable<Text>,
        builds -> Text,
        run -> Integer,
        finished_at -> Nullable<Timestamp>,
    }
}

diesel::joinable!(outcomes -> deliveries (delivery_id));
diesel::allow_tables_to_appear_in_same_query!(outcomes, deliveries);

diesel::table! {
    reports (build_id) {
        build_id -> Text,
        account_id -> Text,
        project_id -> Nullable<Text>,
        environment -> Nullable<Text>,
        label -> Nullable<Text>,
        owner -> Nullable<Text>,
        repo -> Nullable<Text>,
        commit_id -> Nullable<Text>,
        state -> Text,
        deployment_id -> Nullable<BigInt>,
        created_at -> Timestamp,
        preview -> Bool,
        environment_id -> Nullable<Text>,
        ended -> Bool,
    }
}

diesel::table! {
    gone_previews (environment_id) {
        environment_id -> Text,
        gone_at -> Timestamp,
    }
}

diesel::table! {
    comments (project_id, number) {
        project_id -> Text,
        number -> BigInt,
        account_id -> Text,
        preview -> Text,
        version -> BigInt,
        comment_id -> Nullable<BigInt>,
        said -> Nullable<Text>,
    }
}
