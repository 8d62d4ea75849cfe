//! Editing routes.toml for a command: the value in question and nothing else, under a lock, validated first.
//!
//! [`EditSession::open`] takes the lock and reads. [`EditSession::plan`] works the edit out in memory and refuses
//! what `banyan check` would refuse. [`EditSession::commit`] writes the files that changed if they still are what
//! was read, and gives the lock back: the wait for the running proxy holds nobody up.
//! [`EditSession::take_back`] takes the lock again.
//!
//! - `place`: where in a text a value stands. `steps`: from two file sets to what is to be done to each file.
//! - `swap`: files replaced by others. `error`: why nothing was edited.
//! - `shares`: who holds a share. `running`: an edit and the proxy that reads the files.

use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use banyan_routes::{FileSet, Problem, Report, RouteTable, SourceFile, Variables};

use crate::files;
use crate::load::{self, LoadError, Source};

mod error;
mod place;
mod running;
mod shares;
mod steps;
mod swap;

pub use error::EditError;
pub use place::{Change, Place};
pub use running::{Edit, Editor, InForce, NotInForce, Running, Told};
pub use shares::{Holder, NoShare, find, holders, legacy_writes_again, pins_stay, zeros};
use steps::{added, steps};

/// One file set held for editing.
#[derive(Debug)]
pub struct EditSession {
    main: PathBuf,
    variables: Variables,
    files: FileSet,
    table: RouteTable,
    report: Report,
    lock: swap::Lock,
}

/// An edit worked out and found valid, not written yet.
#[derive(Debug)]
pub struct Plan {
    files: FileSet,
    removed: Vec<SourceFile>,
    /// What the files will mean.
    pub table: RouteTable,
    /// Hash of the file set as it will be, as the running proxy computes it.
    pub after_hash: String,
    /// Warnings that the file set did not have before.
    pub new_warnings: Vec<Problem>,
}

impl Plan {
    /// The files as they will be.
    pub fn files(&self) -> &FileSet {
        &self.files
    }
}

impl EditSession {
    /// Takes the lock, waiting at most `wait` for another edit, and reads the file set.
    pub fn open(main: &Path, variables: Variables, wait: Duration) -> Result<Self, EditError> {
        let lock = swap::Lock::take(main, wait)?;
        let loaded = load::load(&Source::File(main.to_owned()), &variables).map_err(|error| match error {
            LoadError::Read(error) => EditError::Read(error),
            LoadError::Refused(report) => EditError::Invalid(report),
        })?;
        // A file source always has files; the other case cannot be reached and is harmless.
        let files = loaded.files.ok_or_else(|| EditError::ChangedMeanwhile { path: main.to_owned() })?;
        let (table, report) = (loaded.table, loaded.report);
        Ok(Self { main: main.to_owned(), variables, files, table, report, lock })
    }

    /// What the files mean now.
    pub fn table(&self) -> &RouteTable {
        &self.table
    }

    /// The files as they are now.
    pub fn files(&self) -> &FileSet {
        &self.files
    }

    /// Works the changes out, all or none.
    pub fn plan(&self, changes: &[Change]) -> Result<Plan, EditError> {
        let mut files = self.files.clone();
        for change in changes {
            place::apply(&mut files, change)?;
        }
        self.plan_files(files)
    }

    /// Another file set instead of this one: changed, new and missing included files.
    pub fn plan_files(&self, files: FileSet) -> Result<Plan, EditError> {
        let (table, report) = load::parse(&files, &self.variables);
        let Some(table) = table else { return Err(EditError::WouldBeInvalid(report)) };
        if let Some(file) = added(&self.files, &files).find(|file| !self.may_add(&files, file)) {
            return Err(EditError::Outside { file: file.name.clone() });
        }
        let kept = |old: &SourceFile| files.included.iter().any(|file| file.name == old.name);
        let removed = self.files.included.iter().filter(|old| !kept(old)).cloned().collect();
        let new_warnings = report.problems.into_iter().filter(|problem| !self.had(problem)).collect();
        Ok(Plan { after_hash: files::text_hash(&files), files, removed, table, new_warnings })
    }

    /// Does everything of [`EditSession::commit`] but the last step: an error here is what it would end with.
    pub fn rehearse(&self, plan: &Plan) -> Result<(), EditError> {
        swap::rehearse(&steps(&self.files, &plan.files, &plan.removed, |file| self.path(file)), &self.main)
    }

    /// Writes the plan, all of it or nothing, and gives the lock back.
    pub fn commit(&self, plan: &Plan) -> Result<(), EditError> {
        self.replace(&self.files, &plan.files, &plan.removed)?;
        self.lock.release()
    }

    /// Takes a committed plan back, unless somebody has edited its files since. Waits at most `wait` for the lock.
    pub fn take_back(&self, plan: &Plan, wait: Duration) -> Result<(), EditError> {
        self.lock.take_again(wait)?;
        let added = added(&self.files, &plan.files).cloned().collect::<Vec<_>>();
        self.replace(&plan.files, &self.files, &added)
    }

