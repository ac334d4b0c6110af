//! Input that means harm, or just goes wrong.

use std::io::Write as _;

use common::role::Role;
use testkit::Backend;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::pushing::world_ends;
use crate::support::{Repository, World, git, http};

testkit::on_both_backends! {
    async fn a_client_that_vanishes_leaves_a_sound_repository(backend: Backend) {
        let world = World::start(backend).await;
        let account = world.account();
        let person = world.member(&account, Role::Developer);
        let url = world.repository_url(account.as_str(), "shop");
        let mine = Repository::new("main").await;
        mine.git_as(&person.token, &["push", "--quiet", &url, "main"]).await;
        let before = git(&world.on_disk(&account, "shop"), None, &["for-each-ref"]).await;

        // A push that ends in the middle of its pack: the length is announced, and never comes.
        mine.commit("large.bin", common_random(2 << 20)).await;
        let commit = mine.git(&["rev-parse", "HEAD"]).await;
        let pack = pack_of(&mine).await;
        let command = format!("{} {commit} refs/heads/cut\0report-status", "0".repeat(40));
        let mut body = format!("{:04x}{command}0000", command.len() + 4).into_bytes();
        body.extend_from_slice(&pack[..pack.len() / 2]);
        let address = world.url().replace("http://", "");
        let mut socket = tokio::net::TcpStream::connect(&address).await.unwrap();
        let head = format!(
            "POST /git/{account}/shop.git/git-receive-pack HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\n\
             Content-Type: application/x-git-receive-pack-request\r\nContent-Length: {}\r\n\r\n",
            person.token,
            body.len() + pack.len(),
        );
        socket.write_all(head.as_bytes()).await.unwrap();
        socket.write_all(&body).await.unwrap();
        socket.flush().await.unwrap();
        let disk = world.on_disk(&account, "shop");
        testkit::eventually("git receives the pack", || quarantined(&disk).then_some(())).await;
        drop(socket);

        testkit::eventually("git has cleaned up", || (!quarantined(&disk)).then_some(())).await;
        testkit::eventually_async("the push is noted as over", async || pushes_over(&world).await).await;
        assert_eq!(git(&disk, None, &["for-each-ref"]).await, before);
        git(&disk, None, &["fsck", "--strict"]).await;
        mine.git_as(&person.token, &["push", "--quiet", &url, "main"]).await;
        assert_eq!(world.told_of(2).await.len(), 2);
        world_ends(world).await;
    }

    async fn a_push_that_is_too_large_is_refused_and_leaves_nothing(backend: Backend) {
        let world = World::start_with(backend, &[("github.push_limit", "100000")]).await;
        let account = world.account();
        let person = world.member(&account, Role::Developer);
        let url = world.repository_url(account.as_str(), "shop");
        let mine = Repository::new("main").await;
        mine.git_as(&person.token, &["push", "--quiet", &url, "main"]).await;
        mine.commit("large.bin", common_random(120_000)).await;
        let said = mine.fails_as(Some(&person.token), &["push", &url, "main"]).await;
        assert!(said.contains("exceeds maximum allowed size"), "{said}");
        let disk = world.on_disk(&account, "shop");
        testkit::eventually("git has cleaned up", || (!quarantined(&disk)).then_some(())).await;
        assert_eq!(world.told_of(1).await.len(), 1);
        world_ends(world).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_that_lead_elsewhere_name_no_repository() {
    let world = World::start(Backend::sqlite()).await;
    let account = world.account();
    let person = world.member(&account, Role::Owner);
    let address = world.url().replace("http://", "");
    for (owner, name) in [
        (account.as_str(), ".."),
        (account.as_str(), "%2e%2e"),
        (account.as_str(), "%2e%2e%2f%2e%2e%2fx"),
        (account.as_str(), "-oProxyCommand=x"),
        (account.as_str(), "a%00b"),
        (account.as_str(), "a%0ab"),
        (account.as_str(), "%ff%fe"),
        (account.as_str(), ".home"),
        ("..", "x"),
        ("%2e%2e", "x"),
        (".home", "x"),
        ("--upload-pack=x", "x"),
    ] {
        for tail in [
            "info/refs?service=git-receive-pack",
            "info/refs?service=git-upload-pack",
        ] {
            // By hand, since clients tidy paths before they send them.
            let mut socket = tokio::net::TcpStream::connect(&address).await.unwrap();
            let request = format!(
                "GET /git/{owner}/{name}.git/{tail} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer {}\r\n\r\n",
                person.token
            );
            socket.write_all(request.as_bytes()).await.unwrap();
            let mut answer = Vec::new();
            socket.read_to_end(&mut answer).await.unwrap();
            let answer = String::from_utf8_lossy(&answer).into_owned();
            assert!(
                answer.starts_with("HTTP/1.1 404") || answer.starts_with("HTTP/1.1 400"),
                "{owner}/{name}: {answer}"
            );
        }
    }
    let entries = std::fs::read_dir(world.backend.directory().join("git")).unwrap();
    assert!(
        entries
            .map(|entry| entry.unwrap().file_name())
            .all(|name| name.to_str().unwrap().starts_with('.'))
    );
    world_ends(world).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn broken_packs_hooks_and_bad_objects_are_refused() {
    let world = World::start(Backend::sqlite()).await;
    let account = world.account();
    let person = world.member(&account, Role::Developer);
    let url = world.repository_url(account.as_str(), "shop");
    let mine = Repository::new("main").await;
    mine.git_as(&person.token, &["push", "--quiet", &url, "main"])
        .await;

    // A tree with an entry that would be written outside of the checkout.
    let blob = mine.git(&["rev-parse", "HEAD:app.js"]).await;
    let raw: Vec<u8> = (0..20)
        .map(|at| u8::from_str_radix(&blob[at * 2..at * 2 + 2], 16).unwrap())
        .collect();
    let mut tree = b"100644 ..\0".to_vec();
    tree.extend_from_slice(&raw);
    std::fs::write(mine.path().join("tree"), tree).unwrap();
    let tree = mine
        .git(&["hash-object", "-t", "tree", "-w", "--literally", "tree"])
        .await;
    let commit = mine.git(&["commit-tree", &tree, "-m", "bad"]).await;
    let said = mine
        .fails_as(
            Some(&person.token),
            &["push", &url, &format!("{commit}:refs/heads/bad")],
        )
        .await;
    assert!(said.contains("hasDotdot"), "{said}");

    let post = |service: &str, body: Vec<u8>| {
        http()
            .post(format!("{url}/git-{service}"))
            .bearer_auth(&person.token)
            .header(
                "content-type",
                format!("application/x-git-{service}-request"),
            )
            .body(body)
    };
    for service in ["upload-pack", "receive-pack"] {
        let answer = post(service, b"nonsense, and no packet".to_vec())
            .send()
            .await
            .unwrap();
        assert!(
            answer.status().as_u16() == 400 || answer.text().await.unwrap().contains("ERR"),
            "{service}"
        );
    }
    let unlabelled = http()
        .post(format!("{url}/git-upload-pack"))
        .bearer_auth(&person.token)
        .body("0000");
    assert_eq!(unlabelled.send().await.unwrap().status(), 415);
    let dumb = http()
        .get(format!("{url}/info/refs"))
        .bearer_auth(&person.token)
        .send()
        .await
        .unwrap();
    assert_eq!(dumb.status(), 403);
    git(
        &world.on_disk(&account, "shop"),
        None,
        &["fsck", "--strict"],
    )
    .await;
    world_ends(world).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_packed_request_is_unpacked_and_a_bomb_is_not() {
    let world = World::start(Backend::sqlite()).await;
    let account = world.account();
    let person = world.member(&account, Role::Developer);
    let url = world.repository_url(account.as_str(), "shop");
    let mine = Repository::new("main").await;
    let commit = mine.git(&["rev-parse", "HEAD"]).await;
    mine.git_as(&person.token, &["push", "--quiet", &url, "main"])
        .await;

    let ask = async |body: Vec<u8>, encoding: &str| {
        let request = http()
            .post(format!("{url}/git-upload-pack"))
            .bearer_auth(&person.token)
            .header("content-type", "application/x-git-upload-pack-request")
            .header("git-protocol", "version=2")
            .header("content-encoding", encoding)
            .body(body);
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    };
    let (status, refs) = ask(packed(b"0014command=ls-refs\n0000"), "gzip").await;
    assert!(
        status == 200 && refs.contains(&format!("{commit} refs/heads/main")),
        "{status} {refs}"
    );
    let mut cut = packed(b"0014command=ls-refs\n0000");
    cut.truncate(cut.len() - 6);
    assert_eq!(ask(cut, "gzip").await.0, 400);
    assert_eq!(ask(b"not packed".to_vec(), "gzip").await.0, 400);
    assert_eq!(ask(b"0000".to_vec(), "br").await.0, 415);
    let bomb = packed(
        &b"0014command=ls-refs\n"
            .iter()
            .copied()
            .cycle()
            .take(80 << 20)
            .collect::<Vec<_>>(),
    );
    assert!(matches!(ask(bomb, "gzip").await.0, 400 | 413));
    world_ends(world).await;
}

fn packed(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Bytes that don't shrink when packed.
fn common_random(length: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(length + 32);
    while bytes.len() < length {
        bytes.extend_from_slice(&common::random::bytes::<4096>());
    }
    bytes.truncate(length);
    bytes
}

async fn pack_of(repository: &Repository) -> Vec<u8> {
    repository.git(&["repack", "-a", "-d", "--quiet"]).await;
    let packs = std::fs::read_dir(repository.path().join(".git/objects/pack")).unwrap();
    let pack = packs
        .map(|entry| entry.unwrap().path())
        .find(|path| path.extension().is_some_and(|e| e == "pack"));
    std::fs::read(pack.unwrap()).unwrap()
}

/// Whether git holds objects that haven't been accepted yet.
fn quarantined(repository: &std::path::Path) -> bool {
    let entries = std::fs::read_dir(repository.join("objects")).unwrap();
    entries.filter_map(Result::ok).any(|entry| {
        entry
            .file_name()
            .to_string_lossy()
            .starts_with("tmp_objdir-")
    })
}

async fn pushes_over(world: &World) -> Option<()> {
    use diesel::prelude::*;
    diesel::table! {
        pushes (id) {
            id -> Text,
        }
    }
    let count = world
        .context("github")
        .db
        .read(|db| pushes::table.count().get_result::<i64>(db))
        .await
        .unwrap();
    (count == 0).then_some(())
}
