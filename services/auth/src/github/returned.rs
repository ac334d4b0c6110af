//! What a person brings back from GitHub.

use serde::Deserialize;

/// What GitHub sends along with a person who comes back.
#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Returned {
    /// What is exchanged for a token.
    pub code: Option<String>,
    /// The state that she went there with.
    pub state: Option<String>,
    /// Why there is no code.
    pub error: Option<String>,
    /// The same for people.
    pub error_description: Option<String>,
    /// Where more is said of it.
    pub error_uri: Option<String>,
}

impl std::fmt::Debug for Returned {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Returned(***)")
    }
}

impl Returned {
    /// Whether the person didn't want to.
    #[must_use]
    pub fn is_denial(&self) -> bool {
        self.error.as_deref() == Some("access_denied")
    }

    /// What GitHub says is wrong, in Medusa's words.
    #[must_use]
    pub fn said(&self) -> String {
        let cut = |text: &Option<String>| {
            let shown = text.as_deref().unwrap_or_default().chars();
            shown
                .filter(|c| !c.is_control())
                .take(200)
                .collect::<String>()
        };
        if self.error.is_none() {
            return "No code provided".to_owned();
        }
        let (description, uri) = (cut(&self.error_description), cut(&self.error_uri));
        match (description.is_empty(), uri.is_empty()) {
            (true, _) => cut(&self.error),
            (false, true) => description,
            (false, false) => format!("{description}, read more at: {uri}"),
        }
    }
}