    /// Names may come from elsewhere: a new file must be one that the proxy will read. Out of the main file's
    /// folder it must be named so by the file that is there now.
    fn may_add(&self, new: &FileSet, file: &SourceFile) -> bool {
        let name = files::relative_name(new, file);
        let inside = Path::new(&name).components().all(|part| matches!(part, Component::Normal(_)));
        let named = || files::patterns_of(&self.files.main, &self.variables).contains(&name);
        files::is_included(new, file, &self.variables) && (inside || named())
    }

    fn had(&self, problem: &Problem) -> bool {
        self.report.problems.iter().any(|old| old.code == problem.code && old.message == problem.message)
    }

    fn replace(&self, old: &FileSet, new: &FileSet, removed: &[SourceFile]) -> Result<(), EditError> {
        swap::take_steps(&steps(old, new, removed, |file| self.path(file)), &self.main)
    }

    /// The main file as it was named to us, so that a link to it is seen; included files by their own names.
    fn path(&self, file: &SourceFile) -> PathBuf {
        if file.name == self.files.main.name { self.main.clone() } else { PathBuf::from(&file.name) }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use std::fs;

    use banyan_routes::{Destination, Share};
    use proptest::prelude::{Strategy, prop_oneof, proptest};

    use super::*;

    const WAIT: Duration = Duration::from_secs(20);

    const HEAD: &str = "\
version = 1
include = [\"routes.d/*.toml\"]

[defaults]
legacy = \"monolith\"
sticky = [\"client-ip\"]

[upstreams]
monolith = { targets = [\"http://127.0.0.1:3000\"] }
orders = { targets = [\"http://127.0.0.1:4001\"] }

[stores]
shared = { mode = \"shared\" }
";

    fn route(name: &str, percent: &str) -> String {
        format!(
            "\n[[route]]\nname = \"{name}\"\npath = \"/{name}/*\"\nto = \"orders\"\nstore = \"shared\"\npercent = {percent}\n"
        )
    }

    struct Folder(tempfile::TempDir);

    impl Folder {
        fn new(routes: &str, included: &str) -> Self {
            let folder = tempfile::tempdir().unwrap();
            fs::create_dir(folder.path().join("routes.d")).unwrap();
            fs::write(folder.path().join("routes.toml"), format!("{HEAD}{routes}")).unwrap();
            fs::write(folder.path().join("routes.d/more.toml"), included).unwrap();
            Self(folder)
        }

        fn main(&self) -> PathBuf {
            self.0.path().join("routes.toml")
        }

        fn open(&self) -> EditSession {
            EditSession::open(&self.main(), Variables::new(), WAIT).unwrap()
        }

        fn texts(&self) -> [String; 2] {
            ["routes.toml", "routes.d/more.toml"]
                .map(|name| fs::read_to_string(self.0.path().join(name)).unwrap())
        }
    }

    fn to(session: &EditSession, name: &str, share: Share) -> Change {
        let route = session.table().routes().iter().find(|route| route.name == name).unwrap();
        let Destination::Split(split) = &route.destination else { panic!("{name} has no share") };
        let origin = split.percent_origin.clone();
        Change::share(Place::Route { name: name.to_owned(), origin }, share)
    }

    fn share(thousandths: u32) -> Share {
        Share::from_thousandths(thousandths).unwrap()
    }

    #[test]
    fn the_file_that_defines_the_value_is_edited_and_the_hash_foretold() {
        let folder = Folder::new(&route("a", "1"), &route("b", "2"));
        let session = folder.open();
        let plan = session.plan(&[to(&session, "b", share(12_500))]).unwrap();
        session.commit(&plan).unwrap();
        let [main, included] = folder.texts();
        assert_eq!(main, format!("{HEAD}{}", route("a", "1")));
        assert_eq!(included, route("b", "12.5"));
        let read = files::read(&folder.main(), &Variables::new()).unwrap();
        assert_eq!(files::text_hash(&read), plan.after_hash);
    }

    #[test]
    fn a_plan_is_taken_back() {
        let folder = Folder::new(&route("a", "1"), &route("b", "2"));
        let before = folder.texts();
        let session = folder.open();
        let changes = [to(&session, "a", Share::ALL), to(&session, "b", Share::NONE)];
        let plan = session.plan(&changes).unwrap();
        session.commit(&plan).unwrap();
        assert_ne!(folder.texts(), before);
        session.take_back(&plan, WAIT).unwrap();
        assert_eq!(folder.texts(), before);
    }

    #[test]
    fn an_edit_that_check_refuses_is_never_written() {
        let separate = "[stores.own]\nmode = \"separate\"\nwriter = \"candidate\"\n";
        let own = route("a", "100").replace("\"shared\"", "\"own\"");
        let folder = Folder::new(&format!("{own}{separate}"), "");
        let before = folder.texts();
        let session = folder.open();
        let refused = session.plan(&[to(&session, "a", share(50_000))]).unwrap_err();
        assert!(matches!(refused, EditError::WouldBeInvalid(_)), "{refused}");
        assert_eq!(folder.texts(), before);
    }

    #[test]
    fn somebody_elses_save_is_kept() {
        let folder = Folder::new(&route("a", "1"), "");
        let session = folder.open();
        let plan = session.plan(&[to(&session, "a", Share::ALL)]).unwrap();
        let theirs = format!("{HEAD}{}# by hand\n", route("a", "3"));
        fs::write(folder.main(), &theirs).unwrap();
        let refused = session.commit(&plan).unwrap_err();
        assert!(matches!(refused, EditError::ChangedMeanwhile { .. }), "{refused}");
        assert_eq!(folder.texts()[0], theirs);
    }

    fn with_new(session: &EditSession, name: &str) -> FileSet {
        let mut files = session.files().clone();
        files.main.text.push_str("# edited\n");
        let folder = Path::new(&files.main.name).parent().unwrap();
        let name = folder.join(name).display().to_string();
        files.included.push(SourceFile { name, text: route("new", "1") });
        files
    }

    #[test]
    fn an_edit_of_several_files_fails_whole() {
        let folder = Folder::new(&route("a", "1"), "");
        let before = folder.texts();
        let session = folder.open();
        let plan = session.plan_files(with_new(&session, "routes.d/new.toml")).unwrap();
        let theirs = folder.0.path().join("routes.d/new.toml");
        fs::write(&theirs, "# theirs").unwrap();
        let refused = session.commit(&plan).unwrap_err();
        assert!(matches!(refused, EditError::ChangedMeanwhile { .. }), "{refused}");
        assert_eq!((folder.texts(), fs::read_to_string(theirs).unwrap()), (before, "# theirs".to_owned()));
    }

    #[test]
    fn a_new_file_gets_the_mode_of_the_main_file_and_goes_when_taken_back() {
        use std::os::unix::fs::PermissionsExt;
        let folder = Folder::new(&route("a", "1"), "");
        let before = folder.texts();
        fs::set_permissions(folder.main(), fs::Permissions::from_mode(0o660)).unwrap();
        let session = folder.open();
        let plan = session.plan_files(with_new(&session, "routes.d/new.toml")).unwrap();
        session.commit(&plan).unwrap();
        let new = folder.0.path().join("routes.d/new.toml");
        assert_eq!(fs::metadata(&new).unwrap().permissions().mode() & 0o7777, 0o660);
        session.take_back(&plan, WAIT).unwrap();
        assert_eq!((folder.texts(), new.exists()), (before, false));
    }

    #[test]
    fn a_new_file_must_be_one_that_is_included() {
        let folder = Folder::new(&route("a", "1"), "");
        let session = folder.open();
        for name in ["other/new.toml", "routes.d/../../new.toml", "/tmp/new.toml"] {
            let refused = session.plan_files(with_new(&session, name)).unwrap_err();
            assert!(matches!(refused, EditError::Outside { .. }), "{name}: {refused}");
        }
    }

    #[test]
    fn a_committed_edit_holds_nobody_up() {
        let folder = Folder::new(&route("a", "1"), "");
        let session = folder.open();
        let plan = session.plan(&[to(&session, "a", Share::ALL)]).unwrap();
        session.commit(&plan).unwrap();
        EditSession::open(&folder.main(), Variables::new(), Duration::ZERO).unwrap();
    }

    #[test]
    fn edits_at_the_same_time_all_count() {
        let names: Vec<String> = (0..8).map(|number| format!("r{number}")).collect();
        let folder = Folder::new(&names.iter().map(|name| route(name, "1")).collect::<String>(), "");
        std::thread::scope(|scope| {
            for name in &names {
                scope.spawn(|| {
                    for step in 2..=5 {
                        let session = folder.open();
                        let plan = session.plan(&[to(&session, name, share(step * 1000))]).unwrap();
                        session.commit(&plan).unwrap();
                    }
                });
            }
        });
        assert_eq!(
            folder.texts()[0],
            format!("{HEAD}{}", names.iter().map(|name| route(name, "5")).collect::<String>())
        );
    }

    /// A route written in any of several layouts.
    fn layout() -> impl Strategy<Value = String> {
        let table = route("a", "PERCENT");
        prop_oneof![
            proptest::strategy::Just(table.clone()),
            proptest::strategy::Just(table.replace("percent = ", "percent   =\t") + "# end"),
            proptest::strategy::Just(table.replace("PERCENT\n", "PERCENT # why: ünï — 5\n\n# more\n")),
            proptest::strategy::Just(table.replace('\n', "\r\n")),
            proptest::strategy::Just(table.trim_end().to_owned()),
        ]
    }

    proptest! {
        #[test]
        fn there_and_back_gives_the_same_bytes(layout in layout(), from in 0..=100_000_u32, step in 0..=100_000_u32) {
            let (from, step) = (share(from), share(step));
            let folder = Folder::new("", &layout.replace("PERCENT", &from.to_string()));
            let before = folder.texts();
            for share in [step, from] {
                let session = folder.open();
                let plan = session.plan(&[to(&session, "a", share)]).unwrap();
                session.commit(&plan).unwrap();
            }
            proptest::prop_assert_eq!(folder.texts(), before);
        }
    }
}
