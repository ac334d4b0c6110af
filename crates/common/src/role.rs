//! Roles of a member in an account.

crate::text_enum! {
    /// What a member may do in an account; each role includes the ones before it.
    pub enum Role {
        /// Sees everything, changes nothing.
        Viewer = "viewer",
        /// Makes projects, builds and settings.
        Developer = "developer",
        /// Also members, credentials and the account itself.
        Owner = "owner",
    }
}

impl Role {
    /// Whether this role includes `needed`.
    #[must_use]
    pub fn allows(self, needed: Self) -> bool {
        self >= needed
    }
}
