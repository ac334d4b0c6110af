//! Small pages of our own, for a person's browser: what is asked of her, and how it went.
//!
//! All text is escaped. A page loads nothing, is shown in no other site's frame, is kept by no
//! cache and tells nobody where the person came from; its style and script are allowed by their
//! digests (Content Security Policy Level 3, section 8.4).

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::digest::{SHA256, digest};

const STYLE: &str = "\
:root{color-scheme:light dark;--ink:#1c2430;--soft:#5b6675;--paper:#fff;--edge:#d8dee6;--mark:#1f5fd0}\
@media(prefers-color-scheme:dark){:root{--ink:#e8ecf2;--soft:#a3adba;--paper:#171b21;--edge:#343c47;--mark:#7aa7ff}}\
body{margin:0;min-height:100vh;display:grid;place-items:center;background:var(--paper);color:var(--ink);\
font:16px/1.5 system-ui,sans-serif}\
main{box-sizing:border-box;width:min(27rem,100%);padding:2rem 1.5rem}\
h1{font-size:1.35rem;line-height:1.3;margin:0 0 1rem}p{margin:0 0 1rem;overflow-wrap:anywhere}\
dl{margin:0 0 1rem;display:grid;grid-template-columns:auto 1fr;gap:.25rem 1rem}\
dt{color:var(--soft)}dd{margin:0;overflow-wrap:anywhere}\
.code{font:600 1.75rem/1.2 ui-monospace,monospace;letter-spacing:.12em;text-align:center;\
border:1px solid var(--edge);border-radius:.5rem;padding:.75rem}\
label{display:block;margin:0 0 1rem;color:var(--soft)}\
input,button{box-sizing:border-box;width:100%;font:inherit;color:inherit;padding:.6rem .75rem;\
border:1px solid var(--edge);border-radius:.5rem;background:transparent}\
button{background:var(--mark);border-color:var(--mark);color:var(--paper);font-weight:600;cursor:pointer;margin:0 0 .75rem}\
a{color:var(--mark)}";

/// What a person can type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    /// A line of text.
    Text,
    /// A password that she has.
    Password,
    /// A password that she is choosing.
    NewPassword,
}

/// A form, sent by `POST`.
#[derive(Debug)]
pub struct Form(String);

impl Form {
    /// A form that goes to this path of ours.
    #[must_use]
    pub fn to(action: &str) -> Self {
        let action = escape(action);
        Self(format!("<form method=\"post\" action=\"{action}\">"))
    }

    /// A value that is sent along.
    #[must_use]
    pub fn hidden(mut self, name: &str, value: &str) -> Self {
        let (name, value) = (escape(name), escape(value));
        self.0 += &format!("<input type=\"hidden\" name=\"{name}\" value=\"{value}\">");
        self
    }

    /// A value that the person types, beginning with `value`; a password begins empty.
    #[must_use]
    pub fn input(mut self, kind: Input, name: &str, label: &str, value: &str) -> Self {
        let (name, label, value) = (escape(name), escape(label), escape(value));
        let (kind, value) = match kind {
            Input::Text => (
                "type=\"text\" autocomplete=\"off\" autocapitalize=\"none\" spellcheck=\"false\"",
                value.as_str(),
            ),
            Input::Password => ("type=\"password\" autocomplete=\"current-password\"", ""),
            Input::NewPassword => ("type=\"password\" autocomplete=\"new-password\"", ""),
        };
        self.0 += &format!(
            "<label>{label}<input {kind} name=\"{name}\" value=\"{value}\" required></label>"
        );
        self
    }

    /// What sends it. A form may have several, told apart by what each sends.
    #[must_use]
    pub fn button(mut self, label: &str, name: &str, value: &str) -> Self {
        let (label, name, value) = (escape(label), escape(name), escape(value));
        self.0 += &format!("<button name=\"{name}\" value=\"{value}\">{label}</button>");
        self
    }
}

