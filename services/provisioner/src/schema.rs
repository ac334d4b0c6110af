//! The tables of provisioner, one description for both backends.

diesel::table! {
    /// Attempts to turn a commit into a release.
    builds (id) {
        id -> Text,
        environment_id -> Text,
        project_id -> Text,
        account_id -> Text,
        state -> Text,
        request -> Text,
        commit_id -> Nullable<Text>,
        message -> Nullable<Text>,
        reason -> Nullable<Text>,
        release_id -> Nullable<Text>,
        version -> BigInt,
        created_at -> Timestamp,
        started_at -> Nullable<Timestamp>,
        finished_at -> Nullable<Timestamp>,
    }
}

diesel::table! {
    /// What builds made.
    releases (id) {
        id -> Text,
        environment_id -> Text,
        account_id -> Text,
        build_id -> Text,
        node -> Text,
        directory -> Text,
        plan -> Text,
        commit_id -> Text,
        message -> Text,
        created_at -> Timestamp,
        used_at -> Timestamp,
        removed_at -> Nullable<Timestamp>,
    }
}

diesel::table! {
    /// What answers for each environment.
    deployments (environment_id) {
        environment_id -> Text,
        project_id -> Text,
        account_id -> Text,
        label -> Text,
        has_database -> Bool,
        release_id -> Nullable<Text>,
        build_id -> Nullable<Text>,
        upstreams -> Text,
        hold_until -> Nullable<Timestamp>,
        reason -> Nullable<Text>,
        version -> BigInt,
        deleted_at -> Nullable<Timestamp>,
        sleep_after -> Nullable<BigInt>,
        rest -> Text,
        active_at -> Nullable<Timestamp>,
        wanted -> BigInt,
    }
}

diesel::table! {
    /// Running copies of releases.
    instances (id) {
        id -> Text,
        environment_id -> Text,
        release_id -> Text,
        node -> Text,
        sealed_secrets -> Binary,
        output_offset -> BigInt,
        created_at -> Timestamp,
        retire_at -> Nullable<Timestamp>,
        started_by -> Text,
        live -> Bool,
        address -> Nullable<Text>,
        renew -> Bool,
    }
}

diesel::table! {
    /// Logs of builds and environments.
    log_chunks (stream_id, first_number) {
        stream_id -> Text,
        first_number -> BigInt,
        last_number -> BigInt,
        lines -> Text,
    }
}

diesel::table! {
    /// Secrets made once for an environment.
    generated_secrets (environment_id, name) {
        environment_id -> Text,
        name -> Text,
        sealed -> Binary,
    }
}

diesel::table! {
    /// Environments with a database of their own.
    app_databases (environment_id) {
        environment_id -> Text,
        sealed_password -> Binary,
    }
}

diesel::table! {
    /// Numbers of accounts, from which their user ids on the machine are made.
    owners (account_id) {
        account_id -> Text,
        number -> BigInt,
    }
}

diesel::allow_tables_to_appear_in_same_query!(builds, releases, deployments, instances);
