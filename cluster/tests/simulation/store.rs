//! A store in this process: the real script in the real language (Lua 5.1), over the few commands that it uses. That it
//! answers as Redis does is tested against one.

use mlua::{Function, Lua, MultiValue, Value};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use tidegate_cluster::member::Answer;

pub(crate) type Hash = BTreeMap<String, String>;

#[derive(Clone, Debug, Default)]
pub(crate) struct Data {
    pub(crate) hashes: BTreeMap<String, Hash>,
    /// Microseconds that TIME says.
    pub(crate) now_us: u64,
    pub(crate) run: u64,
}

pub(crate) struct Store {
    lua: Lua,
    script: Function,
    pub(crate) data: Rc<RefCell<Data>>,
}

/// As Redis hands numbers to its commands.
fn text(value: &Value) -> String {
    match value {
        Value::Integer(number) => number.to_string(),
        Value::Number(number) if number.fract() == 0.0 && number.abs() < 1e17 => format!("{number:.0}"),
        Value::Number(number) => panic!("{number} is no integer"),
        Value::String(text) => text.to_str().expect("text").to_owned(),
        other => panic!("{other:?} is no argument of a command"),
    }
}

pub(crate) fn run_id(run: u64) -> String {
    format!("{run:040x}")
}

impl Data {
    fn call(&mut self, lua: &Lua, args: &[String]) -> Value {
        let string = |text: &str| Value::String(lua.create_string(text).expect("memory"));
        let list = |values: Vec<Value>| Value::Table(lua.create_sequence_from(values).expect("memory"));
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        match args.as_slice() {
            ["TIME"] => {
                let (s, us) = (self.now_us / 1_000_000, self.now_us % 1_000_000);
                list(vec![string(&s.to_string()), string(&us.to_string())])
            }
            ["INFO", "server"] => string(&format!("# Server\r\nrun_id:{}\r\n", run_id(self.run))),
            ["HMGET", key, fields @ ..] => {
                let hash = self.hashes.get(*key);
                let field = |name: &&str| hash.and_then(|hash| hash.get(*name));
                list(
                    fields
                        .iter()
                        .map(|name| field(name).map_or(Value::Boolean(false), |value| string(value)))
                        .collect(),
                )
            }
            ["HGETALL", key] => {
                let all = self.hashes.get(*key).into_iter().flatten();
                list(all.flat_map(|(name, value)| [string(name), string(value)]).collect())
            }
            ["HSET", key, pairs @ ..] => {
                let hash = self.hashes.entry((*key).to_owned()).or_default();
                let new = pairs.chunks(2).filter(|pair| hash.insert(pair[0].into(), pair[1].into()).is_none()).count();
                Value::Number(new as f64)
            }
            ["HDEL", key, field] => {
                let gone = self.hashes.get_mut(*key).is_some_and(|hash| hash.remove(*field).is_some());
                self.hashes.retain(|_, hash| !hash.is_empty());
                Value::Number(f64::from(u8::from(gone)))
            }
            ["DEL", key] => Value::Number(f64::from(u8::from(self.hashes.remove(*key).is_some()))),
            other => panic!("the store knows no {other:?}"),
        }
    }
}

impl Store {
    pub(crate) fn new(source: &str) -> Self {
        let (lua, data) = (Lua::new(), Rc::new(RefCell::new(Data::default())));
        let redis = lua.create_table().expect("a table");
        let shared = data.clone();
        let call = lua.create_function(move |lua, args: MultiValue| {
            let args: Vec<String> = args.iter().map(text).collect();
            Ok(shared.borrow_mut().call(lua, &args))
        });
        redis.set("call", call.expect("a function")).expect("set");
        lua.globals().set("redis", redis).expect("set");
        let script = lua.load(source).into_function().expect("the script is Lua");
        Self { lua, script, data }
    }

    /// The script's answer to `args`, run now.
    pub(crate) fn sync(&self, args: &[String]) -> Answer {
        let globals = self.lua.globals();
        globals.set("KEYS", vec!["limit", "epoch"]).expect("set");
        globals.set("ARGV", args.to_vec()).expect("set");
        let answer: mlua::Table = self.script.call(()).unwrap_or_else(|error| panic!("{error}\n{args:?}"));
        // As Redis answers: integers, cut off.
        let number = |at: i64| answer.get::<f64>(at).expect("a number").trunc() as u64;
        let text = |at: i64| answer.get::<String>(at).expect("a text");
        Answer {
            status: text(1),
            granted: number(2),
            store_us: number(3),
            epoch: text(4),
            keep: number(5) == 1,
            entitled: number(6) == 1,
            level: number(7),
        }
    }
}
