//! Text and lists that can't grow past their limit, in memory as on the wire.
//!
//! Holds: [`Text`], [`List`], [`Variables`]. Knows: serde. Never: a value above its limit, so that what can be built
//! can be encoded. Start reading at: [`Text`].

use std::{borrow::Borrow, fmt, marker::PhantomData, ops::Deref, vec};

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{self, SeqAccess, Visitor},
    ser::SerializeSeq,
};
use smol_str::SmolStr;

use super::{
    shape::{OutOfRange, Shape, Wire},
    wire::weight,
    words::Variable,
};

/// A value above its limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OverLimit {
    /// A text of so many bytes, with its limit.
    #[error("the text takes {bytes} bytes, and {max} are allowed: shorten it")]
    Bytes {
        /// Its length in bytes.
        bytes: usize,
        /// The limit in bytes.
        max: usize,
    },
    /// A text with a NUL character.
    #[error("the text holds a NUL character: leave it out")]
    Nul,
    /// A list with more items than allowed.
    #[error("the list holds more than {max} items: send fewer at once")]
    Items {
        /// The limit in items.
        max: usize,
    },
    /// Variables whose names and values are too long together.
    #[error(
        "names and values of the variables take more than {max} bytes together: send fewer or shorter ones"
    )]
    Variables {
        /// The limit in bytes.
        max: usize,
    },
}

/// UTF-8 of at most `MAX` bytes, without NUL. Cheap to clone. `Debug` shows its length only, since most texts are
/// what people wrote to each other, or secrets.
#[derive(Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Text<const MAX: usize>(SmolStr);

impl<const MAX: usize> Text<MAX> {
    /// The most bytes.
    pub const MAX: usize = MAX;

    /// `text`, if it is within the limit.
    ///
    /// # Errors
    /// [`OverLimit::Bytes`], [`OverLimit::Nul`].
    pub fn new(text: impl AsRef<str>) -> Result<Self, OverLimit> {
        let text = text.as_ref();
        if text.len() > MAX {
            Err(OverLimit::Bytes { bytes: text.len(), max: MAX })
        } else if text.as_bytes().contains(&0) {
            Err(OverLimit::Nul)
        } else {
            Ok(Self(SmolStr::new(text)))
        }
    }

    /// As much of the beginning of `text` as fits, without its NULs: for texts of our own making.
    #[must_use]
    pub fn clip(text: impl AsRef<str>) -> Self {
        let text = text.as_ref();
        let kept = &text[..text.floor_char_boundary(MAX)];
        if kept.as_bytes().contains(&0) {
            Self(SmolStr::new(kept.replace('\0', "")))
        } else {
            Self(SmolStr::new(kept))
        }
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<const MAX: usize> Deref for Text<MAX> {
    type Target = str;
    fn deref(&self) -> &str {
        &self.0
    }
}

impl<const MAX: usize> Borrow<str> for Text<MAX> {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl<const MAX: usize> PartialEq<str> for Text<MAX> {
    fn eq(&self, other: &str) -> bool {
        self.0 == other
    }
}

impl<const MAX: usize> PartialEq<&str> for Text<MAX> {
    fn eq(&self, other: &&str) -> bool {
        self.0 == *other
    }
}

impl<const MAX: usize> TryFrom<&str> for Text<MAX> {
    type Error = OverLimit;
    fn try_from(text: &str) -> Result<Self, OverLimit> {
        Self::new(text)
    }
}

impl<const MAX: usize> TryFrom<String> for Text<MAX> {
    type Error = OverLimit;
    fn try_from(text: String) -> Result<Self, OverLimit> {
        Self::new(text)
    }
}

impl<const MAX: usize> fmt::Debug for Text<MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Text({} bytes)", self.0.len())
    }
}

impl<const MAX: usize> Wire for Text<MAX> {
    const SHAPE: &'static Shape = &Shape::Text(MAX);
}

impl<const MAX: usize> Serialize for Text<MAX> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de, const MAX: usize> Deserialize<'de> for Text<MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader<const MAX: usize>;
        impl<const MAX: usize> Visitor<'_> for Reader<MAX> {
            type Value = Text<MAX>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "text of at most {MAX} bytes")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Text<MAX>, E> {
                Text::new(text).map_err(E::custom)
            }
        }
        deserializer.deserialize_str(Reader)
    }
}

/// At most `MAX` values of a type that takes room (a list of nothing could claim any length).
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct List<T, const MAX: usize>(Vec<T>);

impl<T, const MAX: usize> List<T, MAX> {
    /// The most items.
    pub const MAX: usize = {
        assert!(size_of::<T>() > 0, "a list of values without size has no length worth sending");
        MAX
    };

    /// The empty list.
    #[must_use]
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// The first items, as many as fit: for lists of our own making.
    #[must_use]
    pub fn clip(items: impl IntoIterator<Item = T>) -> Self {
        Self(items.into_iter().take(Self::MAX).collect())
    }

