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
    script: String,
    keys: [String; 2],
    timeout: Duration,
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("keys", &self.keys).finish_non_exhaustive()
    }
}

type Said = (String, i64, i64, String, i64, i64, i64);

impl Store {
    /// `url`: `redis://[user:password@]host[:port][/db]`.
    pub(crate) fn new(url: &str, namespace: &str, name: &str, timeout: Duration) -> Result<Self, StoreError> {
        let client = Client::open(url).map_err(|error| StoreError::new(format!("its URL: {}", error.category())))?;
        // One hash slot for all of a namespace.
        let keys = [format!("tg:{{{namespace}}}:l:{name}"), format!("tg:{{{namespace}}}:e")];
        Ok(Self { client, connection: None, script: String::new(), keys, timeout })
    }

    /// Whether the next question opens a connection: then its host is a stranger.
    pub(crate) fn is_closed(&self) -> bool {
        self.connection.is_none()
    }

    /// Asks the script. Any failure closes the connection, so that no answer is taken for another question's.
    pub(crate) fn ask(&mut self, args: &[String]) -> Result<Answer, StoreError> {
        let asked = self.try_ask(args);
        if asked.is_err() {
            self.connection = None;
        }
        asked.map_err(|error| StoreError::of(&error))
    }

    fn try_ask(&mut self, args: &[String]) -> Result<Answer, RedisError> {
        let connection = match &mut self.connection {
            Some(connection) => connection,
            none => {
                let connection = self.client.get_connection_with_timeout(self.timeout)?;
                connection.set_read_timeout(Some(self.timeout))?;
                connection.set_write_timeout(Some(self.timeout))?;
                none.insert(connection)
            }
        };
        if self.script.is_empty() {
            self.script = redis::cmd("SCRIPT").arg("LOAD").arg(SYNC).query(connection)?;
        }
        let mut call = redis::cmd("EVALSHA");
        call.arg(&self.script).arg(self.keys.len()).arg(&self.keys).arg(args);
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
    let mut store = Store::new(url, namespace, "", timeout)?;
    let run = |store: &mut Store| -> Result<bool, RedisError> {
        let mut connection = store.client.get_connection_with_timeout(timeout)?;
        connection.set_read_timeout(Some(timeout))?;
        let script = "local run = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)') \
                      if not run then return 0 end \
                      redis.call('HSET', KEYS[1], 'run', run, 'birth', '0', 'off', '0', 'n', '0') return 1";
        let done: i64 = redis::cmd("EVAL").arg(script).arg(1).arg(&store.keys[1]).query(&mut connection)?;
        Ok(done == 1)
    };
    match run(&mut store) {
        Ok(true) => Ok(()),
        Ok(false) => Err(StoreError::new("it hides its run_id (INFO server), by which its restarts are known")),
        Err(error) => Err(StoreError::of(&error)),
    }
}
