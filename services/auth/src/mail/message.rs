//! A letter as a mail (RFC 5322).
//!
//! Everything that makes it this mail comes from its row: `Message-ID`, `Date`, even the boundary
//! of its parts. So a mail that is sent again is the same mail, which whoever stores it can tell.

use std::time::{Duration, SystemTime};

use common::id::LetterId;
use common::time::{Span, Time};
use lettre::message::header::{HeaderName, HeaderValue};
use lettre::message::{Mailbox, MultiPart, SinglePart};
use lettre::{Address, Message};

use super::letter::{Letter, in_words};
use super::settings::Links;
use super::templates::{Templates, Values, Words};

/// Why no mail can be made of a letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unwritable {
    /// Nobody can be written to at this address.
    #[error("nobody can be written to at the address")]
    Address,
    /// Its parts don't make a mail.
    #[error("the letter can't be made a mail")]
    Parts,
}

/// What all letters of this platform have in common.
#[derive(Clone, Debug)]
pub struct Writer {
    /// The words.
    pub templates: Templates,
    /// The links.
    pub links: Links,
    /// Who writes.
    pub from: Mailbox,
    /// The platform's host, as people know it.
    pub platform: String,
}

/// A mail, ready to be handed over.
#[derive(Clone)]
pub(super) struct Mail {
    pub(super) id: LetterId,
    pub(super) to: String,
    pub(super) subject: String,
    pub(super) at: Time,
    pub(super) links: Vec<String>,
    pub(super) message: Message,
}

impl Writer {
    /// Puts a letter into words.
    pub(super) fn write(
        &self,
        id: &LetterId,
        to: &str,
        letter: &Letter,
        at: Time,
    ) -> Result<Mail, Unwritable> {
        let address: Address = to.parse().map_err(|_| Unwritable::Address)?;
        let (values, links) = self.values(to, letter, at);
        let words = self
            .templates
            .fill(letter.kind(), &values)
            .ok_or(Unwritable::Parts)?;
        let subject = words.subject.clone();
        let message = self.message(id, address, words, at)?;
        Ok(Mail {
            id: id.clone(),
            to: to.to_owned(),
            subject,
            at,
            links,
            message,
        })
    }

    fn values(&self, to: &str, letter: &Letter, at: Time) -> (Values, Vec<String>) {
        let mut values = Values::from([
            ("email", to.to_owned()),
            ("platform", self.platform.clone()),
        ]);
        let mut links = Vec::new();
        match letter {
            Letter::Verification { code, ends_at } => {
                links.push(self.links.verify(code));
                values.insert("code", code.clone());
                values.insert("lifetime", in_words(rounded(*ends_at - at)));
            }
            Letter::ResetPassword { token, ends_at, .. } => {
                links.push(self.links.reset(token));
                values.insert("lifetime", in_words(rounded(*ends_at - at)));
            }
            Letter::PasswordChanged { at } => {
                values.insert("time", readable(*at));
            }
            Letter::EmailChangeRequested { new_email, at }
            | Letter::EmailChanged { new_email, at } => {
                values.insert("time", readable(*at));
                values.insert("new_email", new_email.clone());
            }
        }
        if let Some(link) = links.first() {
            values.insert("link", link.clone());
        }
        (values, links)
    }

    fn message(
        &self,
        id: &LetterId,
        address: Address,
        words: Words,
        at: Time,
    ) -> Result<Message, Unwritable> {
        let millis = u64::try_from(at.unix_millis()).unwrap_or_default();
        let automatic = HeaderName::new_from_ascii_str("Auto-Submitted");
        Message::builder()
            .from(self.from.clone())
            .to(Mailbox::new(None, address))
            .subject(words.subject)
            .date(SystemTime::UNIX_EPOCH + Duration::from_millis(millis))
            .message_id(Some(format!("<{id}@{}>", self.from.email.domain())))
            // No holiday notice in answer (RFC 3834, section 5).
            .raw_header(HeaderValue::new(automatic, "auto-generated".to_owned()))
            .multipart(
                MultiPart::alternative()
                    .boundary(id.as_str())
                    .singlepart(SinglePart::plain(words.text))
                    .singlepart(SinglePart::html(words.html)),
            )
            .map_err(|_| Unwritable::Parts)
    }
}

impl Mail {
    pub(super) fn bytes(&self) -> Vec<u8> {
        self.message.formatted()
    }
}

/// To whole minutes: between asking and writing a moment has gone by.
fn rounded(span: Span) -> Span {
    Span::minutes((span.num_seconds() + 30) / 60)
}

