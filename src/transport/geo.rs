//! Where visitors are, by the address that they come from: country, region and city out of a database of the operator's.
//!
//! The address itself is looked at and forgotten: neither the log nor anybody else ever has it.

#[cfg(test)]
mod tests;

use std::{
    io,
    net::IpAddr,
    path::{Path, PathBuf},
};

use maxminddb::{MaxMindDbError, Reader, geoip2};
use smol_str::SmolStr;

use crate::routing::{Body, Variable};

/// The variable that a frontend says a visitor's address by.
const ADDRESS: &str = "ip";

/// What may be known of where somebody is, the country first: who says that knows the rest.
const PLACE: [&str; 3] = ["country", "region", "city"];

/// A database that can't be used.
#[derive(Debug, thiserror::Error)]
pub enum Trouble {
    /// It could not be read.
    #[error("can't read `server.geoip` {path}: {source}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It is none.
    #[error("`server.geoip` {path} is no database of places: {source}")]
    Strange {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: MaxMindDbError,
    },
}

/// What tells where an address is; nothing without a database.
#[derive(Default)]
pub struct Geo(Option<Reader<Vec<u8>>>);

impl Geo {
    /// Reads a database in MaxMind's format, whole.
    ///
    /// # Errors
    /// It can't be read, or is no such database.
    pub fn read(path: Option<&Path>) -> Result<Self, Trouble> {
        let Some(path) = path else { return Ok(Self::default()) };
        let bytes =
            std::fs::read(path).map_err(|source| Trouble::Unreadable { path: path.to_owned(), source })?;
        let reader = Reader::from_source(bytes)
            .map_err(|source| Trouble::Strange { path: path.to_owned(), source })?;
        Ok(Self(Some(reader)))
    }

    /// Takes the address out of what is known, and says where that is; `own` is the address of a visitor's own connection, which
    /// counts for more than what they say. Nothing if the country is known already.
    pub(super) fn place(&self, known: &mut Vec<Variable>, own: Option<IpAddr>) -> Vec<Variable> {
        let mut said = None;
        known.retain(|variable| {
            let is_address = variable.name == ADDRESS;
            if is_address {
                said = variable.value.0.trim().parse().ok();
            }
            !is_address
        });
        let told = known.iter().any(|variable| variable.name == PLACE[0] && !variable.value.0.is_empty());
        let address = own.or(said).filter(|_| !told);
        address.and_then(|address| self.look_up(address)).unwrap_or_default()
    }

    fn look_up(&self, address: IpAddr) -> Option<Vec<Variable>> {
        let found = self.0.as_ref()?.lookup(address.to_canonical()).ok()?;
        let city: geoip2::City<'_> = found.decode().ok()??;
        let region = city.subdivisions.first();
        let values = [
            city.country.iso_code,
            region.and_then(|region| region.iso_code.or(region.names.english)),
            city.city.names.english,
        ];
        let variable = |(name, value): (&str, Option<&str>)| {
            Some(Variable { name: SmolStr::new(name), value: Body(value?.into()) })
        };
        Some(PLACE.into_iter().zip(values).filter_map(variable).collect())
    }
}
