//! The tables of account, one description for both backends.

diesel::table! {
    /// The platform's record of a person.
    users (id) {
        id -> Text,
        identity_id -> Text,
        email -> Text,
        version -> BigInt,
        created_at -> Timestamp,
        deleted_at -> Nullable<Timestamp>,
    }
}

diesel::table! {
    /// An organisation or individual that owns projects.
    accounts (id) {
        id -> Text,
        name -> Text,
        version -> BigInt,
        created_at -> Timestamp,
        updated_at -> Timestamp,
        deleted_at -> Nullable<Timestamp>,
    }
}

diesel::table! {
    /// Who belongs to an account.
    members (account_id, user_id) {
        account_id -> Text,
        user_id -> Text,
        role -> Nullable<Text>,
        version -> BigInt,
        joined_at -> Timestamp,
        updated_at -> Timestamp,
    }
}

diesel::table! {
    /// Invitations to an account.
    invites (id) {
        id -> Text,
        account_id -> Text,
        role -> Text,
        email -> Nullable<Text>,
        max_uses -> BigInt,
        uses -> BigInt,
        inviter_identity_id -> Text,
        inviter_user_id -> Nullable<Text>,
        version -> BigInt,
        created_at -> Timestamp,
        expires_at -> Timestamp,
        revoked_at -> Nullable<Timestamp>,
    }
}

diesel::table! {
    /// Who accepted which invite.
    invite_uses (invite_id, user_id) {
        invite_id -> Text,
        user_id -> Text,
        used_at -> Timestamp,
    }
}

diesel::joinable!(members -> accounts (account_id));
diesel::joinable!(members -> users (user_id));
diesel::joinable!(invites -> accounts (account_id));
diesel::joinable!(invite_uses -> invites (invite_id));
diesel::allow_tables_to_appear_in_same_query!(users, accounts, members, invites, invite_uses);
