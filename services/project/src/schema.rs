//! The tables, one description for both backends.

diesel::table! {
    projects (id) {
        id -> Text,
        account_id -> Text,
        name -> Text,
        slug -> Text,
        repo_owner -> Text,
        repo_name -> Text,
        aws_external_id -> Text,
        version -> BigInt,
        created_by -> Nullable<Text>,
        created_at -> Timestamp,
        updated_at -> Timestamp,
        deleted_at -> Nullable<Timestamp>,
    }
}

diesel::table! {
    labels (label) {
        label -> Text,
        environment_id -> Text,
        created_at -> Timestamp,
    }
}

diesel::table! {
    environments (id) {
        id -> Text,
        project_id -> Text,
        account_id -> Text,
        name -> Text,
        kind -> Text,
        label -> Text,
        database -> Bool,
        branch -> Nullable<Text>,
        status -> Text,
        status_reason -> Nullable<Text>,
        live_build_id -> Nullable<Text>,
        live_release_id -> Nullable<Text>,
        version -> BigInt,
        created_at -> Timestamp,
        updated_at -> Timestamp,
        deleted_at -> Nullable<Timestamp>,
        sleep_after -> Nullable<BigInt>,
        instances -> BigInt,
        maintenance -> Bool,
    }
}

diesel::table! {
    variables (environment_id, name) {
        environment_id -> Text,
        name -> Text,
        sealed -> Binary,
        secret -> Bool,
        updated_at -> Timestamp,
    }
}

diesel::table! {
    builds (id) {
        id -> Text,
        project_id -> Text,
        environment_id -> Text,
        kind -> Text,
        git_ref -> Nullable<Text>,
        settings_ref -> Nullable<Text>,
        rollback_to -> Nullable<Text>,
        state -> Text,
        cancel_requested -> Bool,
        commit_id -> Nullable<Text>,
        commit_message -> Nullable<Text>,
        reason -> Nullable<Text>,
        requested_by -> Nullable<Text>,
        requested_at -> Timestamp,
        started_at -> Nullable<Timestamp>,
        finished_at -> Nullable<Timestamp>,
        version -> BigInt,
        trigger_key -> Nullable<Text>,
    }
}

diesel::table! {
    publications (name) {
        name -> Text,
        account_id -> Text,
        environment_id -> Text,
        visibility -> Text,
        scopes -> Text,
        rules -> Text,
        approved -> Bool,
        version -> BigInt,
        created_at -> Timestamp,
        updated_at -> Timestamp,
        withdrawn_at -> Nullable<Timestamp>,
    }
}

diesel::table! {
    domains (environment_id, domain) {
        environment_id -> Text,
        domain -> Text,
        account_id -> Text,
        proof -> Text,
        status -> Text,
        method -> Nullable<Text>,
        problem -> Nullable<Text>,
        created_at -> Timestamp,
        checked_at -> Nullable<Timestamp>,
        verified_at -> Nullable<Timestamp>,
        failing_since -> Nullable<Timestamp>,
        next_check_at -> Timestamp,
    }
}

diesel::table! {
    domain_versions (domain) {
        domain -> Text,
        version -> BigInt,
    }
}

diesel::table! {
    aws_credentials (project_id) {
        project_id -> Text,
        access_key_id -> Nullable<Text>,
        sealed_secret -> Nullable<Binary>,
        role_arn -> Nullable<Text>,
        region -> Text,
        updated_at -> Timestamp,
        check_status -> Text,
        check_code -> Nullable<Text>,
        check_problem -> Nullable<Text>,
        aws_account_id -> Nullable<Text>,
        arn -> Nullable<Text>,
        checked_at -> Nullable<Timestamp>,
    }
}

diesel::table! {
    preview_settings (project_id) {
        project_id -> Text,
        enabled -> Bool,
        secrets -> Bool,
        source_environment -> Text,
        base_branches -> Text,
        most -> Integer,
        sleep_after -> Nullable<BigInt>,
        updated_at -> Timestamp,
    }
}

diesel::table! {
    previews (project_id, number) {
        project_id -> Text,
        number -> BigInt,
        account_id -> Text,
        repo_owner -> Text,
        repo_name -> Text,
        base_branch -> Text,
        head_repository -> Nullable<Text>,
        head_branch -> Text,
        head_commit -> Text,
        fork -> Bool,
        author -> Text,
        status -> Text,
        reason -> Nullable<Text>,
        approved_commit -> Nullable<Text>,
        approved_by -> Nullable<Text>,
        approved_at -> Nullable<Timestamp>,
        environment_id -> Nullable<Text>,
        build_id -> Nullable<Text>,
        built_commit -> Nullable<Text>,
        changed_at -> Timestamp,
        version -> BigInt,
        created_at -> Timestamp,
        updated_at -> Timestamp,
    }
}

diesel::table! {
    closed_accounts (account_id) {
        account_id -> Text,
        closed_at -> Timestamp,
    }
}

diesel::table! {
    webhooks (id) {
        id -> Text,
        account_id -> Text,
        url -> Text,
        description -> Nullable<Text>,
        event_types -> Text,
        sealed_secret -> Binary,
        sealed_previous -> Nullable<Binary>,
        previous_until -> Nullable<Timestamp>,
        status -> Text,
        failing_since -> Nullable<Timestamp>,
        paused_until -> Nullable<Timestamp>,
        last_success_at -> Nullable<Timestamp>,
        last_taken_at -> Timestamp,
        dropped -> BigInt,
        version -> BigInt,
        created_by -> Nullable<Text>,
        created_at -> Timestamp,
        updated_at -> Timestamp,
    }
}

diesel::table! {
    webhook_deliveries (id) {
        id -> Text,
        webhook_id -> Text,
        account_id -> Text,
        message_id -> Text,
        event_type -> Text,
        payload -> Text,
        status -> Text,
        attempts -> Integer,
        tries -> Integer,
        next_attempt_at -> Nullable<Timestamp>,
        lease_owner -> Nullable<Text>,
        response_status -> Nullable<Integer>,
        response_body -> Nullable<Text>,
        problem -> Nullable<Text>,
        duration_ms -> Nullable<BigInt>,
        last_attempt_at -> Nullable<Timestamp>,
        created_at -> Timestamp,
        finished_at -> Nullable<Timestamp>,
    }
}

diesel::joinable!(builds -> projects (project_id));
diesel::allow_tables_to_appear_in_same_query!(builds, projects);
diesel::allow_tables_to_appear_in_same_query!(webhooks, webhook_deliveries);
