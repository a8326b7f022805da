//! What the two fields need of RFC 9651: a list of strings with parameters (section 4.2).

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

/// The largest integer of a structured field: 15 digits.
pub(super) const MAX_INTEGER: u64 = 999_999_999_999_999;

/// Section 4.2.7: padding may be missing, and the bits after the last byte may be anything.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// A bare item. Those that no parameter of ours may be are checked and not kept.
#[derive(Debug, PartialEq)]
pub(super) enum Bare {
    Integer(i64),
    String(String),
    Bytes(Vec<u8>),
    /// A decimal, token, boolean, date or display string.
    Other,
}

/// The parameters that the draft defines. Others are comments, and however many there are, none is kept.
const PARAMETERS: [&str; 6] = ["q", "qu", "w", "pk", "r", "t"];

/// A string with its parameters, the later of two of one name.
#[derive(Debug)]
pub(super) struct Item<'a> {
    pub(super) value: String,
    pub(super) parameters: Vec<(&'a str, Bare)>,
}

/// Where and why a text is no list of strings.
#[derive(Debug)]
pub(super) struct Malformed {
    pub(super) at: usize,
    pub(super) expected: &'static str,
}

type Parsed<T> = Result<T, &'static str>;

/// The whole field. Several lines of one field are joined by commas first.
pub(super) fn list(text: &str) -> Result<Vec<Item<'_>>, Malformed> {
    let mut rest = Rest(text);
    rest.items().map_err(|expected| Malformed { at: text.len() - rest.0.len(), expected })
}

/// What is not read yet.
struct Rest<'a>(&'a str);

impl<'a> Rest<'a> {
    fn items(&mut self) -> Parsed<Vec<Item<'a>>> {
        let mut items = Vec::new();
        self.skip(" ");
        while !self.0.is_empty() {
            let Bare::String(value) = self.bare()? else { return Err("a string in double quotes") };
            items.push(Item { value, parameters: self.parameters()? });
            self.skip(" \t");
            if self.0.is_empty() {
                break;
            }
            self.take(',').then_some(()).ok_or("a comma or a parameter")?;
            self.skip(" \t");
            if self.0.is_empty() {
                return Err("another item after the comma");
            }
        }
        Ok(items)
    }

    fn parameters(&mut self) -> Parsed<Vec<(&'a str, Bare)>> {
        let mut parameters: Vec<(&'a str, Bare)> = Vec::new();
        while self.take(';') {
            self.skip(" ");
            if !self.0.starts_with(|c: char| c.is_ascii_lowercase() || c == '*') {
                return Err("a parameter's name in lower case");
            }
            let key = self.run(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-.*".contains(&byte));
            let value = if self.take('=') { self.bare()? } else { Bare::Other };
            if PARAMETERS.contains(&key) {
                parameters.retain(|(known, _)| *known != key);
                parameters.push((key, value));
            }
        }
        Ok(parameters)
    }

    fn bare(&mut self) -> Parsed<Bare> {
        match self.0.bytes().next() {
            Some(b'"') => self.string().map(Bare::String),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b':') => self.bytes().map(Bare::Bytes),
            Some(b'*' | b'a'..=b'z' | b'A'..=b'Z') => {
                self.run(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~:/".contains(&byte));
                Ok(Bare::Other)
            }
            Some(b'?') => match self.0.as_bytes() {
                [_, b'0' | b'1', ..] => {
                    self.0 = &self.0[2..];
                    Ok(Bare::Other)
                }
                _ => Err("?0 or ?1"),
            },
            Some(b'@') => {
                self.take('@');
                match self.number()? {
                    Bare::Integer(_) => Ok(Bare::Other),
                    _ => Err("a date in whole seconds"),
                }
            }
            Some(b'%') => self.display_string(),
            _ => Err("a value"),
        }
    }

    fn number(&mut self) -> Parsed<Bare> {
        let negative = self.take('-');
        let whole = self.run(|byte| byte.is_ascii_digit());
        if whole.is_empty() {
            return Err("a digit");
        }
        if self.take('.') {
            let fraction = self.run(|byte| byte.is_ascii_digit());
            let fits = whole.len() <= 12 && (1..=3).contains(&fraction.len());
            return fits.then_some(Bare::Other).ok_or("at most 12 digits, a point, and 1 to 3 more");
        }
        let number = whole.parse::<i64>().ok().filter(|_| whole.len() <= 15).ok_or("at most 15 digits")?;
        Ok(Bare::Integer(if negative { -number } else { number }))
    }

    fn string(&mut self) -> Parsed<String> {
        let mut value = String::new();
        let mut chars = self.0.char_indices().skip(1);
        while let Some((index, c)) = chars.next() {
            match c {
                '"' => {
                    self.0 = &self.0[index + 1..];
                    return Ok(value);
                }
                '\\' => match chars.next() {
                    Some((_, c @ ('"' | '\\'))) => value.push(c),
                    _ => return Err("a quote or a backslash after the backslash"),
                },
                ' '..='~' => value.push(c),
                _ => return Err("printable ASCII in a string"),
            }
        }
        Err("the string's closing quote")
    }

    fn bytes(&mut self) -> Parsed<Vec<u8>> {
        let (encoded, rest) = self.0[1..].split_once(':').ok_or("a byte sequence's closing colon")?;
        let bytes = BASE64.decode(encoded).map_err(|_| "base64 between colons")?;
        self.0 = rest;
        Ok(bytes)
    }

    fn display_string(&mut self) -> Parsed<Bare> {
        let text = self.0.strip_prefix("%\"").ok_or("a quote after the percent sign")?;
        let (mut bytes, mut decoded) = (text.bytes().enumerate(), Vec::new());
        while let Some((index, byte)) = bytes.next() {
            match byte {
                b'"' => {
                    str::from_utf8(&decoded).map_err(|_| "UTF-8 in a display string")?;
                    self.0 = &text[index + 1..];
                    return Ok(Bare::Other);
                }
                b'%' => {
                    let mut digit = || bytes.next().and_then(|(_, byte)| lower_hex(byte));
                    let (high, low) = (digit(), digit());
                    let (high, low) =
                        high.zip(low).ok_or("two lower-case hexadecimal digits after the percent sign")?;
                    decoded.push(high << 4 | low);
                }
                b' '..=b'~' => decoded.push(byte),
                _ => return Err("printable ASCII in a display string"),
            }
        }
        Err("the display string's closing quote")
    }

    fn skip(&mut self, what: &str) {
        self.0 = self.0.trim_start_matches(|c| what.contains(c));
    }

    fn take(&mut self, wanted: char) -> bool {
        let rest = self.0.strip_prefix(wanted);
        self.0 = rest.unwrap_or(self.0);
        rest.is_some()
    }

    /// The bytes, all of them ASCII, up to the first that does not fit.
    fn run(&mut self, fits: impl Fn(u8) -> bool) -> &'a str {
        let end = self.0.bytes().position(|byte| !fits(byte)).unwrap_or(self.0.len());
        let (run, rest) = self.0.split_at(end);
        self.0 = rest;
        run
    }
}

fn lower_hex(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    }
}
