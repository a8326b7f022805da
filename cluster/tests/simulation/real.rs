//! The same questions to a real Redis: with its own Lua, its own commands, and the simulation's time.

use crate::server::Server;
use crate::store::{Hash, run_id};
use crate::world::Asked;
use std::collections::BTreeMap;
use tidegate_cluster::member::Answer;

pub(crate) struct Redis {
    connection: redis::Connection,
    script: String,
    _server: Server,
}

impl Redis {
    /// `None`: there is none on this machine, which is said.
    pub(crate) fn start() -> Option<Self> {
        let server = Server::start()?;
        let mut connection = server.connect();
        // The script's only sources of time and identity are keys here.
        let script = tidegate_cluster::SYNC
            .replace("redis.call('TIME')", "redis.call('HMGET', 'sim', 's', 'us')")
            .replace("redis.call('INFO', 'server')", "'run_id:' .. redis.call('HGET', 'sim', 'run')");
        assert!(!script.contains("'TIME'") && !script.contains("'INFO'"));
        let script = redis::cmd("SCRIPT").arg("LOAD").arg(script).query(&mut connection).expect("loaded");
        Some(Self { connection, script, _server: server })
    }

    /// The answer, and what the store holds then.
    pub(crate) fn sync(&mut self, asked: &Asked) -> (Answer, BTreeMap<String, Hash>) {
        let mut all = redis::pipe();
        all.cmd("DEL").arg("limit").arg("epoch").ignore();
        for (key, hash) in &asked.data.hashes {
            all.cmd("HSET").arg(key);
            for (field, value) in hash {
                all.arg(field).arg(value);
            }
            all.ignore();
        }
        let (s, us) = (asked.data.now_us / 1_000_000, asked.data.now_us % 1_000_000);
        all.cmd("HSET").arg("sim").arg("s").arg(s).arg("us").arg(us).arg("run").arg(run_id(asked.data.run)).ignore();
        all.cmd("EVALSHA").arg(&self.script).arg(2).arg("limit").arg("epoch").arg(&asked.args);
        all.cmd("HGETALL").arg("limit").cmd("HGETALL").arg("epoch");
        type Said = (String, u64, u64, String, u64, u64, u64);
        let (said, limit, epoch): (Said, Hash, Hash) = all.query(&mut self.connection).expect("an answer");
        let (status, granted, store_us, epoch_id, keep, entitled, level) = said;
        let (keep, entitled) = (keep == 1, entitled == 1);
        let answer = Answer { status, granted, store_us, epoch: epoch_id, keep, entitled, level };
        let hashes = [("limit", limit), ("epoch", epoch)].into_iter().filter(|(_, hash)| !hash.is_empty());
        (answer, hashes.map(|(key, hash)| (key.to_owned(), hash)).collect())
    }
}
