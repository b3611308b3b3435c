//! `--data`: the account on disk, so that it goes on where it was.
//!
//! Each save is a folder of its own, `save-N`, and the file `current` names the last whole one: a save that was cut
//! off is never read. Older ones are removed.

use crate::aws::Aws;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How often changes are written. What a killed process has done since is lost; one that is told to stop loses nothing.
const SAVE_EVERY: Duration = Duration::from_secs(2);
/// The file that names the last whole save.
const CURRENT: &str = "current";
/// What the folders of saves begin with.
const SAVE: &str = "save-";

/// A folder of saves.
#[derive(Debug)]
pub struct Data {
    folder: PathBuf,
    last: u64,
    written: Option<u64>,
}

impl Data {
    /// Opens `folder`, which is made if it is not there.
    ///
    /// # Errors
    /// When it cannot be made, or holds something else.
    pub fn open(folder: &Path) -> io::Result<Self> {
        std::fs::create_dir_all(folder)?;
        let last = match std::fs::read_to_string(folder.join(CURRENT)) {
            Ok(name) => number(name.trim()).ok_or_else(|| {
                let sentence = format!("{} names no save: {name:?}", folder.join(CURRENT).display());
                io::Error::new(io::ErrorKind::InvalidData, sentence)
            })?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
            Err(error) => return Err(error),
        };
        Ok(Self { folder: folder.to_owned(), last, written: None })
    }

    /// The last whole save, if there is one.
    pub fn last(&self) -> Option<PathBuf> {
        (self.last > 0).then(|| self.save_folder(self.last))
    }

    /// Writes `aws`, unless nothing has changed since the last time.
    ///
    /// # Errors
    /// When it cannot be written. The last whole save stays.
    pub fn save(&mut self, aws: &Aws) -> io::Result<()> {
        let changes = aws.changes();
        if self.written == Some(changes) {
            return Ok(());
        }
        let next = self.last + 1;
        let folder = self.save_folder(next);
        // What a process that was killed has left there.
        if folder.exists() {
            std::fs::remove_dir_all(&folder)?;
        }
        std::fs::create_dir(&folder)?;
        aws.save(&folder)?;
        let fresh = self.folder.join(format!("{CURRENT}.new"));
        std::fs::write(&fresh, format!("{SAVE}{next}\n"))?;
        std::fs::rename(fresh, self.folder.join(CURRENT))?;
        self.last = next;
        self.written = Some(changes);
        self.remove_older()
    }

    /// Saves again and again, for as long as it is polled.
    ///
    /// # Errors
    /// As [`Data::save`].
    pub async fn keep(&mut self, aws: &Aws) -> io::Result<()> {
        loop {
            tokio::time::sleep(SAVE_EVERY).await;
            self.save(aws)?;
        }
    }

    fn save_folder(&self, save: u64) -> PathBuf {
        self.folder.join(format!("{SAVE}{save}"))
    }

    fn remove_older(&self) -> io::Result<()> {
        for entry in std::fs::read_dir(&self.folder)? {
            let entry = entry?;
            if number(&entry.file_name().to_string_lossy()).is_some_and(|save| save < self.last) {
                std::fs::remove_dir_all(entry.path())?;
            }
        }
        Ok(())
    }
}

fn number(name: &str) -> Option<u64> {
    name.strip_prefix(SAVE)?.parse().ok()
}
