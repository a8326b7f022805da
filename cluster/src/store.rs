//! The way to the store: one connection, the script by its hash, one deadline.

use crate::SYNC;
use crate::member::Answer;
use redis::{Client, Connection, ErrorKind, RedisError};
use std::fmt;
use std::time::Duration;

/// What went wrong with the store. Never names its URL, which may hold a password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreError(String);

impl StoreError {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The store's own words, where it said some; of the rest the kind.
    fn of(error: &RedisError) -> Self {
        let code = error.code().map(|code| format!("{code}: ")).unwrap_or_default();
        Self(format!("{code}{}", error.detail().unwrap_or_else(|| error.category())))
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the store: {}", self.0)
    }
}

impl std::error::Error for StoreError {}

pub(crate) struct Store {
    client: Client,
    connection: Option<Connection>,
    /// Counts the connections.
    opened: u64,
    script: String,
    /// What all keys begin with: one hash slot for all of a namespace.
    prefix: String,
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("prefix", &self.prefix).finish_non_exhaustive()
    }
}

type Said = (String, i64, i64, String, i64, i64, i64);

impl Store {
    /// `url`: `redis://[user:password@]host[:port][/db]`.
    pub(crate) fn new(url: &str, namespace: &str) -> Result<Self, StoreError> {
        if namespace.is_empty() || !namespace.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c)) {
            let message = format!("its namespace {namespace:?}: letters, digits, '-', '_' and '.', at least one");
            return Err(StoreError::new(message));
        }
        let client = Client::open(url).map_err(|error| StoreError::new(format!("its URL: {}", error.category())))?;
        let prefix = format!("tg:{{{namespace}}}:");
        Ok(Self { client, connection: None, opened: 0, script: String::new(), prefix })
    }

    /// Which connection is open, by its number; `None`: none is, and who asks next is a stranger.
    pub(crate) fn connection(&self) -> Option<u64> {
        self.connection.as_ref().map(|_| self.opened)
    }

    /// Opens a connection, if none is open.
    pub(crate) fn open(&mut self, timeout: Duration) -> Result<(), StoreError> {
        if self.connection.is_none() {
            let opened = self.client.get_connection_with_timeout(timeout).map_err(|error| StoreError::of(&error))?;
            self.connection = Some(opened);
            self.opened += 1;
        }
        Ok(())
    }

    pub(crate) fn epoch_key(&self) -> String {
        format!("{}e", self.prefix)
    }

    /// Of the limit `name`.
    pub(crate) fn limit_key(&self, name: &str) -> String {
        format!("{}l:{name}", self.prefix)
    }

    /// Says a command, on the connection that is open.
    pub(crate) fn say<T: redis::FromRedisValue>(
        &mut self,
        command: &redis::Cmd,
        timeout: Duration,
    ) -> Result<T, StoreError> {
        let Some(connection) = &mut self.connection else { return Err(StoreError::new("no connection")) };
        let said = connection.set_read_timeout(Some(timeout)).and_then(|()| command.query(connection));
        said.map_err(|error| StoreError::of(&error))
    }

    /// Asks the script, on the connection that is open. Any failure closes it, so that no answer is taken for another
    /// question's.
    pub(crate) fn ask(&mut self, name: &str, args: &[String], timeout: Duration) -> Result<Answer, StoreError> {
        let asked = self.try_ask(name, args, timeout);
        if asked.is_err() {
            self.connection = None;
        }
        asked.map_err(|error| StoreError::of(&error))
    }

    fn try_ask(&mut self, name: &str, args: &[String], timeout: Duration) -> Result<Answer, RedisError> {
        let keys = [self.limit_key(name), self.epoch_key()];
        let Some(connection) = &mut self.connection else {
            return Err(RedisError::from((ErrorKind::Io, "no connection")));
        };
        connection.set_read_timeout(Some(timeout))?;
        connection.set_write_timeout(Some(timeout))?;
        if self.script.is_empty() {
            self.script = redis::cmd("SCRIPT").arg("LOAD").arg(SYNC).query(connection)?;
        }
        let mut call = redis::cmd("EVALSHA");
        call.arg(&self.script).arg(keys.len()).arg(&keys).arg(args);
        let said = call.query::<Said>(connection);
        // Nothing ran: the same question may be asked again.
        let said = match said {
            Err(error) if error.code() == Some("NOSCRIPT") => {
                redis::cmd("SCRIPT").arg("LOAD").arg(SYNC).exec(connection)?;
                call.query(connection)
            }
            said => said,
        };
        let (status, granted, store_us, epoch, keep, entitled, level) = said?;
        let number = |value: i64| {
            u64::try_from(value).map_err(|_| RedisError::from((ErrorKind::UnexpectedReturnType, "a number below 0")))
        };
        let (granted, store_us, level) = (number(granted)?, number(store_us)?, number(level)?);
        Ok(Answer { status, granted, store_us, epoch, keep: keep == 1, entitled: entitled == 1, level })
    }
}

/// Says that the store of `namespace` is new, and that its limits begin full: those that no host has asked for since.
/// For an operator, before the first host comes.
///
/// Errors: what went wrong with the store.
pub fn init(url: &str, namespace: &str, timeout: Duration) -> Result<(), StoreError> {
    let mut store = Store::new(url, namespace)?;
    let key = store.epoch_key();
    let run = |store: &mut Store| -> Result<bool, RedisError> {
        let mut connection = store.client.get_connection_with_timeout(timeout)?;
        connection.set_read_timeout(Some(timeout))?;
        let script = "local run = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)') \
                      if not run then return 0 end \
                      redis.call('HSET', KEYS[1], 'run', run, 'birth', '0', 'off', '0', 'n', '0') return 1";
        let done: i64 = redis::cmd("EVAL").arg(script).arg(1).arg(&key).query(&mut connection)?;
        Ok(done == 1)
    };
    match run(&mut store) {
        Ok(true) => Ok(()),
        Ok(false) => Err(StoreError::new("it hides its run_id (INFO server), by which its restarts are known")),
        Err(error) => Err(StoreError::of(&error)),
    }
}
