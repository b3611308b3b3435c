//! `--data`: the account on disk, so that it goes on where it was.
//!
//! Each save is a folder of its own, `save-N`, and the file `current` names the last whole one: a save that was cut
//! off is never read. Older ones are removed.

use crate::aws::Aws;
use std::fs::{DirBuilder, File, TryLockError};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How often changes are written. What a killed process has done since is lost; one that is told to stop loses nothing.
const SAVE_EVERY: Duration = Duration::from_secs(2);
/// The file that names the last whole save.
const CURRENT: &str = "current";
/// Who may look into it.
const OWNER_ONLY: u32 = 0o700;
/// The file that is locked by whoever uses the folder.
const LOCK: &str = "lock";
/// What the folders of saves begin with.
const SAVE: &str = "save-";

/// A folder of saves.
#[derive(Debug)]
pub struct Data {
    folder: PathBuf,
    /// Held for as long as this lives: two runners on one folder would write over one another.
    _lock: File,
    last: u64,
    written: Option<u64>,
}

impl Data {
    /// Opens `folder`, which is made if it is not there.
    ///
    /// # Errors
    /// When it cannot be made, holds something else, or is used by another runner.
    pub fn open(folder: &Path) -> io::Result<Self> {
        if folder.exists() && !folder.is_dir() {
            return Err(io::Error::new(io::ErrorKind::NotADirectory, "not a folder"));
        }
        // Secrets are in it as they are.
        DirBuilder::new().recursive(true).mode(OWNER_ONLY).create(folder)?;
        let lock = File::create(folder.join(LOCK))?;
        lock.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => {
                io::Error::new(io::ErrorKind::ResourceBusy, "another runner keeps its state here")
            }
            TryLockError::Error(error) => error,
        })?;
        let last = match std::fs::read_to_string(folder.join(CURRENT)) {
            Ok(name) => number(name.trim()).ok_or_else(|| {
                let sentence = format!("{} names no save: {name:?}", folder.join(CURRENT).display());
                io::Error::new(io::ErrorKind::InvalidData, sentence)
            })?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
            Err(error) => return Err(error),
        };
        Ok(Self { folder: folder.to_owned(), _lock: lock, last, written: None })
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
        DirBuilder::new().mode(OWNER_ONLY).create(&folder)?;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aws::Behaviour;
    use crate::clock::Clock;
    use crate::faults::Faults;
    use serde_json::json;
    use std::os::unix::fs::PermissionsExt as _;

    fn account() -> Aws {
        let start = "2026-08-31T12:00:00Z".parse().unwrap();
        Aws::new(Clock::starting_at(start), Behaviour::default(), Faults::none(), 1).unwrap()
    }

    /// A folder of this test alone, gone when it is done.
    struct Scratch(PathBuf);

    impl Scratch {
        fn new(name: &str) -> Self {
            let folder = std::env::temp_dir().join(format!("pointsman-{name}-{}", std::process::id()));
            let _ = std::fs::remove_dir_all(&folder);
            Self(folder)
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_account_goes_on_from_its_last_whole_save() {
        let scratch = Scratch::new("data");
        let mut data = Data::open(&scratch.0).unwrap();
        assert_eq!(data.last(), None, "nothing was saved yet");
        let aws = account();
        let queue = json!({ "QueueName": "work" });
        let url = aws.ask("sqs", "us-east-1", "CreateQueue", queue.clone()).unwrap()["QueueUrl"].clone();
        let table = json!({
            "TableName": "things", "BillingMode": "PAY_PER_REQUEST",
            "AttributeDefinitions": [{ "AttributeName": "pk", "AttributeType": "S" }],
            "KeySchema": [{ "AttributeName": "pk", "KeyType": "HASH" }],
        });
        aws.ask("dynamodb", "us-east-1", "CreateTable", table).unwrap();
        data.save(&aws).unwrap();
        let first = data.last().unwrap();
        data.save(&aws).unwrap();
        assert_eq!(data.last().unwrap(), first, "nothing changed, nothing is written");
        aws.ask("sqs", "us-east-1", "SendMessage", json!({ "QueueUrl": url, "MessageBody": "x" })).unwrap();
        data.save(&aws).unwrap();
        assert!(!first.exists(), "an older save is removed");
        assert_eq!(std::fs::metadata(&scratch.0).unwrap().permissions().mode() & 0o777, OWNER_ONLY);
        // What a killed process leaves: a save that was never named.
        std::fs::create_dir(scratch.0.join("save-3")).unwrap();

        let busy = Data::open(&scratch.0).unwrap_err();
        assert!(busy.to_string().contains("another runner"), "{busy}");
        drop(data);
        let again = Data::open(&scratch.0).unwrap();
        let other = account();
        other.restore(&again.last().unwrap()).unwrap();
        let message = other.ask("sqs", "us-east-1", "ReceiveMessage", json!({ "QueueUrl": url })).unwrap();
        assert_eq!(message["Messages"][0]["Body"], "x");
        let tables = other.ask("dynamodb", "us-east-1", "ListTables", json!({})).unwrap();
        assert_eq!(tables["TableNames"], json!(["things"]));
        let mut again = again;
        again.save(&other).unwrap();
        assert_eq!(again.last().unwrap(), scratch.0.join("save-3"));
    }

    #[test]
    fn a_folder_of_something_else_is_refused() {
        let scratch = Scratch::new("other");
        std::fs::create_dir_all(&scratch.0).unwrap();
        std::fs::write(scratch.0.join(CURRENT), "../../etc").unwrap();
        assert!(Data::open(&scratch.0).unwrap_err().to_string().contains("names no save"));
        let file = Data::open(&scratch.0.join(CURRENT)).unwrap_err();
        assert_eq!(file.to_string(), "not a folder");
    }
}