/// A page before it is sent.
#[derive(Debug)]
pub struct Page {
    title: String,
    body: String,
    script: Option<&'static str>,
    has_form: bool,
    form_targets: Vec<String>,
}

impl Page {
    /// A page that says this in one sentence.
    #[must_use]
    pub fn new(title: &str) -> Self {
        Self {
            title: escape(title),
            body: String::new(),
            script: None,
            has_form: false,
            form_targets: Vec::new(),
        }
    }

    /// A paragraph.
    #[must_use]
    pub fn text(mut self, text: &str) -> Self {
        self.body += &format!("<p>{}</p>", escape(text));
        self
    }

    /// Names and what they stand for.
    #[must_use]
    pub fn facts(mut self, facts: &[(&str, &str)]) -> Self {
        let row = |(name, value): &(&str, &str)| {
            format!("<dt>{}</dt><dd>{}</dd>", escape(name), escape(value))
        };
        self.body += &format!("<dl>{}</dl>", facts.iter().map(row).collect::<String>());
        self
    }

    /// A short code that the person compares.
    #[must_use]
    pub fn code(mut self, code: &str) -> Self {
        self.body += &format!("<p class=\"code\">{}</p>", escape(code));
        self
    }

    /// A way to another page of ours.
    #[must_use]
    pub fn link(mut self, path: &str, label: &str) -> Self {
        let (path, label) = (escape(path), escape(label));
        self.body += &format!("<p><a href=\"{path}\">{label}</a></p>");
        self
    }

    /// A form.
    #[must_use]
    pub fn form(mut self, form: Form) -> Self {
        self.body += &form.0;
        self.body += "</form>";
        self.has_form = true;
        self
    }

    /// Another origin to which the answer to the form may lead: browsers hold redirects
    /// against the policy, too.
    #[must_use]
    pub fn form_leads_to(mut self, origin: &url::Origin) -> Self {
        self.form_targets.push(origin.ascii_serialization());
        self
    }

    /// A script of ours, which may call nobody but ourselves. It must not hold `</script`.
    #[must_use]
    pub fn script(mut self, script: &'static str) -> Self {
        self.script = Some(script);
        self
    }

    /// The answer that shows it.
    #[must_use]
    pub fn answer(&self, status: StatusCode) -> HttpResponse {
        HttpResponse::build(status)
            .insert_header(("content-type", "text/html; charset=utf-8"))
            .insert_header(("content-security-policy", self.policy()))
            .insert_header(("referrer-policy", self.referrer_policy()))
            .insert_header(("cache-control", "no-store"))
            .insert_header(("x-content-type-options", "nosniff"))
            .insert_header(("x-frame-options", "DENY"))
            .insert_header(("cross-origin-opener-policy", "same-origin"))
            .body(self.html())
    }

    /// Where the person came from is told to nobody. A browser that may tell nobody at all says
    /// `Origin: null` with a form, too, as if another site had sent it; so with a form ourselves may
    /// know. What a script of ours sends says its origin all the same (Fetch, section 3.1).
    fn referrer_policy(&self) -> &'static str {
        if self.has_form && self.script.is_none() {
            "same-origin"
        } else {
            "no-referrer"
        }
    }

    fn policy(&self) -> String {
        let mut policy = format!(
            "default-src 'none'; style-src {}; base-uri 'none'; frame-ancestors 'none'",
            source(STYLE)
        );
        policy += "; form-action";
        policy += if self.has_form { " 'self'" } else { " 'none'" };
        for origin in self.form_targets.iter().filter(|_| self.has_form) {
            policy += &format!(" {origin}");
        }
        if let Some(script) = self.script {
            policy += &format!("; script-src {}; connect-src 'self'", source(script));
        }
        policy
    }

    fn html(&self) -> String {
        let Self { title, body, .. } = self;
        let script = self
            .script
            .map(|script| format!("<script>{script}</script>"))
            .unwrap_or_default();
        format!(
            "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
             <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\
             <title>{title}</title><style>{STYLE}</style></head>\
             <body><main><h1>{title}</h1>{body}</main>{script}</body></html>\n"
        )
    }
}

