//! What a row of the table says of a route.

use common::role::Role;

/// Who may call a route.
#[derive(Clone, Copy, Debug)]
pub(super) enum Policy {
    /// Anybody; a token is not looked at.
    Open,
    /// Whoever knows what the body says; no token stands for that.
    Secret,
    /// Anybody with a token of her own, as whatever she acts.
    Person,
    /// Anybody with a token of her own, or that of a login whose second factor is pending.
    Entrant,
    /// Whose login's second factor is pending.
    Pending,
    /// Who has the token of a link to choose a new password.
    Resetter,
    /// The external user of the number in the path.
    Numbered,
    /// An external user, with or without a user of the platform.
    Euser,
    /// An external user with a user of the platform.
    User,
    /// An operator.
    Admin,
    /// A project's server: a key with this scope that names a realm of its maker's.
    Server(&'static str),
    /// Any person's token or key, whatever its scopes.
    Holder,
    /// Any person's token or key with this scope.
    Caller(&'static str),
    /// The token or key, with this scope, of a user of the platform.
    UserCaller(&'static str),
    /// The same, of external users only: operators have none of these.
    Own(&'static str),
    /// A member with at least this role in the path's account, with a token or key of this scope.
    Member(Role, &'static str),
    /// The same, or an operator.
    MemberOrAdmin(Role, &'static str),
    /// The same as a member, as Git is told it: in plain text, and nothing of what isn't there.
    Git(Role, &'static str),
    /// These services.
    Services(&'static [&'static str]),
    /// Any of the services.
    AnyService,
}

impl Policy {
    /// The scope that it asks for.
    pub(super) fn scope(self) -> Option<&'static str> {
        match self {
            Self::Caller(scope)
            | Self::UserCaller(scope)
            | Self::Own(scope)
            | Self::Server(scope)
            | Self::Member(_, scope)
            | Self::MemberOrAdmin(_, scope)
            | Self::Git(_, scope) => Some(scope),
            Self::Open
            | Self::Secret
            | Self::Entrant
            | Self::Pending
            | Self::Numbered
            | Self::Holder
            | Self::Resetter
            | Self::Person
            | Self::Euser
            | Self::User
            | Self::Admin
            | Self::Services(_)
            | Self::AnyService => None,
        }
    }
}

/// One route, and what is expected of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row {
    pub(super) service: &'static str,
    pub(super) method: &'static str,
    pub(super) path: &'static str,
    pub(super) private: bool,
    pub(super) policy: Policy,
    /// What a right caller is answered.
    pub(super) status: u16,
    /// What everyone sends, so that who is refused isn't so for a wrong body.
    pub(super) body: &'static str,
    /// What is sent instead by those who don't know the secret.
    pub(super) wrong: &'static str,
    /// What those are answered.
    pub(super) refusal: u16,
    /// A header that those who know the secret send.
    pub(super) header: Option<(&'static str, &'static str)>,
    pub(super) query: &'static str,
    /// What a name in the path stands for, where it isn't what it is elsewhere.
    pub(super) name: Option<(&'static str, &'static str)>,
}

impl Row {
    const fn new(
        service: &'static str,
        (method, path): (&'static str, &'static str),
        policy: Policy,
        status: u16,
    ) -> Self {
        Self {
            service,
            method,
            path,
            private: false,
            policy,
            status,
            body: "",
            wrong: "",
            refusal: 401,
            header: None,
            query: "",
            name: None,
        }
    }

    pub(super) const fn body(self, body: &'static str) -> Self {
        Self { body, ..self }
    }

    pub(super) const fn wrong(self, wrong: &'static str) -> Self {
        Self { wrong, ..self }
    }

    pub(super) const fn refusal(self, refusal: u16) -> Self {
        Self { refusal, ..self }
    }

    pub(super) const fn header(self, name: &'static str, value: &'static str) -> Self {
        Self {
            header: Some((name, value)),
            ..self
        }
    }

    pub(super) const fn query(self, query: &'static str) -> Self {
        Self { query, ..self }
    }

    pub(super) const fn named(self, name: &'static str, value: &'static str) -> Self {
        Self {
            name: Some((name, value)),
            ..self
        }
    }

    /// The route as people write it.
    pub(super) fn title(&self) -> String {
        let listener = if self.private { " (private)" } else { "" };
        format!("{}: {} {}{listener}", self.service, self.method, self.path)
    }

    /// Whether it is served there too: private routes of these names are not to be confused
    /// with those.
    pub(super) fn is_also_public_at(&self, service: &str, rows: &[Self]) -> bool {
        rows.iter().any(|row| {
            !row.private
                && row.service == service
                && (row.method, row.path) == (self.method, self.path)
        })
    }
}

/// A route behind the gateway.
pub(super) const fn public(
    service: &'static str,
    method: &'static str,
    path: &'static str,
    policy: Policy,
    status: u16,
) -> Row {
    Row::new(service, (method, path), policy, status)
}

/// A route of the private listener.
pub(super) const fn private(
    service: &'static str,
    method: &'static str,
    path: &'static str,
    policy: Policy,
    status: u16,
) -> Row {
    Row {
        private: true,
        ..Row::new(service, (method, path), policy, status)
    }
}
