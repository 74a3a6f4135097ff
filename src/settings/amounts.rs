//! How are amounts of memory and time written? `8GB`, `512MiB`, `50%`; `90s`, `10m`, `1h 30m`.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Error, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// An amount of memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Memory {
    /// So many bytes.
    Bytes(u64),
    /// So many hundredths of what the machine has.
    Share(u8),
}

impl Memory {
    /// In bytes, on a machine that has so many; all there can be if the machine does not say.
    pub fn bytes(self, machine: Option<u64>) -> u64 {
        match (self, machine) {
            (Memory::Bytes(bytes), _) => bytes,
            (Memory::Share(share), Some(all)) => (u128::from(all) * u128::from(share) / 100) as u64,
            (Memory::Share(_), None) => u64::MAX,
        }
    }
}

impl fmt::Display for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Memory::Bytes(bytes) => write!(f, "{bytes}"),
            Memory::Share(share) => write!(f, "{share}%"),
        }
    }
}

impl FromStr for Memory {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("must be an amount such as `8GB`, `512MiB` or `50%`, but is `{text}`");
        let (number, unit) = split(text.trim()).ok_or_else(wrong)?;
        let factor = match unit.to_ascii_lowercase().as_str() {
            "%" if number > 0.0 && number <= 100.0 => return Ok(Memory::Share(number.ceil() as u8)),
            "" | "b" => 1.0,
            "k" | "kb" => 1e3,
            "m" | "mb" => 1e6,
            "g" | "gb" => 1e9,
            "t" | "tb" => 1e12,
            "kib" => 1024.0,
            "mib" => 1024.0 * 1024.0,
            "gib" => 1024.0 * 1024.0 * 1024.0,
            "tib" => 1024.0 * 1024.0 * 1024.0 * 1024.0,
            _ => return Err(wrong()),
        };
        Ok(Memory::Bytes((number * factor) as u64))
    }
}

/// An amount of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Time(pub Duration);

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}ms", self.0.as_millis())
    }
}

impl FromStr for Time {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("must be a time such as `90s`, `10m` or `1h 30m`, but is `{text}`");
        let mut rest = text.trim();
        let mut seconds = 0.0;
        while !rest.is_empty() {
            let end = rest.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(rest.len());
            let after = rest.get(end..).unwrap_or_default().trim_start();
            let letters = after.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(after.len());
            let number: f64 = rest.get(..end).unwrap_or_default().parse().map_err(|_| wrong())?;
            seconds += number
                * match after.get(..letters).unwrap_or_default() {
                    "ms" => 1e-3,
                    "s" => 1.0,
                    "m" | "min" => 60.0,
                    "h" => 3600.0,
                    "d" => 86_400.0,
                    _ => return Err(wrong()),
                };
            rest = after.get(letters..).unwrap_or_default().trim_start();
        }
        let time = Duration::try_from_secs_f64(seconds).map_err(|_| wrong())?;
        if time.is_zero() { Err(wrong()) } else { Ok(Time(time)) }
    }
}

/// A number, and the unit after it.
fn split(text: &str) -> Option<(f64, &str)> {
    let end = text.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(text.len());
    let number = text.get(..end)?.parse().ok()?;
    Some((number, text.get(end..)?.trim()))
}

/// Reads text, or a whole number, as `T`.
struct Written<T>(std::marker::PhantomData<T>, &'static str);

impl<T: FromStr<Err = String>> Visitor<'_> for Written<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.1)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        text.parse().map_err(E::custom)
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<T, E> {
        number.to_string().parse().map_err(|_| E::invalid_type(Unexpected::Unsigned(number), &self))
    }
}

impl<'de> Deserialize<'de> for Memory {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(Written(std::marker::PhantomData, "an amount such as `8GB`, `512MiB` or `50%`"))
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(Written(std::marker::PhantomData, "a time with its unit, such as `90s` or `10m`"))
    }
}

impl Serialize for Memory {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl JsonSchema for Memory {
    fn schema_name() -> Cow<'static, str> {
        "Memory".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["string", "integer"], "description": "Bytes, or an amount such as `8GB`, `512MiB` or `50%`." })
    }
}

impl JsonSchema for Time {
    fn schema_name() -> Cow<'static, str> {
        "Time".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "description": "A time such as `90s`, `10m` or `1h 30m`." })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_read_and_written() {
        let bytes = |text: &str| text.parse::<Memory>().map(|memory| memory.bytes(Some(1000)));
        assert_eq!(bytes("8GB"), Ok(8_000_000_000));
        assert_eq!(bytes("1.5 MiB"), Ok(1_572_864));
        assert_eq!(bytes("4096"), Ok(4096));
        assert_eq!(bytes("50%"), Ok(500));
        assert!(bytes("150%").is_err() && bytes("much").is_err() && bytes("").is_err());
        let millis = |text: &str| text.parse::<Time>().map(|time| time.0.as_millis());
        assert_eq!(millis("90s"), Ok(90_000));
        assert_eq!(millis("1h 30m"), Ok(5_400_000));
        assert_eq!(millis("1h30m"), Ok(5_400_000));
        assert_eq!(millis("250ms"), Ok(250));
        assert_eq!(millis("0.5s"), Ok(500));
        assert!(["10", "", "0s", "5 parsecs", "m", "1e9h"].iter().all(|text| millis(text).is_err()));
        assert_eq!("90s".parse::<Time>().unwrap().to_string().parse::<Time>(), Ok(Time(Duration::from_secs(90))));
    }
}
