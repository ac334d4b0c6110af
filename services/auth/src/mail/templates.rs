//! The words of letters: built in, and replaced by files of the operator's.
//!
//! A letter has two files, `<kind>.txt` and `<kind>.html`. The text's first line is its subject,
//! `Subject: …`; a blank line follows. `{{name}}` stands for a value, escaped where it is HTML.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::letter::Kind;

/// Why the templates can't be used. It names the file.
#[derive(Debug, thiserror::Error)]
pub enum TemplateError {
    /// The folder or a file in it can't be read.
    #[error("the mail template {} can't be read", .0.display())]
    Unreadable(PathBuf, #[source] std::io::Error),
    /// A file that is no letter's.
    #[error("{} is no mail template: there are {known}", .0.display(), known = known_files())]
    Unknown(PathBuf),
    /// What stands in it can't be.
    #[error("the mail template {} {why}", path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
}

/// The values that a letter's words are filled with.
pub(super) type Values = BTreeMap<&'static str, String>;

/// A letter in words.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Words {
    pub(super) subject: String,
    pub(super) text: String,
    pub(super) html: String,
}

/// The templates of all letters.
#[derive(Clone, Debug)]
pub struct Templates(BTreeMap<Kind, Template>);

#[derive(Clone, Debug)]
struct Template {
    subject: Pieces,
    text: Pieces,
    html: Pieces,
}

#[derive(Clone, Debug)]
enum Piece {
    Text(String),
    Value(&'static str),
}

#[derive(Clone, Debug)]
struct Pieces(Vec<Piece>);

/// The values that a kind of letter has, and those of which its parts need one.
fn values(kind: Kind) -> (&'static [&'static str], &'static [&'static str]) {
    match kind {
        Kind::Verification => (
            &["email", "platform", "link", "code", "lifetime"],
            &["link", "code"],
        ),
        Kind::ResetPassword => (&["email", "platform", "link", "lifetime"], &["link"]),
        Kind::PasswordChanged => (&["email", "platform", "time"], &[]),
        Kind::EmailChangeRequested | Kind::EmailChanged => {
            (&["email", "platform", "new_email", "time"], &[])
        }
    }
}

macro_rules! built_in {
    ($kind:ident: $($variant:ident = $name:literal),+ $(,)?) => {
        match $kind { $(Kind::$variant => (
            include_str!(concat!("templates/", $name, ".txt")),
            include_str!(concat!("templates/", $name, ".html")),
        )),+ }
    };
}

fn built_in(kind: Kind) -> (&'static str, &'static str) {
    built_in!(kind:
        Verification = "verification",
        ResetPassword = "reset_password",
        PasswordChanged = "password_changed",
        EmailChangeRequested = "email_change_requested",
        EmailChanged = "email_changed",
    )
}

fn known_files() -> String {
    let names = Kind::ALL
        .iter()
        .map(|kind| format!("{kind}.txt, {kind}.html"));
    names.collect::<Vec<_>>().join(", ")
}

impl Templates {
    /// Reads the operator's folder, if there is one; what isn't in it is built in.
    pub fn load(folder: Option<&Path>) -> Result<Self, TemplateError> {
        let mut files = match folder {
            Some(folder) => read(folder)?,
            None => BTreeMap::new(),
        };
        let mut templates = BTreeMap::new();
        for kind in Kind::ALL.iter().copied() {
            let (text, html) = built_in(kind);
            let mut source = |extension: &str, built_in: &str| {
                let name = format!("{kind}.{extension}");
                files
                    .remove(&name)
                    .unwrap_or_else(|| (PathBuf::from(name), built_in.to_owned()))
            };
            let template = Template::parse(kind, source("txt", text), source("html", html))?;
            templates.insert(kind, template);
        }
        match files.into_values().next() {
            Some((path, _)) => Err(TemplateError::Unknown(path)),
            None => Ok(Self(templates)),
        }
    }

