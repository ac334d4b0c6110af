//! Files that are served as they are.

use super::draft::Draft;
use super::plan::{Provider, RelPath, Web};
use super::source::Source;

/// Where an `index.html` is looked for, the likeliest first.
const DIRS: [&str; 6] = [".", "public", "dist", "build", "site", "_site"];

/// A static site, if there is an `index.html` in one of the usual places.
pub(super) fn plan(source: &Source) -> Option<Draft> {
    let dir = DIRS
        .into_iter()
        .find(|dir| source.has(&format!("{dir}/index.html")))?;
    let mut draft = Draft::new(Provider::Static);
    let place = if dir == "." { "at the top" } else { dir };
    draft.because(format!(
        "index.html: found ({place}), so these files are served as they are"
    ));
    draft.web = RelPath::parse(dir).ok().map(|dir| Web::Static {
        dir,
        single_page: false,
    });
    Some(draft)
}
