//! Scopes as types, for extractors that name what they need.

use common::scope::{Resource, Scope, Verb};

/// A scope that stands in a handler's signature.
pub trait RequiredScope: 'static {
    /// The scope.
    fn scope() -> Scope;
}

macro_rules! scopes {
    ($($name:ident = $resource:ident, $verb:ident;)+) => {$(
        #[doc = concat!("`", stringify!($resource), ":", stringify!($verb), "`, as text in lower case.")]
        #[derive(Clone, Copy, Debug)]
        pub struct $name;

        impl RequiredScope for $name {
            fn scope() -> Scope {
                Scope::Platform(Resource::$resource, Verb::$verb)
            }
        }
    )+};
}

scopes! {
    AccountsRead = Accounts, Read;
    AccountsWrite = Accounts, Write;
    ProjectsRead = Projects, Read;
    ProjectsWrite = Projects, Write;
    BuildsRead = Builds, Read;
    BuildsWrite = Builds, Write;
    EnvironmentsRead = Environments, Read;
    EnvironmentsWrite = Environments, Write;
    SecretsRead = Secrets, Read;
    SecretsWrite = Secrets, Write;
    ServicesRead = Services, Read;
    ServicesWrite = Services, Write;
    UsageRead = Usage, Read;
    KeysRead = Keys, Read;
    KeysWrite = Keys, Write;
}
