//! The kinds of token; a route names those it takes, every other is refused.

crate::text_enum! {
    /// What a token is for. Its text is the `typ` of the token's header (RFC 8725, section 3.11).
    pub enum TokenKind {
        /// A person's access.
        Access = "at+jwt",
        /// An API key.
        ApiKey = "key+jwt",
        /// An invitation to an account.
        Invite = "invite+jwt",
        /// A password reset.
        Reset = "reset+jwt",
        /// One service calling another.
        Service = "svc+jwt",
        /// An identity of somebody's own realm.
        Realm = "realm+jwt",
        /// A login whose second factor is pending.
        Mfa = "mfa+jwt",
        /// The caller of the gateway, as an upstream service sees it.
        Forward = "forward+jwt",
        /// The right to fetch one repository.
        Repository = "repo+jwt",
    }
}

impl TokenKind {
    /// The longest that a token of this kind lives, in seconds. One that claims more was not made
    /// by us, whatever its signature says, and is refused.
    #[must_use]
    pub const fn longest_life(self) -> i64 {
        const HOUR: i64 = 3_600;
        const DAY: i64 = 24 * HOUR;
        match self {
            Self::Access | Self::Realm | Self::Reset => DAY,
            Self::ApiKey => 366 * DAY,
            Self::Invite => 30 * DAY,
            Self::Mfa | Self::Forward | Self::Repository => HOUR,
            Self::Service => 5 * 60,
        }
    }
}