    /// Appends an item.
    ///
    /// # Errors
    /// [`OverLimit::Items`] when it is full.
    pub fn push(&mut self, item: T) -> Result<(), OverLimit> {
        if self.0.len() < Self::MAX {
            self.0.push(item);
            Ok(())
        } else {
            Err(OverLimit::Items { max: MAX })
        }
    }

    /// The first items, as many as fit and weigh at most `budget` bytes together (see [`weight`]), and how many those
    /// are. One item too heavy alone is left out, with all after it.
    #[must_use]
    pub fn fill(items: impl IntoIterator<Item = T>, mut budget: usize) -> (Self, usize)
    where
        T: Wire,
    {
        let mut page = Self::new();
        for item in items {
            let bytes = weight(&item).saturating_add(1);
            if page.0.len() == Self::MAX || bytes > budget {
                break;
            }
            budget -= bytes;
            page.0.push(item);
        }
        let taken = page.0.len();
        (page, taken)
    }

    /// The items.
    #[must_use]
    pub fn into_vec(self) -> Vec<T> {
        self.0
    }
}

impl<T, const MAX: usize> Default for List<T, MAX> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T, const MAX: usize> TryFrom<Vec<T>> for List<T, MAX> {
    type Error = OverLimit;
    fn try_from(items: Vec<T>) -> Result<Self, OverLimit> {
        if items.len() <= Self::MAX { Ok(Self(items)) } else { Err(OverLimit::Items { max: MAX }) }
    }
}

impl<T, const MAX: usize> Deref for List<T, MAX> {
    type Target = [T];
    fn deref(&self) -> &[T] {
        &self.0
    }
}

impl<T, const MAX: usize> IntoIterator for List<T, MAX> {
    type Item = T;
    type IntoIter = vec::IntoIter<T>;
    fn into_iter(self) -> vec::IntoIter<T> {
        self.0.into_iter()
    }
}

impl<'a, T, const MAX: usize> IntoIterator for &'a List<T, MAX> {
    type Item = &'a T;
    type IntoIter = std::slice::Iter<'a, T>;
    fn into_iter(self) -> std::slice::Iter<'a, T> {
        self.0.iter()
    }
}

impl<T: fmt::Debug, const MAX: usize> fmt::Debug for List<T, MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.0).finish()
    }
}

impl<T: Wire, const MAX: usize> Wire for List<T, MAX> {
    const SHAPE: &'static Shape = &Shape::List { max: Self::MAX, item: T::SHAPE };
    fn check(&self) -> Result<(), OutOfRange> {
        self.0.iter().try_for_each(Wire::check)
    }
}

impl<T: Serialize, const MAX: usize> Serialize for List<T, MAX> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut items = serializer.serialize_seq(Some(self.0.len()))?;
        for item in &self.0 {
            items.serialize_element(item)?;
        }
        items.end()
    }
}

impl<'de, T: Deserialize<'de>, const MAX: usize> Deserialize<'de> for List<T, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader<T, const MAX: usize>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>, const MAX: usize> Visitor<'de> for Reader<T, MAX> {
            type Value = List<T, MAX>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "a list of at most {MAX} items")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<List<T, MAX>, A::Error> {
                // Nothing is reserved by a claimed length: the list grows with what really arrives.
                let mut list = List::new();
                if items.size_hint().is_some_and(|claimed| claimed > MAX) {
                    return Err(de::Error::custom(OverLimit::Items { max: MAX }));
                }
                while let Some(item) = items.next_element()? {
                    list.push(item).map_err(de::Error::custom)?;
                }
                Ok(list)
            }
        }
        deserializer.deserialize_seq(Reader(PhantomData))
    }
}

/// What is known about a visitor, up to 64 of it and 8 KiB of names and values together: so that what came in
/// bincode still fits a frame in JSON, where one character can take six bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Variables(List<Variable, 64>);

impl Variables {
    /// The most bytes of names and values together.
    pub const MAX_BYTES: usize = 8_192;

    /// `list`, if it is within the limit.
    ///
    /// # Errors
    /// [`OverLimit::Variables`].
    pub fn new(list: List<Variable, 64>) -> Result<Self, OverLimit> {
        let bytes: usize = list.iter().map(|variable| variable.name.len() + variable.value.len()).sum();
        if bytes <= Self::MAX_BYTES {
            Ok(Self(list))
        } else {
            Err(OverLimit::Variables { max: Self::MAX_BYTES })
        }
    }
}

impl Deref for Variables {
    type Target = [Variable];
    fn deref(&self) -> &[Variable] {
        &self.0
    }
}

impl TryFrom<Vec<Variable>> for Variables {
    type Error = OverLimit;
    fn try_from(variables: Vec<Variable>) -> Result<Self, OverLimit> {
        Self::new(List::try_from(variables)?)
    }
}

impl Wire for Variables {
    const SHAPE: &'static Shape = <List<Variable, 64> as Wire>::SHAPE;
}

impl<'de> Deserialize<'de> for Variables {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(List::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}
