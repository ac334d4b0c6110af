//! The tables of auth, one description for both backends.

diesel::table! {
    /// Who can authenticate.
    identities (id) {
        id -> Text,
        realm -> Text,
        number -> Nullable<BigInt>,
        public_id -> Nullable<Text>,
        email -> Nullable<Text>,
        email_verified_at -> Nullable<Timestamp>,
        generation -> BigInt,
        user_id -> Nullable<Text>,
        user_metadata -> Text,
        disabled_at -> Nullable<Timestamp>,
        version -> BigInt,
        created_at -> Timestamp,
        updated_at -> Timestamp,
    }
}

diesel::table! {
    /// How an identity signs in.
    provider_identities (realm, provider, entity_id) {
        realm -> Text,
        provider -> Text,
        entity_id -> Text,
        identity_id -> Text,
        secret_hash -> Nullable<Text>,
        created_at -> Timestamp,
        updated_at -> Timestamp,
    }
}

diesel::table! {
    /// What an identity may act as.
    granted_actors (identity_id, actor_type) {
        identity_id -> Text,
        actor_type -> Text,
        granted_at -> Timestamp,
    }
}

diesel::table! {
    /// The keys that tokens are signed with.
    signing_keys (kid) {
        kid -> Text,
        algorithm -> Text,
        state -> Text,
        kinds -> Text,
        public_jwk -> Text,
        sealed_key -> Binary,
        created_at -> Timestamp,
        changed_at -> Timestamp,
        rotation_asked_at -> Nullable<Timestamp>,
    }
}

diesel::table! {
    /// How often in a row a sign-in failed.
    wrong_tries (subject) {
        subject -> Text,
        failures -> BigInt,
        last_failed_at -> Timestamp,
    }
}

diesel::table! {
    /// Sets of identities that somebody of the platform owns.
    realms (id) {
        id -> Text,
        owner_id -> Text,
        account_id -> Nullable<Text>,
        name -> Text,
        password_policy -> Nullable<Text>,
        created_at -> Timestamp,
    }
}

diesel::table! {
    /// What opens a realm to a project's server.
    project_keys (digest) {
        digest -> Text,
        realm_id -> Text,
        created_at -> Timestamp,
        expires_at -> Nullable<Timestamp>,
    }
}

diesel::table! {
    /// The last number given in a realm.
    last_numbers (realm) {
        realm -> Text,
        number -> BigInt,
    }
}

diesel::table! {
    /// Where somebody of a realm is signed in.
    clients (id) {
        id -> Text,
        identity_id -> Text,
        purpose -> Text,
        sealed_secret -> Binary,
        generation -> BigInt,
        created_at -> Timestamp,
        expires_at -> Timestamp,
    }
}

diesel::table! {
    /// Mail on its way out.
    letters (id) {
        id -> Text,
        kind -> Text,
        recipient -> Text,
        sealed -> Nullable<Binary>,
        state -> Text,
        attempts -> BigInt,
        due_at -> Timestamp,
        failure -> Nullable<Text>,
        created_at -> Timestamp,
        finished_at -> Nullable<Timestamp>,
    }
}

diesel::table! {
    /// Wishes for a new password.
    reset_requests (id) {
        id -> Text,
        email -> Text,
        actor_type -> Text,
        provider -> Text,
        created_at -> Timestamp,
    }
}

diesel::table! {
    /// How many letters somebody had sent within an hour.
    letter_counts (subject) {
        subject -> Text,
        since -> Timestamp,
        count -> BigInt,
    }
}

diesel::table! {
    /// Codes with which a person shows that an address is hers.
    verifications (id) {
        id -> Text,
        identity_id -> Text,
        entity_id -> Text,
        purpose -> Text,
        code_digest -> Text,
        requested_at -> Timestamp,
        expires_at -> Timestamp,
        verified_at -> Nullable<Timestamp>,
    }
}