/// A time as people read it.
fn readable(at: Time) -> String {
    at.to_chrono().format("%Y-%m-%d %H:%M UTC").to_string()
}

/// The kinds are as many as the templates; a new one fails to compile until it is here as well.
#[cfg(test)]
pub(super) fn example(kind: super::Kind) -> Letter {
    use super::Kind;
    let at = Time::from_unix(1_800_000_000);
    match kind {
        Kind::Verification => Letter::Verification {
            code: "the-code".into(),
            ends_at: at + Span::days(1),
        },
        Kind::ResetPassword => Letter::ResetPassword {
            token: "the-token".into(),
            ends_at: at + Span::minutes(15),
            actor: common::token::ActorType::Euser,
            provider: crate::identities::Provider::Emailpass,
            requested_at: at,
        },
        Kind::PasswordChanged => Letter::PasswordChanged { at },
        Kind::EmailChangeRequested => Letter::EmailChangeRequested {
            new_email: "new@x.dev".into(),
            at,
        },
        Kind::EmailChanged => Letter::EmailChanged {
            new_email: "new@x.dev".into(),
            at,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mail::{Kind, MailSettings};

    fn writer() -> Writer {
        let url = "https://slipway.example.com".parse().unwrap();
        Writer {
            templates: Templates::load(None).unwrap(),
            links: Links::new(&MailSettings::default(), &url),
            from: "Slipway <no-reply@example.com>".parse().unwrap(),
            platform: "slipway.example.com".into(),
        }
    }

    fn write(to: &str, letter: &Letter) -> Result<Mail, Unwritable> {
        let at = Time::from_unix(1_800_000_000);
        writer().write(&LetterId::new(at), to, letter, at)
    }

    #[test]
    fn every_letter_becomes_a_mail_that_is_the_same_when_written_again() {
        let (writer, at) = (writer(), Time::from_unix(1_800_000_000));
        for kind in Kind::ALL.iter().copied() {
            let id = LetterId::new(at);
            let once = writer.write(&id, "seb@x.dev", &example(kind), at).unwrap();
            let again = writer.write(&id, "seb@x.dev", &example(kind), at).unwrap();
            assert_eq!(once.bytes(), again.bytes(), "{kind}");
            let text = String::from_utf8(once.bytes()).unwrap();
            assert!(
                text.contains(&format!("Message-ID: <{id}@example.com>\r\n")),
                "{text}"
            );
            assert!(text.contains("To: seb@x.dev\r\n"), "{text}");
            assert!(
                text.contains("Date: Fri, 15 Jan 2027 08:00:00 +0000\r\n"),
                "{text}"
            );
            assert!(
                text.contains("Auto-Submitted: auto-generated\r\n"),
                "{text}"
            );
        }
    }

    #[test]
    fn a_letter_with_a_link_tells_how_long_it_is_good_for() {
        let mail = write("seb@x.dev", &example(Kind::ResetPassword)).unwrap();
        assert_eq!(
            mail.links,
            ["https://slipway.example.com/auth/reset#the-token"]
        );
        let text = String::from_utf8(mail.bytes()).unwrap();
        assert!(text.contains("15 minutes"), "{text}");
    }

    #[test]
    fn an_address_that_would_reach_another_or_add_a_header_is_not_written_to() {
        for address in [
            "seb@x.dev,all@x.dev",
            "seb@x.dev\r\nBcc: all@x.dev",
            "<seb@x.dev> all@x.dev",
            "seb@x.dev>",
            "seb\r\nRCPT TO:<all@x.dev>@x.dev",
            "\"seb\r\nBcc: all\"@x.dev",
            "seb",
        ] {
            let written = write(address, &example(Kind::PasswordChanged));
            assert_eq!(written.err(), Some(Unwritable::Address), "{address:?}");
        }
    }

    #[test]
    fn what_a_person_chose_adds_no_header_and_no_markup() {
        let letter = Letter::EmailChanged {
            new_email: "a\r\nBcc: all@x.dev<script>@x.dev".into(),
            at: Time::EPOCH,
        };
        let mail = write("seb@x.dev", &letter).unwrap();
        let text = String::from_utf8(mail.bytes()).unwrap();
        let (headers, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(!headers.contains("Bcc"), "{headers}");
        assert!(!body.contains("<script>@x.dev</"), "{body}");
        assert!(body.contains("&lt;script&gt;"), "{body}");
    }
}
