//! Small trees of files, and Git repositories made of them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A directory with files, removed at the end.
pub struct Tree(tempfile::TempDir);

impl Tree {
    /// A tree of these files, each path with its text.
    pub fn new(files: &[(&str, &str)]) -> Self {
        let tree = Self(tempfile::tempdir().unwrap());
        for (path, text) in files {
            tree.write(path, text);
        }
        tree
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    pub fn write(&self, path: &str, text: &str) {
        let path = self.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    pub fn link(&self, path: &str, target: &str) {
        std::os::unix::fs::symlink(target, self.path().join(path)).unwrap();
    }

    /// Makes the tree a repository and commits all of it; the commit's id.
    pub fn commit(&self, message: &str) -> String {
        if !self.path().join(".git").exists() {
            self.git(&["init", "-q", "-b", "main"]);
        }
        self.git(&["add", "-A"]);
        self.git(&[
            "-c",
            "user.name=Ada",
            "-c",
            "user.email=ada@example.com",
            "commit",
            "-q",
            "-m",
            message,
        ]);
        self.git(&["rev-parse", "HEAD"])
    }

    pub fn git(&self, words: &[&str]) -> String {
        git(self.path(), words)
    }
}

/// Runs git without the machine's own configuration.
pub fn git(dir: &Path, words: &[&str]) -> String {
    let output = Command::new("git")
        .args(words)
        .current_dir(dir)
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "git {words:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// Where the bundles of real repositories are, if they are there.
pub fn fixtures() -> Option<PathBuf> {
    let default = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/fixtures");
    let dir = std::env::var_os("SLIPWAY_FIXTURES").map_or(default, PathBuf::from);
    dir.join("fastify.bundle").exists().then_some(dir)
}

/// A bundle as a repository; the bundles have a branch `main` and no HEAD.
pub fn bundle(name: &str) -> Option<Tree> {
    let file = fixtures()?.join(format!("{name}.bundle"));
    let tree = Tree::new(&[]);
    git(
        tree.path(),
        &["clone", "-q", "-b", "main", file.to_str().unwrap(), "."],
    );
    Some(tree)
}
