use chassis::db::Database;
use chassis::seal::Sealer;
use chassis::settings::SecretsSettings;
use common::names::ServiceName;
use common::scope::{Scope, Verb};
use common::time::{Clock, Span, Time};
use common::token::{KeyRing, TokenKind, audience};
use testkit::{Backend, on_both_backends};

use super::{Caller, ForwardSigner, LIFETIME, Rotation, store};

const NOTICE: Span = Span::minutes(10);
const MONTH: Span = Span::days(30);

async fn database(backend: &Backend) -> Database {
    let migrations = chassis::migrations!(
        "../../migrations/v1api/postgres",
        "../../migrations/v1api/sqlite"
    );
    backend.database("v1api", Some(migrations)).await
}

/// Two replicas, whose time the test makes.
struct Replicas {
    one: ForwardSigner,
    two: ForwardSigner,
    clock: Clock,
}

impl Replicas {
    async fn start(backend: &Backend, every: Option<Span>) -> Self {
        let db = database(backend).await;
        let sealer =
            Sealer::open_or_create(&SecretsSettings::default(), backend.directory()).unwrap();
        let clock = Clock::manual(Time::from_unix(1_800_000_000));
        let rotation = Rotation {
            every,
            notice: NOTICE,
        };
        let open = || ForwardSigner::open(&db, &sealer, &clock, "micro", rotation);
        let (one, two) = tokio::join!(open(), open());
        let (one, two) = (one.unwrap(), two.unwrap());
        Self { one, two, clock }
    }

    async fn rows(&self) -> usize {
        let rows = self.one.0.db.read(store::all).await;
        rows.unwrap().len()
    }

    async fn tick(&self) {
        let (one, two) = tokio::join!(self.one.tick(), self.two.tick());
        one.unwrap();
        two.unwrap();
    }

    fn published(&self) -> [Vec<String>; 2] {
        [&self.one, &self.two].map(|signer| {
            let keys = signer.keys().keys.into_iter();
            keys.map(|key| key.kid).collect()
        })
    }

    /// Who signs, by name.
    fn signing(&self) -> [String; 2] {
        [&self.one, &self.two].map(|signer| {
            let known = signer.known();
            known
                .signing(self.clock.now())
                .unwrap()
                .public()
                .kid
                .clone()
        })
    }

    fn token(&self) -> String {
        let caller = Caller {
            subject: "user_1",
            user: None,
            key: None,
            actor: None,
            account: None,
        };
        let name = ServiceName::parse("location").unwrap();
        let scope = Scope::Service(name.clone(), Verb::Read);
        self.one.sign(&name, scope, &caller).unwrap().0.to_string()
    }

    /// Whether a token holds for who has the other replica's published keys.
    fn holds(&self, token: &str) -> bool {
        let wanted = audience::upstream(&ServiceName::parse("location").unwrap());
        let ring = KeyRing::new("micro", &self.two.keys());
        let now = self.clock.now();
        ring.verify(token, &[TokenKind::Forward], &wanted, now)
            .is_ok()
    }
}

on_both_backends! {
    async fn a_new_key_is_published_before_it_signs_and_the_old_one_until_its_tokens_have_ended(backend: Backend) {
        let replicas = Replicas::start(&backend, None).await;
        let [first, other] = replicas.published();
        assert_eq!((first.len(), &first), (1, &other), "replicas that start at once have one key");
        replicas.clock.advance(Span::seconds(1));
        let newest = replicas.one.rotate(None).await.unwrap();
        replicas.tick().await;
        let both = vec![first[0].clone(), newest.kid.clone()];
        assert_eq!(replicas.published(), [both.clone(), both.clone()]);
        assert_eq!(replicas.signing(), [first[0].clone(), first[0].clone()]);

        replicas.clock.advance(NOTICE - Span::seconds(1));
        assert_eq!(newest.signs_from, replicas.clock.now() + Span::seconds(1));
        let last_of_old = replicas.token();
        replicas.clock.advance(Span::seconds(1));
        assert_eq!(replicas.signing(), [newest.kid.clone(), newest.kid.clone()]);
        replicas.clock.advance(Span::seconds(LIFETIME - 2));
        replicas.tick().await;
        assert!(replicas.holds(&last_of_old) && replicas.holds(&replicas.token()));

        replicas.clock.advance(Span::minutes(5));
        replicas.tick().await;
        replicas.tick().await;
        assert_eq!(replicas.published(), [vec![newest.kid.clone()], vec![newest.kid.clone()]]);
        assert_eq!(replicas.rows().await, 1, "it is gone from the database, too");
        assert!(!replicas.holds(&last_of_old) && replicas.holds(&replicas.token()));
    }

    async fn while_a_new_key_waits_there_is_no_further_one(backend: Backend) {
        let replicas = Replicas::start(&backend, None).await;
        replicas.clock.advance(NOTICE);
        let (one, two) = tokio::join!(replicas.one.rotate(None), replicas.two.rotate(None));
        let one = one.unwrap();
        assert_eq!(one, two.unwrap());
        assert_eq!(replicas.one.rotate(None).await.unwrap(), one);
        replicas.clock.advance(NOTICE);
        assert_ne!(replicas.one.rotate(None).await.unwrap(), one);
    }

    async fn an_old_key_is_followed_by_one_new_one(backend: Backend) {
        let replicas = Replicas::start(&backend, Some(MONTH)).await;
        replicas.clock.advance(MONTH - Span::seconds(1));
        replicas.tick().await;
        assert_eq!(replicas.published()[0].len(), 1);
        replicas.clock.advance(Span::seconds(1));
        replicas.tick().await;
        replicas.tick().await;
        let [one, two] = replicas.published();
        assert_eq!((one.len(), &one), (2, &two));
        replicas.clock.advance(NOTICE);
        assert_eq!(replicas.signing(), [one[1].clone(), one[1].clone()]);
    }
}