    /// A letter's words.
    pub(super) fn fill(&self, kind: Kind, values: &Values) -> Option<Words> {
        let template = self.0.get(&kind)?;
        let plain = |value: &str| value.to_owned();
        // What a person chose, an address say, must not become a header of its own.
        let one_line = |value: &str| value.replace(char::is_control, " ");
        Some(Words {
            subject: template.subject.fill(values, one_line),
            text: template.text.fill(values, plain),
            html: template.html.fill(values, escaped),
        })
    }
}

/// The `.txt` and `.html` files of a folder, by name.
fn read(folder: &Path) -> Result<BTreeMap<String, (PathBuf, String)>, TemplateError> {
    let unreadable = |path: &Path| {
        let path = path.to_owned();
        move |error| TemplateError::Unreadable(path, error)
    };
    let mut files = BTreeMap::new();
    for entry in std::fs::read_dir(folder).map_err(unreadable(folder))? {
        let path = entry.map_err(unreadable(folder))?.path();
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        if path
            .extension()
            .is_some_and(|ext| ext == "txt" || ext == "html")
        {
            let text = std::fs::read_to_string(&path).map_err(unreadable(&path))?;
            files.insert(name, (path, text));
        }
    }
    Ok(files)
}

impl Template {
    fn parse(
        kind: Kind,
        (text_path, text): (PathBuf, String),
        (html_path, html): (PathBuf, String),
    ) -> Result<Self, TemplateError> {
        let invalid = |path: &Path| {
            let path = path.to_owned();
            move |why: String| TemplateError::Invalid { path, why }
        };
        let no_subject = || "must begin with a line `Subject: …`".to_owned();
        let (first, body) = text.split_once('\n').unwrap_or((&text, ""));
        let subject = first.trim().strip_prefix("Subject:").map(str::trim);
        let subject = subject
            .filter(|subject| !subject.is_empty())
            .ok_or_else(no_subject)
            .map_err(invalid(&text_path))?;
        let body = body.trim_start_matches(['\r', '\n']);
        Ok(Self {
            subject: Pieces::parse(kind, subject, false).map_err(invalid(&text_path))?,
            text: Pieces::parse(kind, body, true).map_err(invalid(&text_path))?,
            html: Pieces::parse(kind, &html, true).map_err(invalid(&html_path))?,
        })
    }
}

impl Pieces {
    fn parse(kind: Kind, source: &str, whole: bool) -> Result<Self, String> {
        let (known, needed) = values(kind);
        let (mut pieces, mut rest) = (Vec::new(), source);
        while let Some((before, after)) = rest.split_once("{{") {
            let (name, after) = after
                .split_once("}}")
                .ok_or("has a `{{` without its `}}`")?;
            let name = name.trim();
            let value = known.iter().find(|known| **known == name).ok_or_else(|| {
                format!(
                    "has {{{{{name}}}}} in it, which this letter doesn't know ({})",
                    known.join(", ")
                )
            })?;
            pieces.push(Piece::Text(before.to_owned()));
            pieces.push(Piece::Value(value));
            rest = after;
        }
        pieces.push(Piece::Text(rest.to_owned()));
        let has = |name: &&str| {
            pieces
                .iter()
                .any(|piece| matches!(piece, Piece::Value(value) if value == name))
        };
        if whole && !needed.is_empty() && !needed.iter().any(has) {
            let needed: Vec<_> = needed
                .iter()
                .map(|name| format!("{{{{{name}}}}}"))
                .collect();
            return Err(format!("lacks {}", needed.join(" or ")));
        }
        Ok(Self(pieces))
    }

    fn fill(&self, values: &Values, put: impl Fn(&str) -> String) -> String {
        let piece = |piece: &Piece| match piece {
            Piece::Text(text) => text.clone(),
            Piece::Value(name) => put(values.get(name).map_or("", String::as_str)),
        };
        self.0.iter().map(piece).collect()
    }
}

