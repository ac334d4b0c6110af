//! A person at GitHub's pages.

use std::collections::HashMap;

use url::Url;

use super::Github;

impl Github {
    /// Goes where the platform sends a person, consents there as her, and answers where GitHub
    /// sends her next.
    ///
    /// # Panics
    /// When GitHub shows something else.
    pub async fn consent(&self, location: &str, login: &str) -> Url {
        self.answer(location, &[("login", login), ("authorize", "1")])
            .await
    }

    /// The same, but she doesn't want to.
    ///
    /// # Panics
    /// When GitHub shows something else.
    pub async fn refuse(&self, location: &str) -> Url {
        self.answer(location, &[("authorize", "0")]).await
    }

    /// Goes to the page that installs the App, as this person, installs it on this owner, and
    /// answers where GitHub sends her next.
    ///
    /// # Panics
    /// When GitHub shows something else.
    pub async fn install(&self, location: &str, login: &str, owner: &str) -> Url {
        self.answer(location, &[("login", login), ("owner", owner)])
            .await
    }

    #[expect(clippy::expect_used, reason = "a test can't go on without")]
    async fn answer(&self, location: &str, said: &[(&str, &str)]) -> Url {
        let client = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .expect("a client");
        assert!(
            location.starts_with(&self.url),
            "{location} is not GitHub's"
        );
        let page = client.get(location).send().await.expect("GitHub answers");
        let page = if page.status() == 200 {
            let url = Url::parse(location).expect("a URL");
            let mut form: HashMap<String, String> = url.query_pairs().into_owned().collect();
            for (name, value) in said {
                form.insert((*name).to_owned(), (*value).to_owned());
            }
            let mut action = url;
            action.set_query(None);
            let sent = client.post(action).form(&form);
            sent.send().await.expect("GitHub answers")
        } else {
            page
        };
        assert_eq!(page.status(), 302, "GitHub sends her back");
        let location = page
            .headers()
            .get("location")
            .and_then(|value| value.to_str().ok());
        Url::parse(location.unwrap_or_default()).expect("a URL")
    }
}
