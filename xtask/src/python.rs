//! Python and its environments: one for each file in a folder `requirements` of the tests, kept until that file changes.

use crate::failure::Failure;
use crate::paths;
use crate::step::{program, run, succeeds};
use std::ffi::OsStr;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

/// What the scripts need: `tomllib`.
const OLDEST: &str = "import sys; sys.exit(sys.version_info < (3, 11))";

/// A Python that is recent enough, for the scripts of one folder of `tests`.
pub(crate) struct Python {
    scripts: &'static str,
    environments: PathBuf,
}

/// A virtual environment that holds what one requirements file names.
pub(crate) struct Environment {
    folder: PathBuf,
}

impl Python {
    /// Finds `python3` for the scripts of `tests/SCRIPTS`; `Err` inside is why there is none that will do.
    pub(crate) fn find(scripts: &'static str) -> Result<Result<Self, String>, Failure> {
        if !succeeds(program("python3").args(["-c", OLDEST])) {
            return Ok(Err("there is no python3 of version 3.11 or later".to_owned()));
        }
        Ok(Ok(Self { scripts, environments: paths::target()?.join(format!("{scripts}-venv")) }))
    }

    /// Makes the environment called `name`, unless it is there already; `Err` inside is why it cannot be had.
    pub(crate) fn environment(&self, name: &str) -> Result<Result<Environment, String>, Failure> {
        let requirements = paths::root().join(format!("tests/{}/requirements/{name}.txt", self.scripts));
        let wanted = fs::read_to_string(&requirements).map_err(|source| Failure::file(&requirements, source))?;
        let folder = self.environments.join(name);
        let stamp = folder.join("requirements.txt");
        if fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
            return Ok(Ok(Environment { folder }));
        }
        if folder.exists() {
            fs::remove_dir_all(&folder).map_err(|source| Failure::file(&folder, source))?;
        }
        let mut make = program("python3");
        make.args(["-m", "venv"]).arg(&folder);
        let environment = Environment { folder };
        // What a file names is complete: nothing is resolved, so nothing can change under us.
        let mut install = environment.program("python");
        install.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]);
        install.arg("--requirement").arg(&requirements);
        for (title, command) in [("making an environment for", make), ("installing", install)] {
            if run(&format!("{title} {name}"), &mut { command }).is_err() {
                return Ok(Err(format!("{} could not be installed", requirements.display())));
            }
        }
        // The stamp comes last: an environment that is half made has none.
        fs::write(&stamp, wanted).map_err(|source| Failure::file(&stamp, source))?;
        Ok(Ok(environment))
    }
}

impl Environment {
    /// Where one of its programs is.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.join("bin").join(name)
    }

    /// One of its programs, which finds the others of this environment first and leaves no byte code in the repository.
    pub(crate) fn program(&self, name: &str) -> Command {
        let mut command = program(self.path(name));
        let ours = [self.folder.join("bin")];
        let theirs = std::env::var_os("PATH").unwrap_or_default();
        if let Ok(path) = std::env::join_paths(ours.into_iter().chain(std::env::split_paths(OsStr::new(&theirs)))) {
            command.env("PATH", path);
        }
        command.env("PYTHONDONTWRITEBYTECODE", "1").env("PYTHONUNBUFFERED", "1");
        command
    }
}