/// The digest by which a policy allows an inline style or script.
fn source(text: &str) -> String {
    let digest = STANDARD.encode(digest(&SHA256, text.as_bytes()));
    format!("'sha256-{digest}'")
}

/// Text as it stands in HTML, inside elements and quoted attributes alike. Control characters,
/// and those that turn the direction of what follows, are left out.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped += "&amp;",
            '<' => escaped += "&lt;",
            '>' => escaped += "&gt;",
            '"' => escaped += "&quot;",
            '\'' => escaped += "&#39;",
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}' => {}
            other if other.is_control() => escaped.push(' '),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVIL: &str = "\"'><script>alert(1)</script>&\u{202e}\0";
    const SAFE: &str = "&quot;&#39;&gt;&lt;script&gt;alert(1)&lt;/script&gt;&amp; ";

    #[test]
    fn nothing_that_a_page_shows_becomes_markup() {
        let form = Form::to(EVIL)
            .hidden(EVIL, EVIL)
            .input(Input::Text, EVIL, EVIL, EVIL)
            .button(EVIL, EVIL, EVIL);
        let page = Page::new(EVIL)
            .text(EVIL)
            .facts(&[(EVIL, EVIL)])
            .code(EVIL)
            .link(EVIL, EVIL)
            .form(form);
        let html = page.html();
        assert!(!html.contains("<script") && !html.contains(EVIL), "{html}");
        assert_eq!(html.matches(SAFE).count(), 17, "{html}");
    }

    #[test]
    fn a_password_is_never_filled_in() {
        let page =
            Page::new("x").form(Form::to("/x").input(Input::NewPassword, "p", "P", "hunter2"));
        assert!(!page.html().contains("hunter2"));
    }

    #[test]
    fn the_policy_allows_what_the_page_holds_and_nothing_else() {
        let none = Page::new("Done").policy();
        assert!(
            none.starts_with("default-src 'none'; style-src 'sha256-"),
            "{none}"
        );
        assert!(
            none.contains("frame-ancestors 'none'") && none.ends_with("form-action 'none'"),
            "{none}"
        );
        assert!(!none.contains("unsafe") && !none.contains("script-src"));
        let github = url::Url::parse("https://github.com/login")
            .unwrap()
            .origin();
        let page = Page::new("Go")
            .form(Form::to("/x"))
            .form_leads_to(&github)
            .script("go()");
        let policy = page.policy();
        assert!(
            policy.contains("form-action 'self' https://github.com;"),
            "{policy}"
        );
        assert!(
            policy.contains(&format!(
                "script-src {}; connect-src 'self'",
                source("go()")
            )),
            "{policy}"
        );
        assert!(page.html().contains("<script>go()</script>"));
    }

    #[test]
    fn only_ourselves_may_know_where_a_form_comes_from() {
        let form = || Page::new("x").form(Form::to("/x"));
        assert_eq!(form().referrer_policy(), "same-origin");
        assert_eq!(form().script("go()").referrer_policy(), "no-referrer");
        assert_eq!(Page::new("x").referrer_policy(), "no-referrer");
    }

    #[test]
    fn an_answer_is_kept_by_nobody_and_framed_by_nobody() {
        let answer = Page::new("Done").answer(StatusCode::GONE);
        assert_eq!(answer.status(), 410);
        for (name, value) in [
            ("referrer-policy", "no-referrer"),
            ("cache-control", "no-store"),
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", "DENY"),
            ("content-type", "text/html; charset=utf-8"),
        ] {
            assert_eq!(answer.headers().get(name).unwrap(), value, "{name}");
        }
    }
}
