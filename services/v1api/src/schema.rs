//! The tables, the same for both backends.

diesel::table! {
    route_changes (id) {
        id -> BigInt,
        seq -> BigInt,
        members -> BigInt,
    }
}

diesel::table! {
    app_routes (environment_id) {
        environment_id -> Text,
        account_id -> Text,
        project_id -> Text,
        label -> Text,
        deleted -> Bool,
        upstreams -> Text,
        hold_until -> Nullable<Timestamp>,
        sleeps -> Bool,
        asleep -> Bool,
        maintenance -> Bool,
        seq -> BigInt,
    }
}

diesel::table! {
    domain_routes (domain) {
        domain -> Text,
        environment_id -> Text,
        challenge_name -> Text,
        challenge_content -> Text,
        dropped -> Bool,
        seq -> BigInt,
    }
}

diesel::table! {
    services (name) {
        name -> Text,
        origin -> Text,
        upstreams -> Nullable<Text>,
        environment_id -> Nullable<Text>,
        account_id -> Nullable<Text>,
        visibility -> Text,
        scopes -> Text,
        rules -> Text,
        pending_approval -> Bool,
        withdrawn_at -> Nullable<Timestamp>,
        created_by -> Nullable<Text>,
        created_at -> Timestamp,
        version -> BigInt,
        seq -> BigInt,
    }
}

diesel::table! {
    api_keys (id) {
        id -> Text,
        jti -> Text,
        user_id -> Text,
        identity_id -> Text,
        account_id -> Nullable<Text>,
        realm_id -> Nullable<Text>,
        name -> Nullable<Text>,
        scopes -> Text,
        namespace -> Nullable<Text>,
        made_by_key -> Nullable<Text>,
        created_at -> Timestamp,
        expires_at -> Timestamp,
        revoked_at -> Nullable<Timestamp>,
        last_used_at -> Nullable<Timestamp>,
        version -> BigInt,
        allowed_addresses -> Text,
        allowed_origins -> Text,
        limits -> Text,
        rotated_at -> Nullable<Timestamp>,
        seq -> BigInt,
    }
}

diesel::table! {
    retired_tokens (jti) {
        jti -> Text,
        key_id -> Text,
        ends_at -> Timestamp,
        ended -> Bool,
    }
}

diesel::table! {
    rule_changes (id) {
        id -> BigInt,
        seq -> BigInt,
    }
}

diesel::table! {
    quota_limits (subject) {
        subject -> Text,
        limits -> Text,
        version -> BigInt,
        updated_at -> Timestamp,
        seq -> BigInt,
    }
}

diesel::table! {
    quota_windows (subject, period) {
        subject -> Text,
        period -> Text,
        starts -> BigInt,
        ends -> BigInt,
        used -> BigInt,
    }
}

diesel::table! {
    quota_shares (subject, period, process) {
        subject -> Text,
        period -> Text,
        process -> Text,
        starts -> BigInt,
        held -> BigInt,
    }
}

diesel::table! {
    quota_processes (process) {
        process -> Text,
        ends_at -> Timestamp,
    }
}

diesel::table! {
    forward_keys (kid) {
        kid -> Text,
        algorithm -> Text,
        sealed -> Binary,
        created_at -> Timestamp,
    }
}

diesel::table! {
    usage_series (id) {
        id -> BigInt,
        user_id -> Text,
        service -> Text,
        endpoint -> Text,
        method -> Text,
        status_class -> BigInt,
        key_id -> Text,
    }
}

diesel::table! {
    usage_sums (series, span, start) {
        series -> BigInt,
        span -> BigInt,
        start -> BigInt,
        calls -> BigInt,
        bytes_in -> BigInt,
        bytes_out -> BigInt,
        latencies -> Binary,
    }
}

diesel::table! {
    usage_endpoints (service, endpoint) {
        service -> Text,
        endpoint -> Text,
    }
}

diesel::table! {
    usage_batches (epoch) {
        epoch -> Text,
        batch -> BigInt,
    }
}

diesel::table! {
    acme_accounts (directory) {
        directory -> Text,
        sealed -> Binary,
        created_at -> Timestamp,
    }
}

diesel::table! {
    acme_certificates (host) {
        host -> Text,
        chain -> Nullable<Text>,
        sealed_key -> Nullable<Binary>,
        not_after -> Nullable<Timestamp>,
        due_at -> Timestamp,
        round -> BigInt,
        failures -> BigInt,
        last_error -> Nullable<Text>,
        seq -> BigInt,
    }
}

diesel::table! {
    acme_challenges (host, token) {
        host -> Text,
        token -> Text,
        content -> Text,
        created_at -> Timestamp,
    }
}

diesel::allow_tables_to_appear_in_same_query!(usage_series, usage_sums);