/// A value as HTML shows it, in text and in a quoted attribute.
fn escaped(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    for c in value.chars() {
        match c {
            '&' => text.push_str("&amp;"),
            '<' => text.push_str("&lt;"),
            '>' => text.push_str("&gt;"),
            '"' => text.push_str("&quot;"),
            '\'' => text.push_str("&#39;"),
            c => text.push(c),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(files: &[(&str, &str)]) -> Result<Templates, String> {
        let folder = testkit::Backend::sqlite();
        for (name, text) in files {
            std::fs::write(folder.directory().join(name), text).unwrap();
        }
        Templates::load(Some(folder.directory())).map_err(|error| error.to_string())
    }

    fn values(pairs: &[(&'static str, &str)]) -> Values {
        pairs
            .iter()
            .map(|(name, value)| (*name, (*value).to_owned()))
            .collect()
    }

    #[test]
    fn every_letter_has_words_with_all_its_values_filled_in() {
        let templates = Templates::load(None).unwrap();
        for kind in Kind::ALL.iter().copied() {
            let (known, _) = super::values(kind);
            let values = known
                .iter()
                .map(|name| (*name, format!("<{name}>")))
                .collect();
            let words = templates.fill(kind, &values).unwrap();
            assert!(
                !words.subject.is_empty() && !words.subject.contains("Subject"),
                "{kind}"
            );
            for part in [&words.subject, &words.text, &words.html] {
                assert!(!part.contains("{{"), "{kind}: {part}");
            }
            assert!(
                words.html.contains("&lt;email&gt;"),
                "{kind}: {}",
                words.html
            );
            assert!(!words.html.contains("<email>"), "{kind}: {}", words.html);
        }
    }

    #[test]
    fn an_operators_file_takes_the_place_of_what_is_built_in() {
        let templates = folder(&[("password_changed.txt", "Subject: Neu\r\n\r\nAm {{time}}\n")]);
        let words = templates
            .unwrap()
            .fill(Kind::PasswordChanged, &values(&[("time", "1970")]))
            .unwrap();
        assert_eq!(
            (words.subject.as_str(), words.text.as_str()),
            ("Neu", "Am 1970\n")
        );
        assert!(words.html.contains("changed at 1970"));
    }

    #[test]
    fn a_file_that_lacks_what_its_reader_needs_is_named() {
        for (name, text, why) in [
            (
                "reset_password.txt",
                "Subject: x\n\nNo way in",
                "lacks {{link}}",
            ),
            ("reset_password.html", "<p>No way in</p>", "lacks {{link}}"),
            (
                "verification.txt",
                "Subject: x\n\nNothing",
                "lacks {{link}} or {{code}}",
            ),
            ("reset_password.txt", "{{link}}", "Subject: …"),
            (
                "reset_password.txt",
                "Subject: x\n\n{{link}} {{password}}",
                "doesn't know",
            ),
            ("reset_password.html", "{{link", "without its"),
            ("reset-password.html", "{{link}}", "is no mail template"),
        ] {
            let error = folder(&[(name, text)]).unwrap_err();
            assert!(error.contains(name) && error.contains(why), "{error}");
        }
    }

    #[test]
    fn a_folder_that_is_not_there_is_named() {
        let error = Templates::load(Some(Path::new("/nowhere/at/all"))).unwrap_err();
        assert!(error.to_string().contains("/nowhere/at/all"), "{error}");
    }

    #[test]
    fn a_value_can_not_end_a_subject() {
        let templates = folder(&[("password_changed.txt", "Subject: For {{email}}\n\nx")]).unwrap();
        let values = values(&[("email", "seb\r\nBcc: all@x.dev")]);
        let words = templates.fill(Kind::PasswordChanged, &values).unwrap();
        assert_eq!(words.subject, "For seb  Bcc: all@x.dev");
    }
}