diesel::table! {
    /// Requests to sign in that a browser answers.
    login_requests (id) {
        id -> BigInt,
        kind -> Text,
        stage -> Text,
        reference -> Text,
        poll_digest -> Nullable<Text>,
        user_code -> Nullable<Text>,
        browser_digest -> Nullable<Text>,
        state_digest -> Nullable<Text>,
        redirect_uri -> Nullable<Text>,
        sealed_verifier -> Nullable<Binary>,
        actor_type -> Nullable<Text>,
        identity_id -> Nullable<Text>,
        profile -> Nullable<Text>,
        code_digest -> Nullable<Text>,
        code_expires_at -> Nullable<Timestamp>,
        client_address -> Nullable<Text>,
        client_network -> Text,
        interval_seconds -> BigInt,
        last_polled_at -> Nullable<Timestamp>,
        created_at -> Timestamp,
        updated_at -> Timestamp,
        expires_at -> Timestamp,
    }
}

diesel::table! {
    /// The key that others encrypt to us with.
    cipher_keys (name) {
        name -> Text,
        public_jwk -> Text,
        sealed_key -> Binary,
        created_at -> Timestamp,
    }
}

diesel::table! {
    /// Chains of refresh tokens, each begun by a sign-in of one client.
    refresh_families (id) {
        id -> Text,
        identity_id -> Text,
        client -> Text,
        actor_type -> Text,
        provider -> Text,
        generation -> BigInt,
        signed_in_at -> Timestamp,
        expires_at -> Timestamp,
        ended_at -> Nullable<Timestamp>,
        end_reason -> Nullable<Text>,
    }
}

diesel::table! {
    /// Refresh tokens, by their digests.
    refresh_tokens (digest) {
        digest -> Text,
        family_id -> Text,
        created_at -> Timestamp,
        used_at -> Nullable<Timestamp>,
        successor -> Nullable<Binary>,
        access_jti -> Text,
        access_expires_at -> Timestamp,
    }
}

diesel::joinable!(refresh_tokens -> refresh_families (family_id));
diesel::joinable!(refresh_families -> identities (identity_id));
diesel::allow_tables_to_appear_in_same_query!(identities, refresh_families, refresh_tokens);
diesel::joinable!(project_keys -> realms (realm_id));
diesel::joinable!(provider_identities -> identities (identity_id));
diesel::joinable!(granted_actors -> identities (identity_id));
diesel::allow_tables_to_appear_in_same_query!(identities, provider_identities, granted_actors);
diesel::allow_tables_to_appear_in_same_query!(project_keys, realms);

diesel::table! {
    /// Browsers that are signed in.
    sessions (id) {
        id -> Text,
        digest -> Text,
        identity_id -> Text,
        actor_type -> Text,
        provider -> Text,
        auth_time -> Timestamp,
        generation -> BigInt,
        user_agent -> Nullable<Text>,
        address -> Nullable<Text>,
        created_at -> Timestamp,
        last_seen_at -> Timestamp,
        expires_at -> Timestamp,
        challenge_id -> Nullable<Text>,
    }
}

diesel::table! {
    /// What somebody shows beside her password.
    mfa_factors (id) {
        id -> Text,
        identity_id -> Text,
        provider -> Text,
        status -> Text,
        label -> Nullable<Text>,
        sealed_secret -> Binary,
        last_step -> BigInt,
        created_at -> Timestamp,
        updated_at -> Timestamp,
    }
}

diesel::table! {
    /// What she shows where she has lost that.
    mfa_recovery_codes (identity_id, digest) {
        identity_id -> Text,
        digest -> Text,
        created_at -> Timestamp,
    }
}

diesel::table! {
    /// Logins that wait for it.
    mfa_challenges (id) {
        id -> Text,
        identity_id -> Text,
        actor_type -> Text,
        provider -> Text,
        generation -> BigInt,
        attempts -> BigInt,
        created_at -> Timestamp,
        expires_at -> Timestamp,
        completed_at -> Nullable<Timestamp>,
    }
}

diesel::joinable!(sessions -> identities (identity_id));
diesel::allow_tables_to_appear_in_same_query!(sessions, identities);
