//! `[mail]`: how mail is sent, and what stands in it.

use std::path::PathBuf;

use chassis::settings::{Secret, Section};
use lettre::message::Mailbox;
use serde::{Deserialize, Serialize};
use url::Url;

use super::smtp::Server;

/// `[mail]`
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MailSettings {
    /// The server: `smtps://user:password@host` (TLS from the start, port 465) or
    /// `smtp://user:password@host` (port 587), which has to offer STARTTLS, unless it is on this
    /// machine or `?tls=none` is said. Without one mail is kept under the data directory.
    pub smtp_url: Option<Secret>,
    /// Who writes: `Slipway <no-reply@example.com>`. Needed with `smtp_url`.
    pub from: Option<String>,
    /// A folder whose files take the place of the texts that are built in.
    pub templates: Option<PathBuf>,
    /// The link to choose a new password, with `{token}` in it; a page of ours unless set.
    pub reset_url: Option<String>,
    /// The link to confirm an address, with `{code}` in it; a page of ours unless set.
    pub verify_url: Option<String>,
}

impl Section for MailSettings {
    fn validate(&self) -> Result<(), String> {
        if let Some(url) = &self.smtp_url {
            Server::parse(url.expose()).map_err(|why| format!("`smtp_url` {why}"))?;
            if self.from.is_none() {
                return Err(
                    "`from` must be set where mail is sent: servers refuse made-up senders".into(),
                );
            }
        }
        if let Some(from) = &self.from {
            from.parse::<Mailbox>().map_err(|_why| {
                "`from` must be an address, or a name and an address: Slipway <no-reply@example.com>"
            })?;
        }
        check_link("reset_url", self.reset_url.as_deref(), TOKEN)?;
        check_link("verify_url", self.verify_url.as_deref(), CODE)
    }
}

/// Where a token stands in a link.
const TOKEN: &str = "{token}";
/// Where a code stands in a link.
const CODE: &str = "{code}";

fn check_link(key: &str, link: Option<&str>, placeholder: &str) -> Result<(), String> {
    let Some(link) = link else { return Ok(()) };
    let address = Url::parse(&link.replace(placeholder, "x"));
    if !address.is_ok_and(|url| matches!(url.scheme(), "http" | "https")) {
        return Err(format!("`{key}` must be an http or https address"));
    }
    if !link.contains(placeholder) {
        return Err(format!("`{key}` must have {placeholder} in it"));
    }
    Ok(())
}

/// The links in letters. Tokens and codes are base64url: they need no escaping anywhere in one.
#[derive(Clone, Debug)]
pub struct Links {
    reset: String,
    verify: String,
}

impl Links {
    /// Those of the settings, else pages of ours, to which a secret comes in the fragment: browsers
    /// send that to no server, so that it stands in no log.
    #[must_use]
    pub fn new(settings: &MailSettings, public_url: &Url) -> Self {
        let page = |path: &str, placeholder: &str| {
            let base = public_url.as_str().trim_end_matches('/');
            format!("{base}{path}#{placeholder}")
        };
        let set = |link: &Option<String>| link.clone();
        Self {
            reset: set(&settings.reset_url).unwrap_or_else(|| page("/auth/reset", TOKEN)),
            verify: set(&settings.verify_url).unwrap_or_else(|| page("/auth/verify", CODE)),
        }
    }

    /// The link to choose a new password.
    pub(super) fn reset(&self, token: &str) -> String {
        self.reset.replace(TOKEN, token)
    }

    /// The link to confirm an address.
    pub(super) fn verify(&self, code: &str) -> String {
        self.verify.replace(CODE, code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complaint(settings: &MailSettings) -> String {
        settings.validate().unwrap_err()
    }

    #[test]
    fn a_server_needs_a_sender_and_neither_is_shown_with_its_password() {
        let mut settings = MailSettings {
            smtp_url: Some(Secret::new("smtps://seb:hunter2@mail.example.com")),
            ..MailSettings::default()
        };
        assert!(complaint(&settings).contains("`from`"));
        settings.from = Some("Slipway <no-reply@example.com>".into());
        assert_eq!(settings.validate(), Ok(()));
        let shown = serde_json::to_string(&settings).unwrap() + &format!("{settings:?}");
        assert!(
            !shown.contains("hunter2") && !shown.contains("seb"),
            "{shown}"
        );
        settings.smtp_url = Some(Secret::new("imap://seb:hunter2@mail.example.com"));
        let why = complaint(&settings);
        assert!(
            why.contains("`smtp_url`") && !why.contains("hunter2"),
            "{why}"
        );
    }

    #[test]
    fn a_sender_that_would_forge_headers_is_refused() {
        let from = Some("Slipway\r\nBcc: all@x.dev <no-reply@example.com>".to_owned());
        let settings = MailSettings {
            from,
            ..MailSettings::default()
        };
        let checked = settings.validate();
        // A folded name is one name; what may not happen is a header of its own.
        if checked.is_ok() {
            let mailbox: Mailbox = settings.from.unwrap().parse().unwrap();
            assert!(!mailbox.to_string().contains("\nBcc:"), "{mailbox}");
        }
    }

    #[test]
    fn a_link_needs_its_placeholder_and_a_scheme_that_browsers_open() {
        let with = |reset_url: &str| MailSettings {
            reset_url: Some(reset_url.into()),
            ..MailSettings::default()
        };
        assert!(complaint(&with("https://app.example.com/reset")).contains("{token}"));
        assert!(complaint(&with("javascript:alert({token})")).contains("http"));
        assert_eq!(
            with("https://app.example.com/?t={token}").validate(),
            Ok(())
        );
    }

    #[test]
    fn a_link_of_ours_has_its_secret_in_the_fragment() {
        let url = Url::parse("https://slipway.example.com/").unwrap();
        let links = Links::new(&MailSettings::default(), &url);
        assert_eq!(links.reset("t"), "https://slipway.example.com/auth/reset#t");
        assert_eq!(
            links.verify("c"),
            "https://slipway.example.com/auth/verify#c"
        );
    }
}
