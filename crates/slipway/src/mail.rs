//! `slipway mail`: the mail that is kept where no mail server is set.

use std::process::ExitCode;

use anyhow::Context as _;
use slipway_auth::mail::{Kept, folder, kept};

use crate::cli::MailArgs;
use crate::output::{self, Style};

/// Lists what is kept, the newest first.
pub(crate) fn run(arguments: &MailArgs) -> anyhow::Result<ExitCode> {
    let place = folder(&arguments.data_dir);
    let mails = kept(&arguments.data_dir)
        .with_context(|| format!("the mail in {} can't be read", place.display()))?;
    if arguments.json {
        output::pretty_json(&mails)?;
    } else if mails.is_empty() {
        output::note(format_args!("There is no mail in {}.", place.display()));
    } else {
        for line in mails.iter().flat_map(|mail| lines(mail, Style::result())) {
            output::line(line)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// When, to whom and what about; below that the links.
fn lines(mail: &Kept, style: Style) -> Vec<String> {
    let at = mail.at.to_chrono().format("%Y-%m-%d %H:%M:%S").to_string();
    let first = format!(
        "{}  {}  {}",
        style.dim(&at),
        mail.to,
        style.bold(&mail.subject)
    );
    let links = mail.links.iter().map(|link| format!("  {link}"));
    std::iter::once(first).chain(links).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mail_is_listed_with_its_links() {
        let mail = Kept {
            id: "mail_1".into(),
            to: "seb@x.dev".into(),
            subject: "Confirm".into(),
            at: common::time::Time::from_unix(1_800_000_000),
            links: vec!["http://localhost/x#y".into()],
            file: "mail/mail_1.eml".into(),
        };
        let plain = lines(&mail, Style::plain());
        assert_eq!(
            plain,
            [
                "2027-01-15 08:00:00  seb@x.dev  Confirm",
                "  http://localhost/x#y"
            ]
        );
    }
}
